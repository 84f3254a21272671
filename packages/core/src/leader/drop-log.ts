/**
 * Removes the log of a partition that is not kept here any more. A replica made of what is left of one must not take it
 * for whole: the record of its progress says from the first step to the last that it is to be filled anew. What is left is
 * always a log, since entries go from its end, and what says where it begins goes with the last of them.
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
  const keysOf = (space: string): ByteString[] =>
    [
      ...store.scan((space + place) as ByteString, prefixEnd(space + place), {
        reverse: true,
        limit: most + 1,
      }),
    ].map(([key]) => key)
  // The header of the log, and the mark, are the first of their spaces: they go with the last of the others, not after.
  const log = keysOf(keyspaces.log)
  const left = log.length > 0 ? log : keysOf(keyspaces.undo)
  if (left.length === 0) return true
  const isRest = left.at(-1) === keyspaces.log + place || left.at(-1) === progressKey(place)
  const going = isRest ? left : left.slice(0, most)
  store.commit(going.map(key => ({ key, value: undefined })))
  return false
}
