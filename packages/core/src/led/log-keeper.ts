/**
 * Forgets what logs need not keep: entries that every replica has, but for the newest of each partition. An entry that may
 * be on this disk alone is kept: it is what a follower lacks, and what the ledger must have if it is cut one day. Only past
 * `entriesMax` is room worth more: then followers that are so far behind are filled anew, and an operator is told.
 */

import { isQuorateError } from '../base/errors.ts'
import type { Clock } from '../ports/clock.ts'
import { pause } from '../ports/pause.ts'
import type { Held, LedPartitions } from './led-partitions.ts'

const LOOK_MS = 2_000
/** Of one log at a time, so that a long one does not stop the node. */
const TRIM_MAX = 2_000

export class LogKeeper {
  readonly #clock: Clock
  readonly #partitions: LedPartitions
  readonly #kept: number
  readonly #most: number
  readonly #onTrouble: (message: string) => void
  readonly #told = new Set<string>()
  #stopped = false

  constructor(
    clock: Clock,
    partitions: LedPartitions,
    entriesKept: number,
    entriesMax: number,
    onTrouble: (message: string) => void,
  ) {
    this.#clock = clock
    this.#partitions = partitions
    this.#kept = entriesKept
    this.#most = entriesMax
    this.#onTrouble = onTrouble
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#clock, LOOK_MS)
      if (this.#stopped) return
      for (const held of this.#partitions.held()) this.#trim(held)
    }
  }

  #trim({ seat, view }: Held): void {
    const { replica } = seat
    const { log } = replica
    const needed = Math.max(seat.everywhere, log.shape.last - this.#most)
    const upTo = Math.min(replica.carriedOut, needed, log.shape.last - this.#kept, log.first + TRIM_MAX - 1)
    if (upTo < log.first) return
    const name = `partition ${seat.place.partition} of "${view.descriptor.name}"`
    if (upTo > seat.everywhere && !this.#told.has(name)) {
      this.#told.add(name)
      this.#onTrouble(
        `${name}: a replica is more than ${this.#most} entries behind; the log is kept no further back for it`,
      )
    }
    try {
      replica.trim(upTo)
    } catch (error) {
      // A full store: at a later look.
      if (!isQuorateError(error)) throw error
    }
  }
}
