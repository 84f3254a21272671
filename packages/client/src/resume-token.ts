/**
 * Where a range goes on: the key of the last row that was given, and which range it was.
 *
 * Opaque text (base64url). It names the table and the bounds by a fingerprint, so that a token of another range
 * is refused instead of giving other rows; it gives no access to anything: the bounds come from whoever asks.
 */

import {
  type ByteString,
  base64ToBytes,
  bytesToBase64,
  bytesToString,
  murmur3OfString,
  QuorateError,
  stringToBytes,
  u32ToString,
} from '@quorate/core'

export interface StoreRange {
  readonly from: ByteString
  readonly to: ByteString
  readonly reverse: boolean
}

/** Format 1: '\x01' · fingerprint (4 bytes) · key. */
const FORMAT = '\x01'
const HEADER = FORMAT.length + 4

const fingerprint = ({ from, to, reverse }: StoreRange): string =>
  u32ToString(murmur3OfString(`${from}\0${to}\0${reverse ? 'reverse' : ''}`))

export function resumeAfter(range: StoreRange, key: ByteString): string {
  const text = bytesToBase64(stringToBytes(FORMAT + fingerprint(range) + key))
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** The range that is left behind the token. Throws BAD_REQUEST. */
export function rangeLeft(range: StoreRange, token: string): StoreRange {
  const bytes = base64ToBytes(token.replaceAll('-', '+').replaceAll('_', '/'))
  const text = bytes === undefined ? '' : bytesToString(bytes)
  if (!text.startsWith(FORMAT) || text.length < HEADER)
    throw new QuorateError('BAD_REQUEST', 'this is no resume token: take it from the last row of a range')
  const key = text.slice(HEADER) as ByteString
  if (text.slice(FORMAT.length, HEADER) !== fingerprint(range) || key < range.from || key >= range.to)
    throw new QuorateError(
      'BAD_REQUEST',
      'the resume token is of another range: give it with the table, bounds and direction that it came from',
    )
  return range.reverse ? { ...range, to: key } : { ...range, from: (key + '\0') as ByteString }
}
