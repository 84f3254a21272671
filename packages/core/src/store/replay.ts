/** Puts replayed records into the memtable, telling whoever derives something from rows what changed. */

import type { ByteString } from '../base/ids.ts'
import type { Table } from '../ports/table.ts'
import { decodeBatches } from './group-buffer.ts'
import type { Memtable } from './memtable.ts'
import { openValue } from './sealed-value.ts'
import { DAMAGED, type Stored } from './store-face.ts'

export interface ReplayOptions {
  readonly table: Table
  readonly memtable: Memtable
  /** A checkpoint was cut short: the table may hold values newer than the write being replayed. */
  readonly draining: boolean
  readonly onReplay: ((key: ByteString, before: Stored, after: Uint8Array | undefined) => void) | undefined
}

/** Replayed writes have position 0: they are durable before the store opens. */
export function replayRecord(options: ReplayOptions, payload: Uint8Array): void {
  const { memtable, onReplay } = options
  for (const batch of decodeBatches(payload)) {
    for (const { key, value } of batch) {
      onReplay?.(key, valueBefore(options, key), value)
      memtable.set(key, value, 0)
    }
  }
}

function valueBefore({ table, memtable, draining }: ReplayOptions, key: ByteString): Stored {
  const entry = memtable.get(key)
  if (entry !== undefined) return entry.value
  if (draining) return DAMAGED
  const sealed = table.get(key)
  return sealed === undefined ? undefined : (openValue(key, sealed) ?? DAMAGED)
}
