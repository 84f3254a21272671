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
