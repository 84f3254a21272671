/**
 * Removes the log of a partition that is not kept here any more. A replica made of what is left of one must not take it
 * for whole: the record of its progress says from the first step to the last that it is to be filled anew.
 */

import { prefixEnd, u32ToString } from '../base/bytes.ts'
import type { ByteString, TableId } from '../base/ids.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store } from '../store/store-face.ts'
import { decodeProgress, encodeProgress } from './replica-progress.ts'

const placeOf = (table: TableId, partition: number): string => u32ToString(table) + u32ToString(partition)
const progressKey = (place: string): ByteString => (keyspaces.undo + place) as ByteString

/** Marks what is here as the remains of a log. False: there is none, or it is marked. */
export function giveUpLog(store: Store, table: TableId, partition: number): boolean {
  const key = progressKey(placeOf(table, partition))
  const stored = store.get(key)
  if (stored === undefined || stored === DAMAGED) return false
  const progress = decodeProgress(stored)
  if (progress.isLoading) return false
  store.commit([{ key, value: encodeProgress({ ...progress, isLoading: true }) }])
  return true
}

/** Removes so many of its records; true when nothing is left. */
export function dropLog(store: Store, table: TableId, partition: number, most: number): boolean {
  const place = placeOf(table, partition)
  const keys: ByteString[] = []
  for (const space of [keyspaces.log, keyspaces.undo])
    for (const [key] of store.scan((space + place) as ByteString, prefixEnd(space + place), {
      limit: most + 1,
    }))
      keys.push(key)
  if (keys.length === 0) return true
  const records = keys.filter(key => key !== progressKey(place))
  // The mark goes last.
  const going = records.length === 0 ? keys : records.slice(0, most)
  store.commit(going.map(key => ({ key, value: undefined })))
  return false
}
