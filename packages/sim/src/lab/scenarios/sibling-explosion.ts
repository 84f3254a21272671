/** Writers that never say what they have seen pile up values until the row takes no more. */

import { fewSiblings } from '../checkers.ts'
import { piling } from '../piles.ts'
import type { Scenario } from '../scenario.ts'

const quorums = { n: 3, w: 2, r: 2 } as const
const FEW = 4

export const siblingExplosionScenario: Scenario = {
  name: 'sibling-explosion',
  question: 'A hundred writes of one row under siblings. How many values does it have?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas), w=2, r=2, conflict: siblings.',
    'A job writes the same row a hundred times, from three app servers in turn.',
  ],
  settings: [
    {
      label: 'blind',
      explained:
        'the job writes without the context of a read: every write is concurrent with all the others.',
      expected: 'broken',
      replication: quorums,
      conflict: 'siblings',
    },
    {
      label: 'informed',
      explained:
        'the job reads first, and gives the context: each write takes the place of what it has seen.',
      expected: 'holds',
      replication: quorums,
      conflict: 'siblings',
      informed: true,
    },
    {
      label: 'lww',
      explained:
        'conflict: lww, written blindly: one value, and each write takes the place of the one before.',
      expected: 'holds',
      replication: quorums,
      conflict: 'lww',
    },
  ],
  async act(stage, { informed = false }) {
    await stage.known()
    for (let n = 1; n <= 100; n++) await piling(stage, (['n1', 'n2', 'n3'] as const)[n % 3]!, n, informed)
  },
  check: fewSiblings(FEW),
  advice:
    'Read before you write, and give the context back; the row refuses writes past 64 values rather than drop one. Where nobody needs both of two writes, choose lww.',
}
