/**
 * When partitions were last cut or joined, as seen from here: what keeps splits and merges from undoing each other.
 *
 * Every node sees the maps change, so whoever becomes the first home of a partition knows its history since this
 * process began. Before that nothing is known: then everything counts as cut now, which only puts merges off.
 */

import type { ByteString } from '../base/ids.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Clock } from '../ports/clock.ts'

interface Bounds {
  readonly from: ByteString
  readonly to: ByteString
  readonly cutMs: number
  readonly joinedMs: number
}

const NEVER = Number.NEGATIVE_INFINITY

export class BoundsHistory {
  readonly #clock: Clock
  readonly #tables = new Map<number, Map<number, Bounds>>()
  readonly #seen = new Map<number, readonly Partition[]>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Returns the new partitions, each with the one before it, which it was cut from. */
  see(table: number, partitions: readonly Partition[]): (readonly [left: number, right: number])[] {
    const cuts: [number, number][] = []
    if (this.#seen.get(table) === partitions) return cuts
    this.#seen.set(table, partitions)
    const nowMs = this.#clock.monotonicMs()
    const before = this.#tables.get(table)
    const now = new Map<number, Bounds>()
    for (const [at, { id, from, to }] of partitions.entries()) {
      const known = before?.get(id)
      // A new partition is the right part of one that was cut.
      if (known === undefined) {
        now.set(id, { from, to, cutMs: nowMs, joinedMs: NEVER })
        const left = partitions[at - 1]
        if (before !== undefined && left !== undefined) cuts.push([left.id, id])
      } else {
        const [isCut, isJoined] = [from > known.from || to < known.to, from < known.from || to > known.to]
        now.set(id, {
          from,
          to,
          cutMs: isCut ? nowMs : known.cutMs,
          joinedMs: isJoined ? nowMs : known.joinedMs,
        })
      }
    }
    this.#tables.set(table, now)
    return cuts
  }

  isLately(table: number, id: number, what: 'cut' | 'joined', withinMs: number): boolean {
    const known = this.#tables.get(table)?.get(id)
    if (known === undefined) return true
    const atMs = what === 'cut' ? known.cutMs : known.joinedMs
    return this.#clock.monotonicMs() - atMs < withinMs
  }
}
