/** A leader dies with writes that only it has. An operator can go on without them, and is told the price. */

import { nothingLost } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const KEYS = ['order-1', 'order-2', 'order-3', 'order-4', 'order-5']

export const uncleanElectionScenario: Scenario = {
  name: 'unclean-election',
  question: 'The leader is dead. May we go on without what only it had?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas); n1 leads.',
    'The cable between n1 and the others breaks while Ann writes through n1; then n1 loses its power.',
    'Ann works in a session: she is never shown less than she has seen, or is told why not.',
  ],
  settings: [
    {
      label: 'none-operator',
      explained: 'ack: none, and the operator goes on without n1: an unclean election, at its price.',
      expected: 'broken',
      replication: { kind: 'single-leader', n: 3, ack: 'none' },
      session: true,
      operator: true,
    },
    {
      label: 'none-waiting',
      explained: 'ack: none, and the operator waits: nobody leads until n1 is back with all it had.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 3, ack: 'none' },
      session: true,
    },
    {
      label: 'majority',
      explained:
        'ack: majority: what is acknowledged is on two of three, so the two that are left elect a leader by themselves, and have it all.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 3, ack: 'majority' },
      session: true,
    },
  ],
  async act(stage, { operator }) {
    const { trouble } = stage
    await trouble.leadFrom('n1')
    for (const [i, key] of KEYS.slice(0, 3).entries()) {
      await stage.write('Ann', 'n1', key, 1)
      if (i < 2) await stage.pause(10)
    }
    await trouble.evened()
    trouble.cut(['n1'], ['n2', 'n3'], false, 'the cable between n1 and the other nodes breaks')
    for (const key of KEYS.slice(3)) await stage.write('Ann', 'n1', key, 1)
    await stage.read('Ann', 'n1', 'order-5')
    await stage.followChanges('the stock list', 'order-5')
    trouble.powerCut('n1', 'n1 loses its power')
    if (operator === true) {
      await stage.pause(3_000)
      await trouble.electUncleanly('n2')
    } else await trouble.electedOrNot('n1', 10_000)
    await stage.write('Bob', 'n2', 'order-6', 1)
    await stage.read('Bob', 'n2', 'order-4')
    await stage.read('Ann', 'n2', 'order-1')
    if (operator === true) await stage.followChanges('the stock list', 'order-6')
    await trouble.start('n1', 'n1 has power again, and its disk; the cable is mended')
    await trouble.healAndLook([...KEYS, 'order-6'])
  },
  check: nothingLost,
  advice:
    'Choose ack: majority where a "stored" must stay true. With ack: none a dead leader takes its last writes along: wait for its disk, or agree to an unclean election, whose plan says the price.',
}
