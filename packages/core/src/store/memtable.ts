/**
 * What was committed since the last checkpoint: from key to value or tombstone, with the position of the
 * batch that wrote it. Point reads go through a hash map; order is made when someone asks for it
 * (`key-order.ts`). Both hold the same keys.
 */

import type { ByteString } from '../base/ids.ts'
import { KeyOrder } from './key-order.ts'
import type { Position } from './store-face.ts'

export interface MemtableEntry {
  /** undefined is a tombstone: it hides what the table holds. */
  value: Uint8Array | undefined
  position: Position
}

/** Heap of one entry beside its key and value: slots in map and order, entry, array header. An estimate. */
const ENTRY_BYTES = 160

export class Memtable {
  readonly #byKey = new Map<ByteString, MemtableEntry>()
  readonly #order = new KeyOrder()
  #bytes = 0
  /** Counts changes; a walk that finds another value has been interleaved with a write. */
  #changes = 0

  get size(): number {
    return this.#byKey.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get changes(): number {
    return this.#changes
  }

  get(key: ByteString): MemtableEntry | undefined {
    return this.#byKey.get(key)
  }

  set(key: ByteString, value: Uint8Array | undefined, position: Position): void {
    this.#changes++
    const entry = this.#byKey.get(key)
    if (entry === undefined) {
      const fresh = { value, position }
      this.#byKey.set(key, fresh)
      this.#order.add(key)
      this.#bytes += ENTRY_BYTES + key.length + (value?.length ?? 0)
      return
    }
    this.#bytes += (value?.length ?? 0) - (entry.value?.length ?? 0)
    entry.value = value
    entry.position = position
  }

  /** Entries with `from <= key < to`, upwards or downwards. */
  *entries(
    from: ByteString,
    to: ByteString | undefined,
    reverse: boolean,
  ): IterableIterator<[ByteString, MemtableEntry]> {
    for (const key of this.#order.walk(from, to, reverse)) yield [key, this.#byKey.get(key)!]
  }
}
