/** A page is reloaded, and each time another replica answers: the post is there, gone, and there again. */

import type { NodeName } from '../cast.ts'
import { monotonicReads } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const LAG_MS = 400

export const monotonicReadsScenario: Scenario = {
  name: 'monotonic-reads',
  question: 'I saw a post, and reloaded. Can it vanish again?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas).',
    `n3 lags: what n1 sends to it arrives ${LAG_MS} ms late.`,
    'Ann posts. Bob reloads three times; a load balancer sends him to another node each time.',
  ],
  settings: [
    {
      label: 'any-replica',
      explained: 'w=1, r=1: whichever replica Bob happens to meet answers alone.',
      expected: 'broken',
      replication: { n: 3, w: 1, r: 1 },
    },
    {
      label: 'write-all',
      explained:
        'w=3, r=1: Ann is told when all three have it, but Bob reads while the write is still under way.',
      expected: 'broken',
      replication: { n: 3, w: 3, r: 1 },
    },
    {
      label: 'one-replica',
      explained: 'w=1, r=1, but all of Bob’s requests go to n1. Holds while n1 lives, and no longer.',
      expected: 'holds',
      replication: { n: 3, w: 1, r: 1 },
      sticky: true,
    },
    {
      label: 'quorum',
      explained: 'w=2, r=2: two of three each way, so each read meets the acknowledged write.',
      expected: 'holds',
      replication: { n: 3, w: 2, r: 2 },
    },
  ],
  async act(stage, { sticky = false }) {
    const bobAt = (node: NodeName): NodeName => (sticky ? 'n1' : node)
    stage.lag('n1', 'n3', LAG_MS)
    const writing = stage.write('Ann', 'n1', 'post', 1)
    for (const node of ['n1', 'n3', 'n1'] as const) {
      await stage.pause(30)
      await stage.read('Bob', bobAt(node), 'post')
    }
    await writing
  },
  check: monotonicReads,
  advice:
    'Choose n=3, w=2, r=2, with readRepair: blocking where reads may meet writes still under way; with r=1 only a reader who stays on one replica never goes back, whatever w is.',
}
