/**
 * Store keys of rows: 'r' · table (4 bytes) · token (4 bytes) · encoded partition key · encoded sort key.
 * Token first, so a partition of a hash table is one contiguous range; in range tables every row has token 0,
 * so rows lie in the order of their keys. Key encodings are prefix-free, so the rows of one partition key are
 * one range too, in sort-key order. In a table that splits the writes of its keys the partition key may have the
 * suffix of a part behind it (key-split.ts): such a row stands at the token of its part.
 */

import { prefixEnd, stringToU32, u32ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, TableId, Token } from '../base/ids.ts'
import { decodeKeyAt } from '../base/key-encoding.ts'
import { limits } from '../base/limits.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import { keyspaces } from '../store/keyspace.ts'
import { TOKENS } from './arc-map.ts'
import { splitKey, splitPartAt, splitSuffixBytes } from './key-split.ts'

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

/** The key of one part of a row, in a hash table that splits its keys; part 0 is the row's own key. */
export function partRowKey(
  table: TableId,
  partitionKey: ByteString,
  part: number,
  sortKey: ByteString,
): ByteString {
  const name = splitKey(partitionKey, part, limits.writePartsMax)
  return rowKey(table, tokenOf(name), name, sortKey)
}

export interface RowKeyParts {
  readonly partitionKey: ByteString
  /** 0 but for the further parts of a split key. */
  readonly part: number
  /** '' when the table has none. */
  readonly sortKey: ByteString
}

/** Takes a row key apart: the encoded partition key and sort key as the user gave them, and the part. */
export function rowKeyParts(key: ByteString): RowKeyParts {
  const [, end] = decodeKeyAt(key, HEADER)
  const part = splitPartAt(key, end)
  const sortAt = part === 0 ? end : end + splitSuffixBytes
  return {
    partitionKey: key.slice(HEADER, end) as ByteString,
    part,
    sortKey: key.slice(sortAt) as ByteString,
  }
}

/** The key of the row that the row with this key is, or is a part of. */
export function wholeRowKey(key: ByteString): ByteString {
  const { partitionKey, part, sortKey } = rowKeyParts(key)
  return part === 0 ? key : partRowKey(rowTable(key), partitionKey, 0, sortKey)
}

/** The store range [from, to) of all rows of a table whose token is in [start, end). */
export function tokenRange(table: TableId, start: number, end: number): { from: ByteString; to: ByteString } {
  const prefix = tablePrefix(table)
  const to = end >= TOKENS ? prefixEnd(prefix)! : ((prefix + u32ToString(end)) as ByteString)
  return { from: (prefix + u32ToString(start)) as ByteString, to }
}

/**
 * Refuses bytes that are not the key of a row of this table, whose keys have so many parts: what comes from a peer passes
 * here before it is kept. Gives what stands behind the partition key, which is for the caller to judge.
 */
export function assertRowKey(table: TableId, order: RowOrder, parts: number, key: ByteString): ByteString {
  if (key.charAt(0) !== keyspaces.row || key.length < HEADER || rowTable(key) !== table) {
    throw new QuorateError('BAD_REQUEST', 'the row key does not belong to the table')
  }
  const { partitionKey, part, sortKey } = rowKeyParts(key)
  if (part >= parts)
    throw new QuorateError(
      'BAD_REQUEST',
      `the row key names part ${part}, and keys of the table have ${parts}`,
    )
  if (rowToken(key) !== placeOf(order, part === 0 ? partitionKey : splitKey(partitionKey, part, parts)))
    throw new QuorateError('BAD_REQUEST', 'the row key does not stand at its token')
  return sortKey
}
