/** Forgets what logs need not keep: entries that are carried out, but for the newest of each partition. */

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
  #stopped = false

  constructor(clock: Clock, partitions: LedPartitions, entriesKept: number) {
    this.#clock = clock
    this.#partitions = partitions
    this.#kept = entriesKept
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

  #trim({ seat: { replica } }: Held): void {
    const { log } = replica
    const upTo = Math.min(replica.carriedOut, log.shape.last - this.#kept, log.first + TRIM_MAX - 1)
    if (upTo < log.first) return
    try {
      replica.trim(upTo)
    } catch (error) {
      // A full store: at a later look.
      if (!isQuorateError(error)) throw error
    }
  }
}
