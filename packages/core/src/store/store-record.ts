/**
 * The one key in the table that belongs to the store itself: whose table this is and from which log
 * segment on it must be replayed.
 *
 * `creating` marks a directory whose first segment may not be there yet; after that, a log that lacks
 * `firstSegment` has lost something. `draining` is set by the first batch of a checkpoint that needs
 * several and cleared by the last: with it, the table may already hold values newer than the
 * checkpoint, so what it says about the time *before* a replayed write is not to be trusted.
 */

import {
  byteString,
  bytesToString,
  stringToBytes,
  stringToU32,
  stringToU64,
  u32ToString,
  u64ToString,
} from '../base/bytes.ts'
import type { ByteString, Incarnation } from '../base/ids.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from './keyspace.ts'
import { openValue, sealValue } from './sealed-value.ts'

export const STORE_RECORD_KEY = keyspaces.store as ByteString
export const STORE_RECORD_VERSION = 1

export interface StoreRecord {
  readonly version: number
  readonly incarnation: Incarnation
  /** The table holds every batch of the segments before this one. */
  readonly firstSegment: number
  readonly creating: boolean
  readonly draining: boolean
}

export function writeStoreRecord(record: StoreRecord): TableWrite {
  const flags = (record.creating ? 1 : 0) | (record.draining ? 2 : 0)
  const text =
    u32ToString(record.version) + record.incarnation + u64ToString(record.firstSegment) + byteString(flags)
  return { key: STORE_RECORD_KEY, value: sealValue(STORE_RECORD_KEY, stringToBytes(text)) }
}

/** undefined when the record does not open: damage, since it was written atomically. */
export function readStoreRecord(sealed: Uint8Array): StoreRecord | undefined {
  const bytes = openValue(STORE_RECORD_KEY, sealed)
  if (bytes === undefined || bytes.length !== 21) return undefined
  const text = bytesToString(bytes)
  const flags = text.charCodeAt(20)
  return {
    version: stringToU32(text),
    incarnation: text.slice(4, 12) as Incarnation,
    firstSegment: stringToU64(text, 12),
    creating: (flags & 1) !== 0,
    draining: (flags & 2) !== 0,
  }
}
