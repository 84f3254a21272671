/**
 * Queries and scans of tables that split the writes of their keys: each row once, whole.
 *
 * Problem: a row lies in k parts, each in its own place, so a range of the store shows parts. Nodes give what they are
 * asked for, deleted parts included, since the row may live on in another.
 *
 * A query (one partition key) merges k ranges in the order of the sort key, and joins the parts of each row as they
 * meet. A scan meets the parts of a row far from each other: at the first one the row is read as `get` reads it, and it is
 * remembered, so that the others are passed over: k reads per row, and the keys of the table in memory. Whatever part a
 * value is written to meanwhile, a row that is there all along is met: its first part, if only as a deletion. Both are
 * no snapshot: rows are read at different times. Tables of hot keys are small; for others this is the wrong setting.
 */

import { type ByteString, joinContextTokens, rowKeyParts, wholeRowKey } from '@quorate/core'
import type { Receipt } from './receipt.ts'

/** A row, or a part of one, as a range shows it. */
export interface RawRow {
  readonly key: ByteString
  readonly values: readonly Uint8Array[]
  readonly context: Uint8Array
  readonly receipt: Receipt
}

export type RawRows = AsyncGenerator<RawRow, void, undefined>
/** Reads the row that lies, or has a part, at this key. */
export type ReadWhole = (key: ByteString) => Promise<RawRow>

export interface Bounds {
  readonly reverse?: boolean | undefined
  /** Rows, not parts. */
  readonly limit?: number | undefined
}

/** The receipt with the fewest copies: what it promises holds for all. */
export const weaker = (a: Receipt, b: Receipt): Receipt => (b.copies < a.copies ? b : a)

/** Rows of one partition key; `parts`: its parts, each in order. */
export async function* mergeParts(
  parts: readonly RawRows[],
  { reverse = false, limit = Number.MAX_SAFE_INTEGER }: Bounds,
  readWhole: ReadWhole,
): RawRows {
  const heads = await Promise.all(parts.map(next))
  const isBefore = (a: ByteString, b: ByteString): boolean => (reverse ? a > b : a < b)
  try {
    for (let left = limit; left > 0; ) {
      const sortKeys = heads.flatMap(head => (head === undefined ? [] : [head.sortKey]))
      if (sortKeys.length === 0) return
      const first = sortKeys.reduce((a, b) => (isBefore(b, a) ? b : a))
      const met = heads.flatMap(head => (head?.sortKey === first ? [head.row] : []))
      const joined = join(met)
      const row = joined.values.length > 0 ? joined : await readWhole(joined.key)
      if (row.values.length > 0) {
        yield { ...row, receipt: weaker(row.receipt, joined.receipt) }
        left--
      }
      const after = heads.map((head, at) => (head?.sortKey === first ? next(parts[at]!) : head))
      heads.splice(0, heads.length, ...(await Promise.all(after)))
    }
  } finally {
    for (const part of parts) await part.return()
  }
}

interface Head {
  readonly sortKey: ByteString
  readonly row: RawRow
}

async function next(part: RawRows): Promise<Head | undefined> {
  const { value } = await part.next()
  return value === undefined ? undefined : { sortKey: rowKeyParts(value.key).sortKey, row: value }
}

function join(parts: readonly RawRow[]): RawRow {
  const receipts = parts.map(({ receipt }) => receipt)
  return {
    key: wholeRowKey(parts[0]!.key),
    values: parts.flatMap(({ values }) => values),
    context: joinContextTokens(parts.map(({ context }) => context)),
    receipt: receipts.reduce(weaker),
  }
}

/** Rows of a whole table; `met`: what its ranges show. */
export async function* wholeRows(
  met: RawRows,
  { limit = Number.MAX_SAFE_INTEGER }: Bounds,
  readWhole: ReadWhole,
): RawRows {
  const known = new Set<ByteString>()
  let left = limit
  if (left <= 0) return
  for await (const part of met) {
    const key = wholeRowKey(part.key)
    if (known.has(key)) continue
    known.add(key)
    const row = await readWhole(key)
    if (row.values.length === 0) continue
    yield { ...row, receipt: weaker(row.receipt, part.receipt) }
    if (--left <= 0) return
  }
}
