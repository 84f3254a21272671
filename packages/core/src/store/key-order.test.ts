import { expect, it } from 'vitest'
import type { ByteString } from '../base/ids.ts'
import { randomBelow, SeededRandom } from '../base/prng.ts'
import { KeyOrder } from './key-order.ts'

it('walks any range either way like a sorted list, while keys are added', () => {
  const random = new SeededRandom(3)
  const randomKey = (): ByteString =>
    String.fromCharCode(
      ...Array.from({ length: 1 + randomBelow(random, 3) }, () => randomBelow(random, 256)),
    ) as ByteString
  const order = new KeyOrder()
  const oracle = new Set<ByteString>()
  for (let step = 0; step < 200; step++) {
    for (let i = randomBelow(random, step % 20 === 0 ? 3_000 : 40); i > 0; i--) {
      const key = randomKey()
      if (!oracle.has(key)) order.add(key)
      oracle.add(key)
    }
    const from = randomBelow(random, 4) === 0 ? ('' as ByteString) : randomKey()
    const to = randomBelow(random, 4) === 0 ? undefined : randomKey()
    const expected = [...oracle].filter(key => key >= from && (to === undefined || key < to)).sort()
    expect([...order.walk(from, to, false)]).toEqual(expected)
    expect([...order.walk(from, to, true)]).toEqual(expected.reverse())
  }
})

it('a walk that has begun is not disturbed by another', () => {
  const order = new KeyOrder()
  for (const key of ['c', 'a', 'e']) order.add(key as ByteString)
  const walk = order.walk('' as ByteString, undefined, false)
  expect(walk.next().value).toBe('a')
  order.add('b' as ByteString)
  expect([...order.walk('' as ByteString, undefined, false)]).toEqual(['a', 'b', 'c', 'e'])
  expect([...walk]).toEqual(['c', 'e'])
})
