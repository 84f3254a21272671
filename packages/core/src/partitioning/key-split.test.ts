import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OperationId } from '../base/ids.ts'
import { assertEncodedKey, encodeKey } from '../base/key-encoding.ts'
import { limits } from '../base/limits.ts'
import { fanIn, splitKey, splitPartAt, splitPartOf } from './key-split.ts'

const value = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 6 }),
  fc.constantFrom(' ', '\0', '\0 ', ' \0\x01', new Uint8Array([0x20, 0, 1])),
)
const parts = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(limits.writePartsMax))

describe('parts of a key', () => {
  it('say what they are', () => {
    fc.assert(
      fc.property(value, parts, (given, k) => {
        const key = encodeKey(given)
        for (const [part, sub] of fanIn(key, k).entries()) {
          expect(sub.startsWith(key)).toBe(true)
          expect(splitPartAt(sub, key.length)).toBe(part)
        }
      }),
    )
  })

  it('lie between the rows of their key and the next key, and equal nothing else', () => {
    fc.assert(
      fc.property(value, value, value, parts, (given, otherGiven, sortGiven, k) => {
        const [key, other, sort] = [encodeKey(given), encodeKey(otherGiven), encodeKey(sortGiven)]
        const subs = fanIn(key, k)
        expect(subs).toEqual([...subs].sort())
        for (const sub of subs.slice(1)) {
          expect(sub > key + sort).toBe(true)
          if (other !== key) for (const theirs of fanIn(other, k)) expect(theirs < key).toBe(theirs < sub)
        }
        if (other !== key) for (const theirs of fanIn(other, k)) expect(subs).not.toContain(theirs)
      }),
    )
  })

  it('cannot be named by a client', () => {
    const key = encodeKey('a')
    expect(() => assertEncodedKey(splitKey(key, 1, 2), 'key')).toThrow()
    expect(splitKey(key, 0, 2)).toBe(key)
  })

  it('more parts keep the ones there are', () => {
    const key = encodeKey(7)
    expect(fanIn(key, 8).slice(0, 3)).toEqual(fanIn(key, 3))
  })

  it('an operation always goes to the same part, and operations go to all', () => {
    const operation = (n: number) => String(n).padStart(16, '0') as OperationId
    const hit = new Set(Array.from({ length: 200 }, (_, n) => splitPartOf(operation(n), 8)))
    expect([...hit].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(splitPartOf(operation(5), 8)).toBe(splitPartOf(operation(5), 8))
  })

  it('a suffix that names no part is refused', () => {
    const key = encodeKey('a')
    const at = key.length
    expect(splitPartAt(key + encodeKey('sort'), at)).toBe(0)
    for (const suffix of [' ', ' \0', ' \0\0', ' \0\x40', ' \xff\x01'])
      expect(() => splitPartAt(key + suffix, at)).toThrow(/no part/)
    expect(() => splitKey(key, 2, 2)).toThrow()
    expect(() => splitKey(key, 0, 65)).toThrow()
  })
})
