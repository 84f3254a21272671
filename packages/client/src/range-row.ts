/** Rows as ranges give them. */

import { type ByteString, decodeDocument } from '@quorate/core'
import type { Receipt } from './receipt.ts'
import { resumeAfter, type StoreRange } from './resume-token.ts'
import type { RawRow } from './split-ranges.ts'
import type { ContextToken, RowResult } from './table-options.ts'

/** A row of a range. */
export class RangeRow<T> implements RowResult<T> {
  readonly value: T | undefined
  readonly siblings: readonly T[]
  readonly context: ContextToken
  readonly receipt: Receipt
  readonly #range: StoreRange | undefined
  readonly #key: ByteString

  constructor(row: RowResult<T>, key: ByteString, range: StoreRange | undefined) {
    const { value, siblings, context, receipt } = row
    this.value = value
    this.siblings = siblings
    this.context = context
    this.receipt = receipt
    this.#range = range
    this.#key = key
  }

  /**
   * Text that lets another call, also of another process, go on behind this row; undefined for scans of tables
   * that keep their rows in parts.
   */
  get resume(): string | undefined {
    return this.#range === undefined ? undefined : resumeAfter(this.#range, this.#key)
  }
}

export function decodeRow<T>({ values, context, receipt }: Omit<RawRow, 'key'>): RowResult<T> {
  const siblings = values.map(value => decodeDocument(value) as T)
  return {
    value: siblings.length === 1 ? siblings[0] : undefined,
    siblings,
    context: new Uint8Array(context),
    receipt,
  }
}
