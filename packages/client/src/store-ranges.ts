/** What a query or scan asks for, as ranges of store keys. */

import {
  type ByteString,
  encodeKey,
  type KeyValue,
  keyOfRow,
  prefixEnd,
  QuorateError,
  type TableView,
  tablePrefix,
} from '@quorate/core'
import { PAGE_ROWS } from './range-reader.ts'
import { rangeLeft, type StoreRange } from './resume-token.ts'
import type { RangeOptions } from './table-options.ts'

export const left = (range: StoreRange, { resume }: RangeOptions): StoreRange =>
  resume === undefined ? range : rangeLeft(range, resume)

/** The same sort keys at another place. */
export function movedTo(
  place: ByteString,
  { from, to, reverse }: StoreRange,
  before: ByteString,
): StoreRange {
  const moved = (bound: ByteString): ByteString =>
    bound === prefixEnd(before) ? prefixEnd(place)! : ((place + bound.slice(before.length)) as ByteString)
  return { from: moved(from), to: moved(to), reverse }
}

/** Limits count rows, and what is read on the way to them are parts; a page need not be larger than what is wanted. */
export function unlimited({ limit, pageSize = PAGE_ROWS, ...options }: RangeOptions): RangeOptions {
  return { ...options, pageSize: Math.max(1, Math.min(pageSize, limit ?? pageSize)) }
}

/** The rows of one partition key between two sort keys. */
export function queryRange(prefix: ByteString, { from, to, reverse }: RangeOptions): StoreRange {
  return checked('query', {
    from: from === undefined ? prefix : ((prefix + encodeKey(from)) as ByteString),
    to: to === undefined ? prefixEnd(prefix)! : ((prefix + encodeKey(to) + '\0') as ByteString),
    reverse: reverse ?? false,
  })
}

/** All rows, or on a range table those between two partition keys. */
export function scanRange(view: TableView, { from, to, reverse }: RangeOptions): StoreRange {
  const { id, name, partitioning } = view.descriptor
  const prefix = tablePrefix(id)
  if (view.order === 'hashed' && (from !== undefined || to !== undefined || reverse === true))
    throw new QuorateError(
      'BAD_REQUEST',
      `"${name}" is cut by ${partitioning.kind}, by the hash of its keys: they lie in no order; from, to and reverse of a scan need a range table`,
    )
  const place = (key: KeyValue): ByteString => keyOfRow(view, encodeKey(key), '' as ByteString)
  return checked('scan', {
    from: from === undefined ? prefix : place(from),
    // With all rows of the last key, whatever their sort keys.
    to: to === undefined ? prefixEnd(prefix)! : prefixEnd(place(to))!,
    reverse: reverse ?? false,
  })
}

function checked(verb: string, range: StoreRange): StoreRange {
  if (range.from <= range.to) return range
  throw new QuorateError('BAD_REQUEST', `the ${verb} ends before it starts: "from" is greater than "to"`)
}
