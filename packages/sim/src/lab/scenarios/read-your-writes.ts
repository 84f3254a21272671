/** A post is written through one replica and looked for at another, which has not heard of it yet. */

import { readYourWrites } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const LAG_MS = 400

export const readYourWritesScenario: Scenario = {
  name: 'read-your-writes',
  question: 'I posted a comment and reloaded the page. Is my comment there?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas).',
    `n3 lags: what n1 sends to it arrives ${LAG_MS} ms late.`,
    'A write waits for w replicas before it is acknowledged; a read asks r of them.',
  ],
  settings: [
    {
      label: 'w1-r1',
      explained: 'w=1, r=1: one replica acknowledges, any one answers. 1 + 1 is not more than 3.',
      expected: 'broken',
      replication: { n: 3, w: 1, r: 1 },
    },
    {
      label: 'quorum',
      explained: 'w=2, r=2: two of three each way. 2 + 2 > 3: they always have one in common.',
      expected: 'holds',
      replication: { n: 3, w: 2, r: 2 },
    },
    {
      label: 'write-all',
      explained: 'w=3, r=1: every replica has it before Ann is told. Writes wait for the slowest.',
      expected: 'holds',
      replication: { n: 3, w: 3, r: 1 },
    },
    {
      label: 'read-all',
      explained: 'w=1, r=3: writes are fast, and every read asks all replicas.',
      expected: 'holds',
      replication: { n: 3, w: 1, r: 3 },
    },
  ],
  async act(stage) {
    stage.lag('n1', 'n3', LAG_MS)
    await stage.write('Ann', 'n1', 'comment', 1)
    await stage.pause(20)
    await stage.read('Ann', 'n3', 'comment')
    await stage.pause(1_000)
    stage.timeline.step('', 'a second later the copy has reached n3')
    await stage.read('Ann', 'n3', 'comment')
  },
  check: readYourWrites,
  advice:
    'Choose w + r > n (for example n=3, w=2, r=2) where people must find what they wrote; w=1, r=1 only where a late answer is as good as a right one.',
}
