import type { ByteString } from '../base/ids.ts'

/**
 * Ordered bytes → bytes: the large, slow half of a store.
 *
 * Contract: `write` is atomic and durable when it resolves: after a power cut either all of a batch is
 * there or nothing. Reads are synchronous and see every batch whose `write` has resolved. `scan`
 * walks a snapshot or the live table, in key order, `from` inclusive, `to` exclusive; the consumer
 * must not interleave writes with an unfinished walk.
 */
export interface Table {
  get(key: ByteString): Uint8Array | undefined
  scan(
    from: ByteString,
    to: ByteString | undefined,
    options?: ScanOptions,
  ): Iterable<[ByteString, Uint8Array]>
  write(batch: readonly TableWrite[]): Promise<void>
  close(): Promise<void>
}

export interface ScanOptions {
  readonly limit?: number
  readonly reverse?: boolean
}

/** `value` undefined removes the key. */
export interface TableWrite {
  readonly key: ByteString
  readonly value: Uint8Array | undefined
}
