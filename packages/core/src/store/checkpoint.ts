/**
 * Writes a frozen memtable into the table.
 *
 * Problem: a memtable is too large for one table transaction without stalling everything else, yet the
 * checkpoint position may move only when all of it is there. Mechanism: entries go over in batches, in
 * key order; the last batch carries the extras and the new position. Replaying the log over a table
 * that holds some of these values already gives the same values again, so a checkpoint cut short
 * costs nothing but the work; its first batch sets `draining` (see `store-record.ts`).
 *
 * Invariants: nothing goes into the table before it is durable in the log (or a lost tail could be
 * half there); segments go only after the batch with the position is durable.
 */

import type { ByteString, Incarnation } from '../base/ids.ts'
import { Slab } from '../base/slab.ts'
import type { Table, TableWrite } from '../ports/table.ts'
import type { Memtable } from './memtable.ts'
import { sealValue } from './sealed-value.ts'
import { STORE_RECORD_VERSION, type StoreRecord, writeStoreRecord } from './store-record.ts'

export interface CheckpointOptions {
  readonly table: Table
  readonly incarnation: Incarnation
  readonly memtable: Memtable
  /** Already sealed, as of the moment the memtable was frozen. */
  readonly extras: readonly TableWrite[]
  /** Checkpoint position that stands in the table now, and the one to put there. */
  readonly firstSegment: number
  readonly nextFirstSegment: number
  readonly batchBytes: number
  /** Writes one batch, waiting out a full disk; false when the store has stopped. */
  write(batch: readonly TableWrite[]): Promise<boolean>
}

/** True when the new position is durable; false when the store stopped before. */
export async function writeCheckpoint(options: CheckpointOptions): Promise<boolean> {
  const { incarnation, batchBytes } = options
  const record = (firstSegment: number, draining: boolean): StoreRecord => ({
    version: STORE_RECORD_VERSION,
    incarnation,
    firstSegment,
    creating: false,
    draining,
  })
  const slab = new Slab()
  let batch: TableWrite[] = []
  let bytes = 0
  let draining = false
  for (const [key, { value }] of options.memtable.entries('' as ByteString, undefined, false)) {
    if (bytes >= batchBytes) {
      if (!draining) batch.push(writeStoreRecord(record(options.firstSegment, true)))
      draining = true
      if (!(await options.write(batch))) return false
      batch = []
      bytes = 0
    }
    batch.push({ key, value: value === undefined ? undefined : sealValue(key, value, slab) })
    bytes += key.length + (value?.length ?? 0)
  }
  batch.push(...options.extras, writeStoreRecord(record(options.nextFirstSegment, false)))
  return options.write(batch)
}

export function sealExtras(extras: readonly TableWrite[]): TableWrite[] {
  return extras.map(({ key, value }) => ({
    key,
    value: value === undefined ? undefined : sealValue(key, value),
  }))
}
