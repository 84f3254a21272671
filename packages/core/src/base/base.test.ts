import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToString, prefixEnd, stringToBytes, stringToU64, u64ToString } from './bytes.ts'
import { crc32c, crc32cOfString } from './crc32c.ts'
import { QuorateError } from './errors.ts'
import { assertEncodedKey, decodeKey, encodeKey, type KeyValue } from './key-encoding.ts'
import { murmur3OfBytes, murmur3OfString, murmur3x128 } from './murmur3.ts'
import { SeededRandom } from './prng.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('MurmurHash3 x86-32', () => {
  // Vectors published with the SMHasher discussion and used by many ports.
  const vectors: [string, number, number][] = [
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['\xff\xff\xff\xff', 0, 0x76293b50],
    ['\x21\x43\x65\x87', 0, 0xf55b516b],
    ['\x21\x43\x65\x87', 0x5082edee, 0x2362f9de],
    ['\x21\x43\x65', 0, 0x7e4a8634],
    ['\x21\x43', 0, 0xa0f7b07a],
    ['\x21', 0, 0x72661cf4],
    ['\0\0\0\0', 0, 0x2362f9de],
    ['Hello, world!', 0x9747b28c, 0x24884cba],
    ['The quick brown fox jumps over the lazy dog', 0x9747b28c, 0x2fa826cd],
  ]
  it.each(vectors)('%j with seed %i', (text, seed, hash) => {
    expect(murmur3OfString(text, seed)).toBe(hash)
    expect(murmur3OfBytes(stringToBytes(text), seed)).toBe(hash)
  })
})

describe('MurmurHash3 x86-128', () => {
  const hex = (text: string, seed: number): string =>
    murmur3x128(bytes(text), seed, seed, seed, seed)
      .map(lane => lane.toString(16).padStart(8, '0'))
      .join('')
  it('gives the values of the reference implementation', () => {
    expect(hex('', 0)).toBe('00000000000000000000000000000000')
    expect(hex('I will not buy this record, it is scratched.', 0)).toBe('a0a9683b25ac5e40d9af2895890dddf5')
    expect(hex('My hovercraft is full of eels.', 25)).toBe('33e54463e1a104d6dbb7d15030df01fb')
  })
})

describe('CRC-32C', () => {
  it('gives the check value and the vectors of RFC 3720', () => {
    expect(crc32c(bytes('123456789'))).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43)
  })
  it('continues from a seed, and is the same for byte strings', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat(), (data, cut) => {
        const at = data.length === 0 ? 0 : cut % data.length
        expect(crc32c(data, at, data.length, crc32c(data, 0, at))).toBe(crc32c(data))
        expect(crc32cOfString(bytesToString(data))).toBe(crc32c(data))
      }),
    )
  })
})

describe('byte strings', () => {
  it('convert both ways and order like bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(stringToBytes(bytesToString(a))).toEqual(new Uint8Array(a))
        const order = Buffer.compare(a, b)
        const [x, y] = [bytesToString(a), bytesToString(b)]
        expect(Math.sign(x < y ? -1 : x > y ? 1 : 0)).toBe(order)
      }),
    )
  })
  it('prefixEnd bounds every string with the prefix, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 4 }),
        fc.uint8Array({ maxLength: 6 }),
        (p, other) => {
          const prefix = bytesToString(p)
          const text = bytesToString(other)
          const end = prefixEnd(prefix)
          const inside = text >= prefix && (end === undefined || text < end)
          expect(inside).toBe(text.startsWith(prefix))
        },
      ),
    )
  })
  it('u64 keeps the order of safe integers', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        expect(stringToU64(u64ToString(a))).toBe(a)
        expect(u64ToString(a) < u64ToString(b)).toBe(a < b)
      }),
    )
  })
})

const keyValue: fc.Arbitrary<KeyValue> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }),
)

/** A double means the shortest decimal that names it: 1e37 is the key 10n ** 37n, whatever its bits are exactly. */
function decimal(value: number | bigint): number | bigint {
  if (typeof value === 'bigint' || Number.isSafeInteger(value) || !Number.isInteger(value)) return value
  const [digits = '', power = '0'] = String(value).split('e+')
  const [whole = '', fraction = ''] = digits.split('.')
  return BigInt(whole + fraction.padEnd(Number(power), '0'))
}

/** The order written down naively: the oracle. */
function compareKeys(a: KeyValue, b: KeyValue): number {
  const rank = (k: KeyValue): number =>
    k === null
      ? 0
      : k === false
        ? 1
        : k === true
          ? 2
          : typeof k === 'number' || typeof k === 'bigint'
            ? 3
            : typeof k === 'string'
              ? 4
              : 5
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  if (rank(a) === 3) {
    const [x, y] = [decimal(a as number), decimal(b as number)]
    return x < y ? -1 : x > y ? 1 : 0
  }
  if (rank(a) === 4) return Buffer.compare(Buffer.from(a as string), Buffer.from(b as string))
  if (rank(a) === 5) return Buffer.compare(a as Uint8Array, b as Uint8Array)
  return 0
}

describe('key encoding', () => {
  it('orders like the values', () => {
    fc.assert(
      fc.property(keyValue, keyValue, (a, b) => {
        const [x, y] = [encodeKey(a), encodeKey(b)]
        expect(Math.sign(x < y ? -1 : x > y ? 1 : 0)).toBe(Math.sign(compareKeys(a, b)))
      }),
      { numRuns: 5_000 },
    )
  })
  it('decodes to what was encoded', () => {
    fc.assert(
      fc.property(keyValue, value => {
        const decoded = decodeKey(encodeKey(value))
        if (typeof value === 'bigint' || typeof value === 'number')
          expect(compareKeys(decoded, Object.is(value, -0) ? 0 : value)).toBe(0)
        else expect(decoded).toEqual(value)
        assertEncodedKey(encodeKey(value), 'key')
      }),
      { numRuns: 5_000 },
    )
  })
  it('is prefix-free, so composite keys order part by part', () => {
    fc.assert(
      fc.property(keyValue, keyValue, keyValue, keyValue, (a, b, c, d) => {
        const first = compareKeys(a, c)
        const expected = Math.sign(first !== 0 ? first : compareKeys(b, d))
        const [x, y] = [encodeKey(a) + encodeKey(b), encodeKey(c) + encodeKey(d)]
        expect(Math.sign(x < y ? -1 : x > y ? 1 : 0)).toBe(expected)
      }),
      { numRuns: 5_000 },
    )
  })
  it('takes the extremes of double and 38-digit integers', () => {
    for (const value of [
      5e-324,
      -5e-324,
      Number.MAX_VALUE,
      2 ** 53,
      12345678901234567890123456789012345678n,
      -1n,
    ]) {
      expect(decodeKey(encodeKey(value))).toBe(typeof value === 'bigint' && value === -1n ? -1 : value)
    }
    expect(encodeKey(1n)).toBe(encodeKey(1))
    expect(encodeKey(-0)).toBe(encodeKey(0))
  })
  it.each([
    ['NaN', () => encodeKey(Number.NaN)],
    ['a lone surrogate', () => encodeKey('\ud800')],
    ['39 digits', () => encodeKey(10n ** 38n + 1n)],
    ['too many bytes', () => encodeKey('x'.repeat(1_000))],
    ['an undefined', () => encodeKey(undefined as unknown as null)],
  ])('refuses %s', (_, encode) => {
    expect(encode).toThrow(QuorateError)
  })
  it('refuses or round-trips arbitrary bytes, and never crashes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), data => {
        const text = bytesToString(data)
        try {
          assertEncodedKey(text, 'key')
        } catch (error) {
          expect(error).toBeInstanceOf(QuorateError)
          return
        }
        expect(encodeKey(decodeKey(text))).toBe(text)
      }),
      { numRuns: 20_000 },
    )
  })
})

describe('SeededRandom', () => {
  it('is the same sequence for the same seed, and another for another', () => {
    const take = (seed: number): number[] => {
      const random = new SeededRandom(seed)
      return Array.from({ length: 8 }, () => random.uint32())
    }
    expect(take(42)).toEqual(take(42))
    expect(take(42)).not.toEqual(take(43))
  })
})
