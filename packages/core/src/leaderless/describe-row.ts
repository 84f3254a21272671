import type { ByteString } from '../base/ids.ts'
import { decodeKeyAt, describeKey } from '../base/key-encoding.ts'
import { placeOfField, type TableView } from '../catalog/catalog.ts'
import { fieldsOf } from '../catalog/table-descriptor.ts'
import { rowKeyParts } from '../partitioning/row-key.ts'

/** Where the key of a row begins, behind space, table and token. */
const BOUNDARY_AT = 9

/** A row's key in words, for messages. */
export function describeRow(key: ByteString): string {
  const { partitionKey, sortKey } = rowKeyParts(key)
  return `row ${[partitionKey, ...encodedKeysIn(sortKey)].map(describeKey).join(' / ')}`
}

/** A sort key, and behind it where in the row a field of it is. */
function encodedKeysIn(keys: ByteString): ByteString[] {
  const out: ByteString[] = []
  for (let at = 0; at < keys.length; ) {
    const [, end] = decodeKeyAt(keys, at)
    out.push(keys.slice(at, end) as ByteString)
    at = end
  }
  return out
}

export interface RowWords {
  readonly key: string
  readonly sort: string | null
  /** In a table whose rows merge by fields: which, and of a set which element. */
  readonly field: string | null
}

/** The parts of a row's key in words. */
export function rowWords(view: TableView, key: ByteString): RowWords {
  const { partitionKey, sortKey } = rowKeyParts(key)
  const { field } = fieldsOf(view.descriptor) === undefined ? { field: '' } : placeOfField(view, key)
  const sort = sortKey.slice(0, sortKey.length - field.length) as ByteString
  return {
    key: describeKey(partitionKey),
    sort: sort === '' ? null : describeKey(sort),
    field:
      field === ''
        ? null
        : encodedKeysIn(field as ByteString)
            .map(describeKey)
            .join(' / '),
  }
}

/** A boundary of a table in key order, in words. */
export function describeBoundary(from: ByteString): string {
  if (from.length <= BOUNDARY_AT) return 'the first key'
  const [, end] = decodeKeyAt(from, BOUNDARY_AT)
  const partitionKey = describeKey(from.slice(BOUNDARY_AT, end))
  return end >= from.length ? partitionKey : `${partitionKey} / ${describeKey(from.slice(end))}`
}
