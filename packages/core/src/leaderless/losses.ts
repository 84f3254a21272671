/**
 * Has this store, or the one that it takes the place of, ever lost rows? A mark that is durable with the first sign of it
 * (a damaged copy, a disk that was emptied) and never taken back.
 *
 * Who lacks a write that was collected and who lacks one that was lost look alike. So a store with the mark no longer
 * says how far its partitions were collected, and a session that misses something hears that it was not reached, rather
 * than that it is gone (leaderless/read-demand.ts).
 */

import { bytesToString, stringToBytes, stringToU64, u64ToString } from '../base/bytes.ts'
import type { ByteString, Stamp } from '../base/ids.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import type { Store } from '../store/store-face.ts'
import type { Fences } from '../sweep/fences.ts'

const KEY = `${keyspaces.meta}rows-lost` as ByteString

export const lossMark: TableWrite = { key: KEY, value: new Uint8Array([1]) }

/** Up to where all that this row is missing here has been collected. */
export function collectedUpTo({ store, fences }: { store: Store; fences: Fences }, key: ByteString): Stamp {
  const { watermark } = fences.at(key)
  return watermark === 0 || store.get(KEY) === undefined ? watermark : (0 as Stamp)
}

const FLOOR_KEY = `${keyspaces.meta}promise-floor` as ByteString

/** A store that takes the place of a lost one may have promised, and accepted, anything up to here. */
export const promiseFloor = (stamp: Stamp): TableWrite => ({
  key: FLOOR_KEY,
  value: stringToBytes(u64ToString(stamp)),
})

/** 0: nothing was lost. */
export function promiseFloorOf(store: Pick<Store, 'get'>): Stamp {
  const stored = store.get(FLOOR_KEY)
  return (stored instanceof Uint8Array ? stringToU64(bytesToString(stored), 0) : 0) as Stamp
}
