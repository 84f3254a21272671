/** Histories that chance hardly finds. That each is noticed when its rule is broken is shown by a mutant. */

import { expect, test } from 'vitest'
import { drain } from './node-runner/drain.ts'
import { histories } from './scenarios/histories.ts'
import { runTold } from './scenarios/told-history.ts'

const runs = Object.entries(histories).flatMap(([name, history]) =>
  [1, 2, 3].map(seed => ({ name, history, seed })),
)

test.each(runs)('$name (seed $seed)', async ({ history, seed }) => {
  expect(await runTold(history, seed, { drain })).toEqual([])
})
