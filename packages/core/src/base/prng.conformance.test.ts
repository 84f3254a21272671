import { expect, test } from 'vitest'
import { randomConformance } from '../ports/random.conformance.ts'
import { SeededRandom } from './prng.ts'

for (const { name, run } of randomConformance) {
  let seed = 1
  test(`SeededRandom: ${name}`, () => run(async () => new SeededRandom(seed++)))
}

test('the same seed gives the same numbers', () => {
  const [one, two] = [new SeededRandom(9), new SeededRandom(9)]
  expect(Array.from({ length: 50 }, () => one.uint32())).toEqual(
    Array.from({ length: 50 }, () => two.uint32()),
  )
})
