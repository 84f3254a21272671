/**
 * Forgets what logs need not keep: entries that every replica has, but for the newest of each partition. An entry that may
 * be on this disk alone is kept: it is what a follower lacks, and what the ledger must have if it is cut one day; and so is
 * what a client may still be trying again, which is recognised by its entry. Only past
 * `entriesMax` is room worth more: then followers that are so far behind are filled anew, and an operator is told.
 */

import { isQuorateError } from '../base/errors.ts'
import type { Stamp } from '../base/ids.ts'
import { stampMs } from '../causality/hybrid-clock.ts'
import { decodeBody } from '../leader/log-body.ts'
import type { Clock } from '../ports/clock.ts'
import { pause } from '../ports/pause.ts'
import type { Held, LedPartitions } from './led-partitions.ts'

const LOOK_MS = 2_000
/** Of one log at a time, so that a long one does not stop the node. */
const TRIM_MAX = 2_000

export interface LogKeeperOptions {
  readonly clock: Clock
  /** The present in stamps, as entries carry them. */
  readonly now: () => Stamp
  readonly partitions: LedPartitions
  readonly entriesKept: number
  readonly entriesMax: number
  /** How long a client may go on trying one write. */
  readonly youngMs: number
  readonly onTrouble: (message: string) => void
}

export class LogKeeper {
  readonly #options: LogKeeperOptions
  readonly #told = new Set<string>()
  #stopped = false

  constructor(options: LogKeeperOptions) {
    this.#options = options
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#options.clock, LOOK_MS)
      if (this.#stopped) return
      for (const held of this.#options.partitions.held()) this.#trim(held)
    }
  }

  #trim({ seat, view }: Held): void {
    const { replica } = seat
    const { log } = replica
    const needed = Math.max(seat.everywhere, log.shape.last - this.#options.entriesMax)
    const spare = log.shape.last - this.#options.entriesKept
    let upTo = Math.min(replica.carriedOut, needed, spare, log.first + TRIM_MAX - 1)
    // Whoever still tries one of these writes again is answered from the log.
    while (upTo >= log.first && this.#isYoung(replica, upTo))
      upTo = log.first + Math.floor((upTo - log.first) / 2) - 1
    if (upTo < log.first) return
    const name = `partition ${seat.place.partition} of "${view.descriptor.name}"`
    if (upTo > seat.everywhere && !this.#told.has(name)) {
      this.#told.add(name)
      this.#options.onTrouble(
        `${name}: a replica is more than ${this.#options.entriesMax} entries behind; the log is kept no further back for it`,
      )
    }
    try {
      replica.trim(upTo)
    } catch (error) {
      // A full store: at a later look.
      if (!isQuorateError(error)) throw error
    }
  }

  #isYoung({ log }: Held['seat']['replica'], position: number): boolean {
    const { now, youngMs } = this.#options
    return stampMs(now()) - stampMs(decodeBody(log.entry(position).body).stamp) < youngMs
  }
}
