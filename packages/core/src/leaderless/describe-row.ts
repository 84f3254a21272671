import type { ByteString } from '../base/ids.ts'
import { decodeKeyAt, describeKey } from '../base/key-encoding.ts'
import { rowKeyParts } from '../partitioning/row-key.ts'

/** Where the key of a row begins, behind space, table and token. */
const BOUNDARY_AT = 9

/** A row's key in words, for messages. */
export function describeRow(key: ByteString): string {
  const { partitionKey, sortKey } = rowKeyParts(key)
  return sortKey === ''
    ? `row ${describeKey(partitionKey)}`
    : `row ${describeKey(partitionKey)} / ${describeKey(sortKey)}`
}

/** A boundary of a table in key order, in words. */
export function describeBoundary(from: ByteString): string {
  if (from.length <= BOUNDARY_AT) return 'the first key'
  const [, end] = decodeKeyAt(from, BOUNDARY_AT)
  const partitionKey = describeKey(from.slice(BOUNDARY_AT, end))
  return end >= from.length ? partitionKey : `${partitionKey} / ${describeKey(from.slice(end))}`
}
