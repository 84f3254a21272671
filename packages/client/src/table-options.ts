/** What is asked of a table, and what it answers. */

import type { Acknowledgement, Condition, Document, KeyValue, OperationId } from '@quorate/core'
import type { CallOptions } from './client.ts'
import type { Level } from './level.ts'
import type { ReadFrom } from './read-wanted.ts'
import type { Receipt } from './receipt.ts'

/** What a read saw of a row; give it back with the write that builds on it. Opaque. */
export type ContextToken = Uint8Array

export interface GetOptions<T> extends CallOptions {
  readonly r?: Level | undefined
  /**
   * `any` one replica, `quorum` a majority; default: the table's r. `r` takes precedence. On tables with leaders:
   * `leader` (the default) under its lease, `any` replica, or with `session` any that has what the session has seen.
   */
  readonly read?: ReadFrom | undefined
  /** On tables with leaders: any replica whose state is not older than this, or the leader. */
  readonly maxStalenessMs?: number | undefined
  /** Settles siblings for this read; its result is not written back. */
  readonly resolve?: ((siblings: readonly T[]) => T) | undefined
}

export interface PutOptions extends CallOptions {
  readonly w?: Level | undefined
  /** On a table with leaders: the write takes place only when this holds; copies that exist before the reply. */
  readonly if?: Condition | undefined
  readonly ack?: Acknowledgement | undefined
  /** From a read; without it the write is concurrent with everything (see GUARANTEES). */
  readonly context?: ContextToken | undefined
  /** On a sloppy table: count home replicas only for this write. */
  readonly strict?: boolean | undefined
  /** Name of the operation, for callers that retry over process lives: `operationFromHex`. */
  readonly operation?: OperationId | undefined
}

export interface GetResult<T> {
  /** The row; undefined when there is none, or when it has siblings that nothing resolved. */
  readonly value: T | undefined
  /** Concurrent values; one when there is no conflict, none when there is no row. */
  readonly siblings: readonly T[]
  readonly context: ContextToken
  readonly receipt: Receipt
}

export interface PutResult {
  readonly context: ContextToken
  readonly receipt: Receipt
  /** The operation had been applied before: this was a retry. */
  readonly repeated: boolean
  /** False: `if` did not hold, or the row is not what its context was read from; nothing has changed. */
  readonly applied: boolean
  /** Then: the row as it is; undefined: there is none. */
  readonly current: Document | undefined
}

export interface RowResult<T> {
  readonly value: T | undefined
  readonly siblings: readonly T[]
  readonly context: ContextToken
  /** Of the page that the row came with. */
  readonly receipt: Receipt
}

/** `timeoutMs` is that of each page. */
export interface RangeOptions extends CallOptions {
  readonly r?: Level | undefined
  /** On tables with leaders, as for a single row. */
  readonly read?: ReadFrom | undefined
  readonly maxStalenessMs?: number | undefined
  /** First and last key, inclusive; default all. */
  readonly from?: KeyValue | undefined
  readonly to?: KeyValue | undefined
  readonly reverse?: boolean | undefined
  /** Rows in all; default no limit. */
  readonly limit?: number | undefined
  /** Rows asked for at once; default 500. */
  readonly pageSize?: number | undefined
  /** Partitions asked at once at the most; default 8. */
  readonly concurrency?: number | undefined
  /** Goes on behind the row that it came with; table, bounds and direction must be the same. */
  readonly resume?: string | undefined
}
