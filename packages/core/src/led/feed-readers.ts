/**
 * Readers of change feeds that are known by name: their places are kept, and logs are kept for them.
 *
 * Problem: a reader that is away for longer than logs are kept has a gap, and nobody on the other side knows of it.
 * Mechanism: a register for each table has the place of each reader in each partition, written now and then by the
 * reader itself; the nodes look at it before they forget entries. A reader that was not heard of for a week, or is
 * further behind than a log may be long, holds nothing any more, and learns so when it comes back.
 *
 * Invariants: a place goes forward only, by epoch and position; what a reader was not told to have had is kept, within
 * those bounds; a node that cannot read the register forgets nothing that a reader might lack.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, OperationId, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { comparePoints, type LogPoint } from '../leadership/epoch-history.ts'
import type { Clock } from '../ports/clock.ts'
import type { Registers } from '../register/registers.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { feedReaders, feedReadersMessage, saveFeedReaderMessage } from '../wire/led-messages.ts'
import type { Rpc } from '../wire/rpc.ts'

export interface FeedReader {
  readonly name: string
  /** When its place was written last, by the cluster's time, in milliseconds since 1970. */
  readonly atMs: number
  readonly places: readonly { readonly partition: number; readonly point: LogPoint }[]
}

export interface FeedReadersOptions {
  readonly catalog: Catalog
  readonly rpc: Rpc
  readonly clock: Clock
  /** No entry younger than this is forgotten. */
  readonly keptMs: number
  /** The cluster's time. */
  readonly nowMs: () => number
  /** Undefined until the cluster has formed. */
  readonly registers: () => Registers | undefined
  readonly operation: () => OperationId
}

/** What is known of a register may be so old when entries are forgotten by it, and less than what is kept by age. */
const FRESH_MAX_MS = 10_000

interface Known {
  readonly readMs: number
  readonly readers: readonly FeedReader[]
}

export const feedRegister = (table: TableId): ByteString => `cluster/feeds/${table}` as ByteString

export class FeedReaders {
  readonly #options: FeedReadersOptions
  readonly #known = new Map<TableId, Known>()

  constructor(options: FeedReadersOptions) {
    this.#options = options
    options.rpc.handle(feedReadersMessage, ({ table }, respond) => {
      this.read(table as TableId).then(
        readers => respond.ok({ readers: [...readers] }),
        (error: unknown) => respond.fail(error),
      )
    })
    options.rpc.handle(saveFeedReaderMessage, ({ table, name, places, forget }, respond) => {
      this.#save(table as TableId, name, places, forget).then(
        known => respond.ok({ known }),
        (error: unknown) => respond.fail(error),
      )
    })
  }

  async read(table: TableId): Promise<readonly FeedReader[]> {
    const readMs = this.#options.clock.monotonicMs()
    const { value } = await this.#registers().read(feedRegister(table))
    const readers = value === undefined ? [] : decodeReaders(value)
    this.#known.set(table, { readMs, readers })
    return readers
  }

  /** Those that logs are kept for; undefined: it cannot be known now. */
  async holding(table: TableId): Promise<readonly FeedReader[] | undefined> {
    const { clock, nowMs, keptMs } = this.#options
    const freshMs = Math.min(FRESH_MAX_MS, keptMs / 2)
    let known = this.#known.get(table)
    if (known === undefined || clock.monotonicMs() - known.readMs > freshMs) {
      const readMs = clock.monotonicMs()
      try {
        known = { readMs, readers: await this.read(table) }
      } catch (error) {
        if (!isQuorateError(error)) throw error
        return undefined
      }
    }
    return known.readers.filter(({ atMs }) => nowMs() - atMs < limits.feedReaderKeptMs)
  }

  /** False: there was no such reader to forget. */
  async #save(table: TableId, name: string, places: FeedReader['places'], forget: boolean): Promise<boolean> {
    const view = this.#options.catalog.view(table)
    if (ledOf(view.descriptor)?.log !== 'logical')
      throw new QuorateError(
        'BAD_REQUEST',
        `"${view.descriptor.name}" has no logical log to read changes from`,
      )
    let known = true
    const outcome = await this.#registers().change(
      feedRegister(table),
      current => {
        const before = current === undefined ? [] : decodeReaders(current)
        const own = before.find(reader => reader.name === name)
        const others = before.filter(reader => reader.name !== name)
        known = own !== undefined
        if (forget) return own === undefined ? { reject: 'unknown' } : { value: encodeReaders(others) }
        if (own === undefined && others.length >= limits.feedReadersMax)
          return { reject: `there are ${others.length} readers already: forget one` }
        const reader = { name, atMs: this.#options.nowMs(), places: forward(own?.places ?? [], places) }
        return { value: encodeReaders([...others, reader]) }
      },
      this.#options.operation(),
    )
    if (outcome.kind === 'rejected') {
      if (forget) return false
      throw new QuorateError('BAD_REQUEST', outcome.reason, { data: { max: limits.feedReadersMax } })
    }
    if (outcome.kind !== 'committed')
      throw new QuorateError('UNAVAILABLE', `the place of the reader was not kept: ${outcome.reason}`, {
        outcome: outcome.kind === 'unknown' ? 'unknown' : 'not-applied',
      })
    this.#known.delete(table)
    return known
  }

  #registers(): Registers {
    const registers = this.#options.registers()
    if (registers === undefined) throw new QuorateError('NOT_READY', 'the cluster has not formed yet')
    return registers
  }
}

/** The later place of each partition. */
function forward(before: FeedReader['places'], now: FeedReader['places']): FeedReader['places'] {
  const places = new Map(before.map(({ partition, point }) => [partition, point]))
  for (const { partition, point } of now) {
    const known = places.get(partition)
    if (known === undefined || comparePoints(point, known) > 0) places.set(partition, point)
  }
  return [...places].sort(([a], [b]) => a - b).map(([partition, point]) => ({ partition, point }))
}

function encodeReaders(readers: readonly FeedReader[]): Uint8Array {
  const writer = new ByteWriter(256)
  feedReaders.write(
    writer,
    readers.map(reader => ({ ...reader, places: [...reader.places] })),
  )
  return writer.take()
}

const decodeReaders = (bytes: Uint8Array): readonly FeedReader[] => feedReaders.read(new ByteReader(bytes))
