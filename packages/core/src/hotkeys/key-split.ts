/**
 * Names for the parts of one hot row.
 *
 * Problem: all writes of one key meet at one replica set, however many nodes there are. Where the cell is
 * mergeable (a counter, a set), writes can go to `k` sub-keys and a read merges the k cells.
 *
 * Encoding: part 0 is the key itself, so a row that was never split is its own part 0, and splitting starts
 * and grows without moving anything; part i (1 … k−1) is the encoded partition key, the byte 0x20, and i in
 * two bytes, big-endian. k is not in the name: a larger k adds parts and keeps the old ones. A smaller k may
 * be used for writing at once, but reads must fan in over the largest k ever used until the surplus parts
 * have been merged away.
 *
 * Invariants: no encoded key is a prefix of another (base/key-encoding.ts), and no key type is 0x20: so a
 * sub-key equals no user key, no user key with a sort key, and no sub-key of another key. Sub-keys of a key
 * sort after all rows of the key and before every other key. Clients cannot name them: `assertEncodedKey`
 * refuses bytes after a key's end. A retried operation must reach the same part, or it would count twice: the
 * part comes from the operation id.
 */

import { assert } from '../base/assert.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { decodeKeyAt } from '../base/key-encoding.ts'
import { murmur3OfString } from '../base/murmur3.ts'

/** One byte of type, two of number. Sub-keys may exceed `limits.keyBytesMax` by this much. */
export const splitSuffixBytes = 3
/** A read asks for all parts: past this it costs more than the writes gain. */
export const splitPartsMax = 64

const TYPE_SPLIT = '\x20'

function assertParts(k: number): void {
  assert(Number.isInteger(k) && k >= 1 && k <= splitPartsMax, 'parts of a key: 1 … 64', k)
}

/** Part `i` of `k` of an encoded partition key. */
export function splitKey(key: ByteString, i: number, k: number): ByteString {
  assertParts(k)
  assert(Number.isInteger(i) && i >= 0 && i < k, 'a part of the key', i)
  if (i === 0) return key
  return (key + TYPE_SPLIT + String.fromCharCode(i >> 8, i & 255)) as ByteString
}

/** All parts of a key, in their order: what a read merges. */
export function fanIn(key: ByteString, k: number): ByteString[] {
  return Array.from({ length: k }, (_, i) => splitKey(key, i, k))
}

/** The part that an operation writes: the same one whenever it is tried. */
export function splitPartOf(operation: OperationId, k: number): number {
  assertParts(k)
  return murmur3OfString(operation) % k
}

/** The key and part that bytes name; undefined when they name neither a key nor a part of one. */
export function readSplitKey(bytes: string): { readonly key: ByteString; readonly part: number } | undefined {
  const end = keyEnd(bytes)
  if (end === undefined) return undefined
  const key = bytes.slice(0, end) as ByteString
  if (end === bytes.length) return { key, part: 0 }
  if (bytes.length !== end + splitSuffixBytes || bytes[end] !== TYPE_SPLIT) return undefined
  const part = (bytes.charCodeAt(end + 1) << 8) | bytes.charCodeAt(end + 2)
  return part >= 1 && part < splitPartsMax ? { key, part } : undefined
}

function keyEnd(bytes: string): number | undefined {
  try {
    return decodeKeyAt(bytes, 0)[1]
  } catch {
    // Bytes that are no key: that is the answer.
    return undefined
  }
}
