import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ByteString } from '../base/ids.ts'
import { CollectableIndex } from './collectable-index.ts'

const key = (n: number): ByteString => String(n).padStart(3, '0') as ByteString

describe('candidates of a range', () => {
  it('are given out once round, going on behind the last one', () => {
    const index = new CollectableIndex()
    for (const n of [1, 2, 3]) index.add(key(n))
    const range = { from: key(0), to: key(9) }
    expect(index.next(range, 2)).toEqual([key(1), key(2)])
    index.endedAt(range, key(2))
    expect(index.next(range, 9)).toEqual([key(3), key(1), key(2)])
  })

  it('lie in the range as it is now, however it was cut since the last call', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(99), { maxLength: 20 }),
        fc.array(fc.tuple(fc.nat(50), fc.nat(50), fc.nat(99)), { minLength: 1, maxLength: 8 }),
        (numbers, calls) => {
          const index = new CollectableIndex()
          for (const n of numbers) index.add(key(n))
          for (const [start, length, limit] of calls) {
            const range = { from: key(start), to: key(start + length) }
            const wanted = new Set(numbers.filter(n => n >= start && n < start + length).map(key))
            const given = index.next(range, limit)
            expect(new Set(given).size).toBe(given.length)
            expect(given.filter(one => !wanted.has(one))).toEqual([])
            expect(given).toHaveLength(Math.min(limit, wanted.size))
            index.endedAt(range, given.at(-1))
          }
        },
      ),
    )
  })
})
