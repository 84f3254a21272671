/** The history of figure 8 of the Raft paper. That it is noticed when the rule is broken is shown by a mutant. */

import { expect, test } from 'vitest'
import { drain } from './node-runner/drain.ts'
import { runOlderEpoch } from './scenarios/older-epoch.ts'

test.each([
  1, 2, 3,
])('nobody carries out an entry of an older epoch by its copies alone (seed %i)', async seed => {
  expect(await runOlderEpoch(seed, { drain })).toEqual([])
})
