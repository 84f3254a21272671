/** A store for tests of what stands on it: in memory, durable at once, full when told to be. */

import { QuorateError } from '../../base/errors.ts'
import type { ByteString, Incarnation } from '../../base/ids.ts'
import type { ScanOptions, TableWrite } from '../../ports/table.ts'
import type { Position, Store } from '../../store/store-face.ts'

export class MemoryStore {
  readonly incarnation = 'memory!!' as Incarnation
  readonly records = new Map<ByteString, Uint8Array>()
  handed: Position = 0
  /** Batches that are still taken. */
  room = Number.POSITIVE_INFINITY

  get durable(): Position {
    return this.handed
  }

  get(key: ByteString): Uint8Array | undefined {
    return this.records.get(key)
  }

  *scan(
    from: ByteString,
    to: ByteString | undefined,
    options: ScanOptions = {},
  ): Iterable<[ByteString, Uint8Array]> {
    const keys = [...this.records.keys()].filter(key => key >= from && (to === undefined || key < to)).sort()
    if (options.reverse === true) keys.reverse()
    for (const key of keys.slice(0, options.limit)) yield [key, this.records.get(key)!]
  }

  commit(batch: readonly TableWrite[]): Position {
    if (this.room-- <= 0) throw new QuorateError('STORE_FULL', 'the store is full')
    for (const { key, value } of batch) {
      if (value === undefined) this.records.delete(key)
      else this.records.set(key, value)
    }
    return ++this.handed
  }

  whenDurable(_: Position, run: () => void): void {
    run()
  }

  positionOf(): Position {
    return 0
  }
}

export const memoryStore = (): { store: Store; memory: MemoryStore } => {
  const memory = new MemoryStore()
  return { store: memory as unknown as Store, memory }
}
