/** Two regions with an ocean between them: what a write pays when it waits for the other side. */

import type { NodeName } from '../cast.ts'
import { withinRegion } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const ROUND_TRIP_MS = 80
const WRITES = 5
const HERE: readonly NodeName[] = ['n1', 'n2']
const FAR: NodeName = 'n3'

export const crossRegionSyncTaxScenario: Scenario = {
  name: 'cross-region-sync-tax',
  question: 'What does a write cost when a copy must be on the other side of an ocean first?',
  scene: [
    'n1 and n2 are in Europe, n3 in America; each has a copy of every row (replicas).',
    `A message and its answer need ${ROUND_TRIP_MS} ms across the ocean (a round trip), 1 to 3 ms at home.`,
    'A write waits for w replicas before it is acknowledged; the others get it a moment later.',
  ],
  settings: [
    {
      label: 'wait-for-all',
      explained: 'w=3: acknowledged when America has it too. Every write pays the ocean.',
      expected: 'broken',
      replication: { n: 3, w: 3, r: 1 },
    },
    {
      label: 'local-pair',
      explained: 'w=2: both European copies, in two zones. Losing Europe whole may lose the last writes.',
      expected: 'holds',
      replication: { n: 3, w: 2, r: 2 },
    },
    {
      label: 'one-copy',
      explained: 'w=1: one copy. Losing that one disk may lose the last writes.',
      expected: 'holds',
      replication: { n: 3, w: 1, r: 1 },
    },
  ],
  async act(stage) {
    for (const near of HERE) {
      stage.lag(near, FAR, ROUND_TRIP_MS / 2)
      stage.lag(FAR, near, ROUND_TRIP_MS / 2)
    }
    for (let version = 1; version <= WRITES; version++) {
      await stage.write('Ann', 'n1', 'cart', version)
      await stage.pause(50)
    }
  },
  check: withinRegion(ROUND_TRIP_MS),
  advice:
    'Choose w so that it can be reached inside one region (n=3 with two copies at home, w=2), and w=n only for writes that must survive the loss of a region at any price.',
}
