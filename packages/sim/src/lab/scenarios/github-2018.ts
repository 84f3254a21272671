/**
 * Two sites lose each other for 43 seconds, and the one without the leader is promoted: both have acknowledged writes
 * that the other lacks.
 *
 * After GitHub's "October 21 post-incident analysis" (2018): there the 43 seconds cost a day of restoring and merging.
 */

import type { NodeName } from '../cast.ts'
import { nothingLost } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const CUT_MS = 43_000
const EAST: readonly NodeName[] = ['n1', 'n2']
const WEST: readonly NodeName[] = ['n3', 'n4', 'n5']
const BETWEEN_MS = 30
const ALL = ['east-1', 'west-1', 'east-2', 'east-3', 'west-2', 'west-3', 'east-4', 'east-5', 'west-4']

export const github2018Scenario: Scenario = {
  name: 'github-2018',
  question: 'Two sites do not hear each other for 43 seconds. Do both go on?',
  scene: [
    `Two sites, ${BETWEEN_MS} ms apart: n1 and n2 in the east, n3, n4 and n5 in the west. n1 leads.`,
    'Each node has a copy of every row (replica). Ann works in the east, Bob in the west.',
    'The cable between the sites is cut for 43 seconds, and mended again.',
  ],
  nodes: [...EAST, ...WEST],
  settings: [
    {
      label: 'one-operator',
      explained:
        'ack: one: n1 and one more have it, and that is n2, which is near. The operator in the west promotes n3 or n4 or n5.',
      expected: 'broken',
      replication: { kind: 'single-leader', n: 5, ack: 'one' },
      operator: true,
    },
    {
      label: 'none-operator',
      explained: 'ack: none: n1 has it. The operator in the west promotes n3 or n4 or n5.',
      expected: 'broken',
      replication: { kind: 'single-leader', n: 5, ack: 'none' },
      operator: true,
    },
    {
      label: 'one-waiting',
      explained: 'ack: one, and nobody is promoted: the east goes on, the west waits until it hears again.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 5, ack: 'one' },
    },
    {
      label: 'majority',
      explained:
        'ack: majority: three of five have it. The west elects a leader by itself; the east, which is two, acknowledges nothing.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 5, ack: 'majority' },
    },
  ],
  async act(stage, { operator }) {
    const { trouble, timeline } = stage
    for (const east of EAST)
      for (const west of WEST) {
        stage.lag(east, west, BETWEEN_MS / 2)
        stage.lag(west, east, BETWEEN_MS / 2)
      }
    await trouble.leadFrom('n1')
    await stage.write('Ann', 'n1', 'east-1', 1)
    await stage.write('Bob', 'n3', 'west-1', 1)
    await trouble.evened()
    trouble.cut(EAST, WEST, true, 'the cable between east and west is cut')
    const mendedMs = timeline.nowMs + CUT_MS
    await stage.write('Ann', 'n1', 'east-2', 1)
    await stage.write('Ann', 'n1', 'east-3', 1)
    if (operator === true) {
      await stage.pause(5_000)
      await trouble.electUncleanly('n3')
    } else await trouble.electedOrNot('n1', 10_000)
    await stage.write('Bob', 'n3', 'west-2', 1)
    await stage.write('Bob', 'n3', 'west-3', 1)
    await stage.write('Ann', 'n1', 'east-4', 1)
    await stage.write('Ann', 'n1', 'east-5', 1)
    await stage.write('Bob', 'n3', 'west-4', 1)
    await stage.pause(mendedMs - timeline.nowMs)
    trouble.heal(`${CUT_MS / 1_000} seconds after it was cut the cable is mended`)
    await trouble.evened()
    await stage.read('Ann', 'n1', 'east-2')
    await stage.read('Bob', 'n3', 'west-2')
    await trouble.healAndLook(ALL)
  },
  check: nothingLost,
  advice:
    'Choose ack: majority over an odd number of nodes, more than half of them where the database must go on by itself; under a smaller ack do not promote a site while the other may still be writing.',
}
