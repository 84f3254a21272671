/**
 * Store keys of rows: 'r' · table (4 bytes) · token (4 bytes) · encoded partition key · encoded sort key.
 * Token first, so a partition of a hash table is one contiguous range; key encodings are prefix-free, so
 * the rows of one partition key are one range too, in sort-key order.
 */

import { prefixEnd, stringToU32, u32ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, TableId, Token } from '../base/ids.ts'
import { assertEncodedKey, decodeKeyAt } from '../base/key-encoding.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import { keyspaces } from '../store/keyspace.ts'
import { TOKENS } from './partition-map.ts'

const HEADER = 1 + 4 + 4

export function tokenOf(partitionKey: ByteString): Token {
  return murmur3OfString(partitionKey) as Token
}

export function tablePrefix(table: TableId): ByteString {
  return (keyspaces.row + u32ToString(table)) as ByteString
}

export function rowKey(
  table: TableId,
  token: Token,
  partitionKey: ByteString,
  sortKey: ByteString,
): ByteString {
  return (keyspaces.row + u32ToString(table) + u32ToString(token) + partitionKey + sortKey) as ByteString
}

export const rowToken = (key: ByteString): Token => stringToU32(key, 5) as Token
export const rowTable = (key: ByteString): TableId => stringToU32(key, 1) as TableId

/** Splits a row key into its encoded partition key and sort key ('' when the table has none). */
export function rowKeyParts(key: ByteString): { partitionKey: ByteString; sortKey: ByteString } {
  const [, end] = decodeKeyAt(key, HEADER)
  return { partitionKey: key.slice(HEADER, end) as ByteString, sortKey: key.slice(end) as ByteString }
}

/** The store range [from, to) of all rows of a table whose token is in [start, end). */
export function tokenRange(table: TableId, start: number, end: number): { from: ByteString; to: ByteString } {
  const prefix = tablePrefix(table)
  const to = end >= TOKENS ? prefixEnd(prefix)! : ((prefix + u32ToString(end)) as ByteString)
  return { from: (prefix + u32ToString(start)) as ByteString, to }
}

/** Refuses bytes that are not the key of a row of this table: what comes from a peer passes here before it is kept. */
export function assertRowKey(table: TableId, key: ByteString): void {
  if (key.charAt(0) !== keyspaces.row || key.length < HEADER || rowTable(key) !== table) {
    throw new QuorateError('BAD_REQUEST', 'the row key does not belong to the table')
  }
  const { partitionKey, sortKey } = rowKeyParts(key)
  if (rowToken(key) !== tokenOf(partitionKey))
    throw new QuorateError('BAD_REQUEST', 'the row key does not hash to its token')
  if (sortKey !== '') assertEncodedKey(sortKey, 'sort key')
}
