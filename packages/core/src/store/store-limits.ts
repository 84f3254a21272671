/** The bounds of one store, overridable so that tests reach them. */

import { limits } from '../base/limits.ts'

export interface StoreLimits {
  readonly segmentBytesMax: number
  readonly memtableBytesMax: number
  readonly checkpointBatchBytes: number
  readonly storeInFlightBytesMax: number
}

export const storeLimits: StoreLimits = {
  segmentBytesMax: limits.segmentBytesMax,
  memtableBytesMax: limits.memtableBytesMax,
  checkpointBatchBytes: limits.checkpointBatchBytes,
  storeInFlightBytesMax: limits.storeInFlightBytesMax,
}

/**
 * While one memtable drains, the other may grow to this many times its size before commits are refused
 * with OVERLOADED, and its segment likewise. Growing first and refusing later: a drain is a burst, and
 * refusing at once would turn every slow sync of the table into errors; without the bound a table
 * that cannot keep up would eat the heap.
 */
export const DRAINING_GROWTH_MAX = 2

/** LMDB's longest key at its default page size. */
export const STORE_KEY_BYTES_MAX = 1978

/** Closed segments that ask for a checkpoint however small they are: many short runs leave many. */
export const CLOSED_SEGMENTS_MAX = 8
