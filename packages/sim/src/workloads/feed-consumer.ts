/**
 * Someone who keeps a copy of a table by its change feed, as a search index does: a reader with a name, which begins
 * again where its place is whenever it fails, and may be told a change twice.
 */

import type { ChangeEvent, ChangesOptions } from '@quorate/client/pure'
import { type Clock, isQuorateError, pause } from '@quorate/core'

/** What was told of a row that is a list. */
export interface FeedChange {
  readonly epoch: number
  readonly position: number
  readonly row: string
  readonly before: readonly string[]
  readonly after: readonly string[]
}

export interface FeedHistory {
  /** By partition, in the order in which they were told first. */
  readonly changes: Map<number, FeedChange[]>
  /** Partitions in which the feed said that what came between was given up, or is kept no longer. */
  readonly gaps: Set<number>
  /** What was told against the rules of a feed. */
  readonly oddities: string[]
  truncations: number
  repeated: number
}

export const newFeedHistory = (): FeedHistory => ({
  changes: new Map(),
  gaps: new Set(),
  oddities: [],
  truncations: 0,
  repeated: 0,
})

interface Lists {
  readonly l: readonly string[]
}

/** Of a table client: as far as a reader of the feed needs one. */
export interface Feed {
  changes(options: ChangesOptions): AsyncIterable<ChangeEvent<Lists>>
  forgetChangesReader(name: string): Promise<boolean>
}

const READER = 'consumer'
const RETRY_MS = 300

export interface FeedConsumerOptions {
  readonly clock: Clock
  readonly partitions: number
  readonly tell: (message: string) => void
}

export class FeedConsumer {
  readonly history = newFeedHistory()
  readonly #db: Feed
  readonly #options: FeedConsumerOptions
  #from: 'start' | 'now' = 'start'
  #stopped = false

  constructor(db: Feed, options: FeedConsumerOptions) {
    this.#db = db
    this.#options = options
  }

  /** Until it is stopped: then until it has been told all that is committed. */
  async run(): Promise<void> {
    while (!this.#stopped) await this.#once(20)
    for (let round = 0; round < 100; round++) if (await this.#once(undefined)) return
    this.history.oddities.push('the feed never came to its end')
  }

  stop(): void {
    this.#stopped = true
  }

  /** True: it has come to the end. */
  async #once(limit: number | undefined): Promise<boolean> {
    const reading = limit === undefined ? { untilNow: true } : { limit, untilNow: true }
    try {
      for await (const event of this.#db.changes({ reader: READER, from: this.#from, ...reading })) {
        const [epoch, position] = event.position.split('/').map(Number) as [number, number]
        if (event.kind === 'truncated') this.#truncated(event.partition, position)
        else this.#changed(event.partition, { epoch, position, ...rowOf(event) })
      }
      await pause(this.#options.clock, limit === undefined ? 0 : RETRY_MS)
      return true
    } catch (error) {
      if (!isQuorateError(error)) throw error
      this.#options.tell(`feed ${error.code}: ${error.message}`)
      if (error.code === 'FEED_GONE') await this.#beginAnew()
      await pause(this.#options.clock, RETRY_MS)
      return false
    }
  }

  /** As whoever is told that changes are gone must: the copy is made anew, from now. */
  async #beginAnew(): Promise<void> {
    for (let partition = 0; partition < this.#options.partitions; partition++)
      this.history.gaps.add(partition)
    this.history.changes.clear()
    this.#from = 'now'
    try {
      await this.#db.forgetChangesReader(READER)
    } catch (error) {
      if (!isQuorateError(error)) throw error
    }
  }

  #truncated(partition: number, position: number): void {
    const { history } = this
    history.truncations++
    const told = history.changes.get(partition) ?? []
    history.changes.set(
      partition,
      told.filter(change => change.position <= position),
    )
  }

  #changed(partition: number, change: FeedChange): void {
    const { changes, oddities } = this.history
    const told = changes.get(partition) ?? []
    changes.set(partition, told)
    const last = told.at(-1)
    if (last === undefined || change.position > last.position) {
      if (last !== undefined && change.epoch < last.epoch)
        oddities.push(`partition ${partition}: ${nameOf(change)} after ${nameOf(last)}`)
      told.push(change)
      return
    }
    this.history.repeated++
    const known = told.find(({ position }) => position === change.position)
    if (known === undefined || known.epoch !== change.epoch)
      oddities.push(`partition ${partition}: ${nameOf(change)} was told behind ${nameOf(last)}`)
  }
}

const nameOf = ({ epoch, position }: FeedChange): string => `${epoch}/${position}`

function rowOf({
  key,
  before,
  after,
}: {
  readonly key: readonly unknown[]
  readonly before: Lists | undefined
  readonly after: Lists | undefined
}) {
  return { row: String(key[0]), before: before?.l ?? [], after: after?.l ?? [] }
}
