/**
 * Forgets what logs need not keep: entries that every replica has and every registered reader of the feed has had, but for
 * the newest of each partition, by number and by age. An entry that may be on this disk alone is kept: it is what a
 * follower lacks, and what the ledger must have if it is cut one day. Only past `entriesMax` or `bytesMax` is room worth
 * more than followers, readers and age: followers that are so far behind are filled anew, readers learn that they have a
 * gap, and an operator is told. What a client may still be trying again is kept even then: it is recognised by its entry.
 */

import { isQuorateError } from '../base/errors.ts'
import type { Stamp } from '../base/ids.ts'
import { stampMs } from '../causality/hybrid-clock.ts'
import { decodeBody } from '../leader/log-body.ts'
import { sharedUpTo } from '../leadership/epoch-history.ts'
import type { Clock } from '../ports/clock.ts'
import { pause } from '../ports/pause.ts'
import type { FeedReader, FeedReaders } from './feed-readers.ts'
import type { Held, LedPartitions } from './led-partitions.ts'

const LOOK_MS = 2_000
/** Of one log at a time, so that a long one does not stop the node. */
const TRIM_MAX = 2_000

/** Undefined: who they are is not known now. */
type Readers = readonly FeedReader[] | undefined

export interface LogKeeperOptions {
  readonly clock: Clock
  /** The present in stamps, as entries carry them. */
  readonly now: () => Stamp
  readonly partitions: LedPartitions
  /** Kept at least, whoever has them: so many, and whatever is not older than this. */
  readonly entriesKept: number
  readonly keptMs: number
  /** Kept at most. */
  readonly entriesMax: number
  readonly bytesMax: number
  readonly readers: FeedReaders
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
      for (const held of this.#options.partitions.held()) {
        if (this.#stopped) return
        if (!this.#isLong(held)) continue
        // Read now, or not long ago: whoever registers meanwhile begins with entries that are kept by age for longer.
        const { settings, table } = held.seat.place
        const readers = settings.log === 'logical' ? await this.#options.readers.holding(table) : []
        if (!this.#stopped) this.#trimOrNot(held, readers)
      }
    }
  }

  #isLong({ seat: { replica } }: Held): boolean {
    const { first, shape } = replica.log
    const { entriesKept, bytesMax } = this.#options
    return replica.carriedOut >= first && (shape.last - first >= entriesKept || replica.log.bytes > bytesMax)
  }

  #trimOrNot(held: Held, readers: Readers): void {
    try {
      this.#trim(held, readers)
    } catch (error) {
      // A full store, or an entry that cannot be read: at a later look.
      if (!isQuorateError(error)) throw error
    }
  }

  #trim(held: Held, readers: Readers): void {
    const { seat, view } = held
    const { replica } = seat
    const { log } = replica
    const pastBounds = (times: number): number =>
      Math.max(log.shape.last - times * this.#options.entriesMax, log.beyond(times * this.#options.bytesMax))
    // While a replica is filled it goes on behind what is the log now; twice the room is enough, or it is begun again.
    const pressed = Math.max(Math.min(pastBounds(1), seat.mayForget), pastBounds(2))
    const wanted = Math.min(seat.everywhere, readUpTo(held, readers), this.#aged(held))
    const needed = Math.max(pressed, wanted)
    const spare = Math.max(pressed, log.shape.last - this.#options.entriesKept)
    let upTo = Math.min(replica.carriedOut, needed, spare, log.first + TRIM_MAX - 1)
    // Whoever still tries one of these writes again is answered from the log.
    while (upTo >= log.first && this.#isYoungerThan(this.#options.youngMs, replica, upTo))
      upTo = log.first + Math.floor((upTo - log.first) / 2) - 1
    if (upTo < log.first) return
    if (upTo > seat.everywhere) this.#tell(view, seat.place.partition)
    replica.trim(upTo)
  }

  /** Up to where entries are old enough, found by halving: stamps ascend along a log. */
  #aged({ seat: { replica } }: Held): number {
    let [old, young] = [replica.log.first - 1, Math.min(replica.carriedOut, replica.log.first + TRIM_MAX) + 1]
    while (young - old > 1) {
      const middle = Math.floor((old + young) / 2)
      if (this.#isYoungerThan(this.#options.keptMs, replica, middle)) young = middle
      else old = middle
    }
    return old
  }

  #tell(view: Held['view'], partition: number): void {
    const name = `partition ${partition} of "${view.descriptor.name}"`
    if (this.#told.has(name)) return
    this.#told.add(name)
    this.#options.onTrouble(
      `${name}: a replica is more than ${this.#options.entriesMax} entries or ${this.#options.bytesMax} bytes behind; the log is kept no further back for it`,
    )
  }

  #isYoungerThan(ageMs: number, { log }: Held['seat']['replica'], position: number): boolean {
    return stampMs(this.#options.now()) - stampMs(decodeBody(log.entry(position).body).stamp) < ageMs
  }
}

/** What all readers with a name have had; 0 while it is not known. */
function readUpTo({ seat }: Held, readers: Readers): number {
  if (readers === undefined) return 0
  const positions = readers.map(({ places }) => {
    const place = places.find(({ partition }) => partition === seat.place.partition)
    return place === undefined ? 0 : sharedUpTo(seat.replica.log.shape, place.point)
  })
  return Math.min(Number.POSITIVE_INFINITY, ...positions)
}
