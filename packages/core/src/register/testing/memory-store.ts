/** A store in memory that is durable late and loses at a crash what was not: for tests of protocols. */

import type { ByteString, Incarnation } from '../../base/ids.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ScanOptions } from '../../ports/table.ts'
import type { Batch, Position, Store, StoreStatus } from '../../store/store-face.ts'

export class MemoryStore implements Store {
  readonly incarnation: Incarnation
  handed: Position = 0
  durable: Position = 0
  readonly #clock: Clock
  readonly #syncMs: () => number
  /** What a crash leaves. */
  readonly disk: Map<ByteString, Uint8Array>
  readonly #live: Map<ByteString, Uint8Array>
  readonly #positions = new Map<ByteString, Position>()
  #unsynced: { position: Position; batch: Batch }[] = []
  #waiting: { position: Position; run: () => void }[] = []
  #syncing = false
  #dead = false

  constructor(options: {
    incarnation: Incarnation
    clock: Clock
    syncMs: () => number
    disk?: Map<ByteString, Uint8Array>
  }) {
    this.incarnation = options.incarnation
    this.#clock = options.clock
    this.#syncMs = options.syncMs
    this.disk = options.disk ?? new Map()
    this.#live = new Map(this.disk)
  }

  get(key: ByteString): Uint8Array | undefined {
    return this.#live.get(key)
  }

  *scan(
    from: ByteString,
    to: ByteString | undefined,
    options?: ScanOptions,
  ): Iterable<[ByteString, Uint8Array]> {
    const keys = [...this.#live.keys()].filter(key => key >= from && (to === undefined || key < to)).sort()
    if (options?.reverse) keys.reverse()
    for (const key of keys.slice(0, options?.limit ?? keys.length)) yield [key, this.#live.get(key)!]
  }

  commit(batch: Batch): Position {
    this.handed++
    for (const { key, value } of batch) {
      if (value === undefined) this.#live.delete(key)
      else this.#live.set(key, value)
      this.#positions.set(key, this.handed)
    }
    this.#unsynced.push({ position: this.handed, batch })
    this.#sync()
    return this.handed
  }

  whenDurable(position: Position, run: () => void): void {
    if (position <= this.durable) run()
    else this.#waiting.push({ position, run })
  }

  positionOf(key: ByteString): Position {
    const position = this.#positions.get(key) ?? 0
    return position <= this.durable ? 0 : position
  }

  /** Nothing runs any more; `disk` is what is left. */
  crash(): void {
    this.#dead = true
    this.#waiting = []
  }

  #sync(): void {
    if (this.#syncing) return
    this.#syncing = true
    const batches = this.#unsynced
    this.#unsynced = []
    this.#clock.setTimer(this.#syncMs(), () => {
      if (this.#dead) return
      for (const { position, batch } of batches) {
        for (const { key, value } of batch) {
          if (value === undefined) this.disk.delete(key)
          else this.disk.set(key, value)
        }
        this.durable = position
      }
      this.#syncing = false
      const ready = this.#waiting.filter(waiter => waiter.position <= this.durable)
      this.#waiting = this.#waiting.filter(waiter => waiter.position > this.durable)
      for (const waiter of ready) waiter.run()
      if (this.#unsynced.length > 0) this.#sync()
    })
  }

  get inFlightBytes(): number {
    return 0
  }

  status(): StoreStatus {
    return {
      state: 'open',
      memtableBytes: 0,
      memtableEntries: this.#live.size,
      logBytes: 0,
      segments: 0,
      checkpoints: 0,
      syncs: 0,
      inFlightBytes: 0,
      damagedReads: 0,
      message: undefined,
    }
  }

  async checkpoint(): Promise<void> {}
  async close(): Promise<void> {}
}
