/**
 * Names for the parts of one hot key.
 *
 * Problem: all writes of one key meet at one replica set, however many nodes there are. In a table with
 * `hotKeys: { writeParts: k }` they go to k parts, each a row of its own with a token, a partition and replicas of its
 * own, and a read joins the k cells (leaderless/split-read.ts, split-write.ts).
 *
 * Encoding: part 0 is the key itself; part i (1 … k−1) is the encoded partition key, the byte 0x20, and i in two bytes,
 * big-endian. The token of a part is the hash of all of that.
 *
 * Invariants: no encoded key is a prefix of another (base/key-encoding.ts), and no key type is 0x20: so a part's name
 * equals no user key, no user key with a sort key, and no part of another key. Clients cannot name parts:
 * `assertEncodedKey` refuses bytes after a key's end. A retried operation must reach the same part, or its value would
 * stand beside itself: the part comes from the operation id.
 */

import { assert } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { murmur3OfString } from '../base/murmur3.ts'

/** One byte of type, two of number. The name of a part may exceed `limits.keyBytesMax` by this much. */
export const splitSuffixBytes = 3

const TYPE_SPLIT = '\x20'

function assertParts(k: number): void {
  assert(Number.isInteger(k) && k >= 1 && k <= limits.writePartsMax, 'parts of a key: 1 … 64', k)
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

/** The part that a suffix at `at` names, 0 when there is none; throws BAD_REQUEST when it names none as it should. */
export function splitPartAt(bytes: string, at: number): number {
  if (bytes[at] !== TYPE_SPLIT) return 0
  const part = (bytes.charCodeAt(at + 1) << 8) | bytes.charCodeAt(at + 2)
  if (bytes.length < at + splitSuffixBytes || part < 1 || part >= limits.writePartsMax)
    throw new QuorateError('BAD_REQUEST', 'the row key names no part of its key')
  return part
}
