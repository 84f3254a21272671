/**
 * MurmurHash3 x86-32 (Appleby 2011, public domain), the hash behind tokens: fast in JavaScript since
 * it needs 32-bit arithmetic only, and well spread. Not for adversaries. Frozen: changing it moves
 * every row of every cluster. Checked against the published vectors.
 */

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by))
}

function finish(hash: number, length: number): number {
  let h = hash ^ length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

const mixBlock = (k: number): number => Math.imul(rotate(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593)
const mixHash = (h: number): number => (Math.imul(rotate(h, 13), 5) + 0xe6546b64) | 0

/** Hash of a byte string (each char code one byte), 0 … 2³²−1. */
export function murmur3OfString(text: string, seed = 0): number {
  const length = text.length
  const blocks = length & ~3
  let h = seed | 0
  for (let i = 0; i < blocks; i += 4) {
    const k =
      text.charCodeAt(i) |
      (text.charCodeAt(i + 1) << 8) |
      (text.charCodeAt(i + 2) << 16) |
      (text.charCodeAt(i + 3) << 24)
    h = mixHash(h ^ mixBlock(k))
  }
  let tail = 0
  for (let i = length - 1; i >= blocks; i--) tail = (tail << 8) | text.charCodeAt(i)
  if (length > blocks) h ^= mixBlock(tail)
  return finish(h, length)
}

/** Hash of bytes, 0 … 2³²−1. */
export function murmur3OfBytes(bytes: Uint8Array, seed = 0): number {
  const length = bytes.length
  const blocks = length & ~3
  let h = seed | 0
  for (let i = 0; i < blocks; i += 4) {
    const k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    h = mixHash(h ^ mixBlock(k))
  }
  let tail = 0
  for (let i = length - 1; i >= blocks; i--) tail = (tail << 8) | bytes[i]!
  if (length > blocks) h ^= mixBlock(tail)
  return finish(h, length)
}

const C1 = 0x239b961b
const C2 = 0xab0e9789
const C3 = 0x38b34ae5
const C4 = 0xa1e38b93

const final = (value: number): number => {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** MurmurHash3 x86-128: four lanes in one pass, each starting from its own seed (equal in the reference). */
export function murmur3x128(
  bytes: Uint8Array,
  s1: number,
  s2: number,
  s3: number,
  s4: number,
): [number, number, number, number] {
  let h1 = s1 | 0
  let h2 = s2 | 0
  let h3 = s3 | 0
  let h4 = s4 | 0
  const length = bytes.length
  const blocks = length & ~15
  const word = (i: number): number =>
    bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
  for (let i = 0; i < blocks; i += 16) {
    h1 ^= Math.imul(rotate(Math.imul(word(i), C1), 15), C2)
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0
    h2 ^= Math.imul(rotate(Math.imul(word(i + 4), C2), 16), C3)
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0
    h3 ^= Math.imul(rotate(Math.imul(word(i + 8), C3), 17), C4)
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0
    h4 ^= Math.imul(rotate(Math.imul(word(i + 12), C4), 18), C1)
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0
  }
  const tail = [0, 0, 0, 0]
  for (let i = blocks; i < length; i++) tail[(i - blocks) >> 2]! |= bytes[i]! << (8 * ((i - blocks) & 3))
  if (length - blocks > 12) h4 ^= Math.imul(rotate(Math.imul(tail[3]!, C4), 18), C1)
  if (length - blocks > 8) h3 ^= Math.imul(rotate(Math.imul(tail[2]!, C3), 17), C4)
  if (length - blocks > 4) h2 ^= Math.imul(rotate(Math.imul(tail[1]!, C2), 16), C3)
  if (length > blocks) h1 ^= Math.imul(rotate(Math.imul(tail[0]!, C1), 15), C2)
  h1 ^= length
  h2 ^= length
  h3 ^= length
  h4 ^= length
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = (h2 + h1) | 0
  h3 = (h3 + h1) | 0
  h4 = (h4 + h1) | 0
  h1 = final(h1)
  h2 = final(h2)
  h3 = final(h3)
  h4 = final(h4)
  h1 = (h1 + h2 + h3 + h4) | 0
  return [h1 >>> 0, (h2 + h1) >>> 0, (h3 + h1) >>> 0, (h4 + h1) >>> 0]
}
