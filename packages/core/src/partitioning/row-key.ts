/**
 * Store keys of rows: 'r' · table (4 bytes) · token (4 bytes) · encoded partition key · encoded sort key.
 * Token first, so a partition of a hash table is one contiguous range; in range tables every row has token 0,
 * so rows lie in the order of their keys. Key encodings are prefix-free, so the rows of one partition key are
 * one range too, in sort-key order.
 */

import { prefixEnd, stringToU32, u32ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, TableId, Token } from '../base/ids.ts'
import { assertEncodedKey, decodeKeyAt } from '../base/key-encoding.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import { keyspaces } from '../store/keyspace.ts'
import { TOKENS } from './arc-map.ts'

const TOKEN_AT = 1 + 4
const HEADER = TOKEN_AT + 4

export function tokenOf(partitionKey: ByteString): Token {
  return murmur3OfString(partitionKey) as Token
}

/** By what the rows of a table lie in the store: the hash of the partition key, or the keys themselves. */
export type RowOrder = 'hashed' | 'ordered'

/** The token in the store key of a row. */
export function placeOf(order: RowOrder, partitionKey: ByteString): Token {
  return order === 'hashed' ? tokenOf(partitionKey) : (0 as Token)
}

/** What spreads rows over the leaves of a tree: their token, or for ordered rows a hash of the whole key. */
export function leafToken(order: RowOrder, key: ByteString): Token {
  return order === 'hashed' ? rowToken(key) : (murmur3OfString(key.slice(HEADER)) as Token)
}

/** A boundary at a token, as `PartitionEntry.start` has it: the first one is ''. */
export function tokenStart(token: number): ByteString {
  return (token === 0 ? '' : u32ToString(token)) as ByteString
}

/** A boundary at a key of an ordered table: the encoded partition key, with an encoded sort key behind it or not. */
export function keyStart(encodedKey: ByteString): ByteString {
  return (u32ToString(0) + encodedKey) as ByteString
}

/** Tokens [start, end) of a partition of a hash table. */
export function partitionTokens(partition: { readonly from: ByteString; readonly to: ByteString }): {
  start: number
  end: number
} {
  const { from, to } = partition
  const isLast = to.length === TOKEN_AT
  return {
    start: from.length > TOKEN_AT ? stringToU32(from, TOKEN_AT) : 0,
    end: isLast ? TOKENS : stringToU32(to, TOKEN_AT),
  }
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

export const rowToken = (key: ByteString): Token => stringToU32(key, TOKEN_AT) as Token
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
export function assertRowKey(table: TableId, order: RowOrder, key: ByteString): void {
  if (key.charAt(0) !== keyspaces.row || key.length < HEADER || rowTable(key) !== table) {
    throw new QuorateError('BAD_REQUEST', 'the row key does not belong to the table')
  }
  const { partitionKey, sortKey } = rowKeyParts(key)
  if (rowToken(key) !== placeOf(order, partitionKey))
    throw new QuorateError('BAD_REQUEST', 'the row key does not stand at its token')
  if (sortKey !== '') assertEncodedKey(sortKey, 'sort key')
}
