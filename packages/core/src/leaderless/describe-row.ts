import type { ByteString } from '../base/ids.ts'
import { describeKey } from '../base/key-encoding.ts'
import { rowKeyParts } from '../partitioning/row-key.ts'

/** A row's key in words, for messages. */
export function describeRow(key: ByteString): string {
  const { partitionKey, sortKey } = rowKeyParts(key)
  return sortKey === ''
    ? `row ${describeKey(partitionKey)}`
    : `row ${describeKey(partitionKey)} / ${describeKey(sortKey)}`
}
