/**
 * The face of a node's one store. Everything a node knows is in it and changes in one atomic batch.
 *
 * Reads are synchronous and see every batch handed over so far. A batch is durable once its position
 * is: many batches share one append and one sync. Between the reads a decision rests on and the
 * `commit` that records it there is no `await`. No reply leaves before everything it rests on is
 * durable: `positionOf(key)` names what a read of that key rests on, `whenDurable` waits for it
 * without a promise.
 */

import type { ByteString, Incarnation } from '../base/ids.ts'
import type { ScanOptions, TableWrite } from '../ports/table.ts'

/** A stored value failed its checksum. The caller treats it as missing *and unknown*, never as absent. */
export const DAMAGED: unique symbol = Symbol('damaged')
export type Damaged = typeof DAMAGED
export type Stored = Uint8Array | undefined | Damaged

export type Batch = readonly TableWrite[]

/** Counts batches handed to the store since it was opened; 0 is "nothing". */
export type Position = number

export interface Store {
  /** Actor of every dot minted here: made once with the directory. */
  readonly incarnation: Incarnation
  get(key: ByteString): Stored
  scan(
    from: ByteString,
    to: ByteString | undefined,
    options?: ScanOptions,
  ): Iterable<[ByteString, Uint8Array | Damaged]>

  /** Applies at once, durable later. Throws QuorateError STORE_FULL, STORE_FAILED, OVERLOADED (nothing applied). */
  commit(batch: Batch): Position
  /** Runs `run` when every batch up to `position` is durable: at once when it already is, in order otherwise. */
  whenDurable(position: Position, run: () => void): void
  /** Position that a read of `key` rests on; 0 when it is durable. */
  positionOf(key: ByteString): Position
  /** Last position handed over, and last durable one: `0 <= durable <= handed`. */
  readonly handed: Position
  readonly durable: Position

  /** Bytes of batches whose sync is outstanding. */
  readonly inFlightBytes: number
  status(): StoreStatus
  /** Writes the memtable into the table and drops the log before it. Runs by itself by size; here for close and tests. */
  checkpoint(): Promise<void>
  close(): Promise<void>
}

export interface StoreStatus {
  readonly state: 'open' | 'full' | 'failed' | 'closed'
  readonly memtableBytes: number
  readonly memtableEntries: number
  readonly logBytes: number
  readonly segments: number
  readonly checkpoints: number
  readonly syncs: number
  readonly inFlightBytes: number
  readonly damagedReads: number
  readonly message: string | undefined
}

/** Promise form of `whenDurable`, for flows that are not on the hot path. */
export function durable(store: Store, position: Position): Promise<void> {
  return new Promise(resolve => store.whenDurable(position, resolve))
}

export async function commitDurably(store: Store, batch: Batch): Promise<void> {
  await durable(store, store.commit(batch))
}
