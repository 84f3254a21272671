/**
 * Reads of a hot row, answered from a short memory.
 *
 * Problem: thousands of readers of one row each cost a read of the store and messages to replicas, for
 * the same answer. Mechanism: an answer is kept for `leaseMs`, and readers who come while it is being fetched
 * wait for that one load. Meant for rows that `hot-partitions.ts` names; every other read goes by.
 *
 * What it may not break:
 * - A cached answer is what one replica said a moment ago. It serves requests which demand no more than
 *   that (r = 1): they pass a predicate, which for a session says whether the answer is as new as its
 *   token. A quorum or linearizable read passes `'fresh'`, and neither takes from the cache nor waits for
 *   another's load.
 * - A write of the row at this node drops the answer at once, and any load begun before the write is
 *   neither kept nor joined any more: who waits for it already began before the write ended. (Writes
 *   elsewhere show after `leaseMs` at most: the staleness that the predicate's callers have accepted.)
 * - The lease counts from the *beginning* of the load: the answer may be as old as that. A load that takes
 *   longer is not joined any more, and its answer serves only who waited.
 * - Bounded by entries and bytes, least recently used first; loads under way by count.
 */

import { assert } from '../base/assert.ts'

/** What a request demands: a predicate on an answer that is not its own, or a read of its own. */
export type Demand<V> = 'fresh' | ((cached: V) => boolean)

export interface SingleFlightCacheOptions<V> {
  readonly leaseMs: number
  readonly entriesMax: number
  readonly bytesMax: number
  readonly sizeOf: (value: V) => number
  /** Past it, loads are not shared. */
  readonly loadsMax?: number
}

export interface CacheCounters {
  readonly hits: number
  /** Waited for another's load. */
  readonly joined: number
  readonly loads: number
  readonly entries: number
  readonly bytes: number
}

interface Flight<V> {
  readonly answer: Promise<V>
  readonly untilMs: number
}

interface Entry<V> {
  readonly value: V
  readonly bytes: number
  readonly untilMs: number
}

const LOADS_MAX = 1_024
/** The key, the entry and their place in the map. */
const ENTRY_BYTES = 128

export class SingleFlightCache<V> {
  readonly #options: SingleFlightCacheOptions<V>
  readonly #loadsMax: number
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry<V>>()
  readonly #flights = new Map<string, Flight<V>>()
  #bytes = 0
  #hits = 0
  #joined = 0
  #loads = 0

  constructor(options: SingleFlightCacheOptions<V>) {
    assert(options.leaseMs > 0 && options.entriesMax > 0, 'a cache keeps something for some time')
    this.#options = options
    this.#loadsMax = options.loadsMax ?? LOADS_MAX
  }

  get counters(): CacheCounters {
    const [hits, joined, loads] = [this.#hits, this.#joined, this.#loads]
    return { hits, joined, loads, entries: this.#entries.size, bytes: this.#bytes }
  }

  /** `nowMs`: monotonic. Rejects as `load` does; a failure is shared by who waited, and not kept. */
  async get(key: string, nowMs: number, load: () => Promise<V>, demand: Demand<V>): Promise<V> {
    if (demand === 'fresh') return this.#loadAlone(load)
    const entry = this.#entries.get(key)
    if (entry !== undefined) {
      if (nowMs >= entry.untilMs) this.#drop(key)
      else if (demand(entry.value)) {
        this.#hits++
        this.#entries.delete(key)
        this.#entries.set(key, entry)
        return entry.value
      }
    }
    const flight = this.#flights.get(key)
    if (flight !== undefined && nowMs < flight.untilMs) {
      const value = await flight.answer
      if (demand(value)) {
        this.#joined++
        return value
      }
      // Too old for this request; others of its kind would ask for more than was shared, too.
      return this.#loadAlone(load)
    }
    return this.#flights.size < this.#loadsMax ? this.#loadShared(key, nowMs, load) : this.#loadAlone(load)
  }

  /**
   * The row was written here: to be called in the turn in which the store first shows the write. Earlier, a load
   * could begin that does not see it; later, readers could see the write and then not see it.
   */
  invalidate(key: string): void {
    this.#drop(key)
    this.#flights.delete(key)
  }

  clear(): void {
    this.#entries.clear()
    this.#flights.clear()
    this.#bytes = 0
  }

  #loadAlone(load: () => Promise<V>): Promise<V> {
    this.#loads++
    return load()
  }

  async #loadShared(key: string, nowMs: number, load: () => Promise<V>): Promise<V> {
    // Through `async`, so that a load which throws at once is a rejection like any other.
    const answer = (async () => this.#loadAlone(load))()
    const flight = { answer, untilMs: nowMs + this.#options.leaseMs }
    this.#flights.set(key, flight)
    try {
      const value = await answer
      if (this.#flights.get(key) === flight) this.#keep(key, value, flight.untilMs)
      return value
    } finally {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
  }

  #keep(key: string, value: V, untilMs: number): void {
    const { entriesMax, bytesMax, sizeOf } = this.#options
    const bytes = ENTRY_BYTES + key.length + sizeOf(value)
    this.#drop(key)
    if (bytes > bytesMax) return
    this.#entries.set(key, { value, bytes, untilMs })
    this.#bytes += bytes
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= entriesMax && this.#bytes <= bytesMax) break
      this.#drop(oldest)
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#bytes -= entry.bytes
    this.#entries.delete(key)
  }
}
