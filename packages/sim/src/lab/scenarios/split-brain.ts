/** A leader is cut off, and later stands still for a while; people are on both sides, and each wants the same seat. */

import type { NodeName } from '../cast.ts'
import { oneTaker } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const STANDSTILL_MS = 8_000
const NODES: readonly NodeName[] = ['n1', 'n2', 'n3']

export const splitBrainScenario: Scenario = {
  name: 'split-brain',
  question: 'Two people on two sides of a broken cable take one seat. Can both have it?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas). Ann is at n1, Bob at n2.',
    'First the cable around n1 is cut. Then it is mended, and a node stands still for a while.',
    'Who wants a seat looks whether it is taken, and takes it if it is not.',
  ],
  nodes: NODES,
  settings: [
    {
      label: 'w1-r1',
      explained:
        'w=1, r=1, no leader: one replica is enough on each side. The last one who takes a seat wins.',
      expected: 'broken',
      replication: { n: 3, w: 1, r: 1 },
    },
    {
      label: 'read-any',
      explained:
        'one leader, ack: majority, but people look at whatever replica answers (read=any) as if it led.',
      expected: 'broken',
      replication: { kind: 'single-leader', n: 3, ack: 'majority' },
      read: 'any',
    },
    {
      label: 'leader',
      explained:
        'one leader, ack: majority, and only the leader answers: who is not sure to lead says neither yes nor no.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 3, ack: 'majority' },
    },
  ],
  async act(stage, { replication }) {
    const { trouble } = stage
    const isLed = replication?.kind === 'single-leader'
    const wants = async (who: string, node: NodeName, seat: string, version: number): Promise<void> => {
      const found = await stage.read(who, node, seat)
      if (found === undefined) await stage.write(who, node, seat, version, isLed)
    }
    await stage.known()
    if (isLed) await trouble.leadFrom('n1')
    trouble.cut(['n1'], ['n2', 'n3'], true, 'n1 and the app server beside it are cut off from n2 and n3')
    if (isLed) await trouble.electedOrNot('n1', 30_000)
    await wants('Bob', 'n2', 'seat-1', 1)
    await wants('Ann', 'n1', 'seat-1', 2)
    await stage.pause(2_000)
    trouble.heal('the cable is mended')
    await stage.pause(5_000)
    await stage.read('Ann', 'n1', 'seat-1')
    await stage.read('Bob', 'n2', 'seat-1')
    const still = trouble.leader() ?? 'n1'
    const other = still === 'n2' ? 'n3' : 'n2'
    trouble.suspend(still, `${still}${isLed ? ', which leads now,' : ''} stands still, and does not know it`)
    if (isLed) await trouble.electedOrNot(still, 30_000)
    await wants('Bob', other, 'seat-2', 1)
    await stage.pause(STANDSTILL_MS)
    trouble.resume(still, `${still} goes on as if nothing had been`)
    await wants('Ann', still, 'seat-2', 2)
  },
  check: oneTaker,
  advice:
    'Choose a leader with ack: majority, read from the leader, and take with a condition (if), where a thing has one owner; read=any and w=1, r=1 are for what may be late.',
}
