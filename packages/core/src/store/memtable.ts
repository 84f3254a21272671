/**
 * What was committed since the last checkpoint: from key to value or tombstone, with the position of the
 * batch that wrote it. Point reads go through a hash map (most look for keys that are not here, and a
 * walk down a tree of long strings is what they would pay); order comes from a B+ tree, touched only by
 * keys it has not seen. Both hold the same entries.
 */

import type { ByteString } from '../base/ids.ts'
import { compareStrings } from '../base/ids.ts'
import { SortedTree } from '../base/sorted-tree.ts'
import type { Position } from './store-face.ts'

export interface MemtableEntry {
  /** undefined is a tombstone: it hides what the table holds. */
  value: Uint8Array | undefined
  position: Position
}

/** Heap of one entry beside its key and value: map and tree slots, entry, array header. An estimate. */
const ENTRY_BYTES = 160

export class Memtable {
  readonly #byKey = new Map<ByteString, MemtableEntry>()
  readonly #tree = new SortedTree<ByteString, MemtableEntry>(undefined, compareStrings, 64)
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
      this.#tree.set(key, fresh)
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
    if (this.#byKey.size === 0) return
    if (reverse) {
      for (const pair of this.#tree.entriesReversed(to, undefined, true)) {
        if (pair[0] < from) return
        yield pair
      }
      return
    }
    for (const pair of this.#tree.entries(from)) {
      if (to !== undefined && pair[0] >= to) return
      yield pair
    }
  }
}
