/**
 * Rows of a range over many partitions: scattered, and gathered in the order of their keys.
 *
 * Problem: partition after partition, a scan waits for a way there and back for each of them; all at once, it
 * floods the nodes and this process. Mechanism: each partition of the range is a *lane* that is read page by
 * page. Lanes are opened in order of their keys, some at once, and each fetches one page ahead of what was
 * taken from it. Rows are given in order of the lanes, so what is given is one sorted run and the last key
 * says where to go on. One lane at first, and twice as many whenever one is used up: who takes ten rows does
 * not ask eight partitions for them. A page that takes longer than most is asked of one more node, within the
 * budget of hedges: the slowest of many decides how long a scan takes.
 *
 * Invariants: lanes are disjoint, adjoin each other and end where the range ends. A page comes from whatever
 * partition has its first key when it is asked for: one that is cut or goes to other nodes meanwhile loses and
 * repeats nothing. No more than `concurrency` pages are waited for or held.
 * References: Dean, Barroso, "The Tail at Scale" (2013).
 */

import {
  type ByteString,
  limits,
  QuorateError,
  type RangeReply,
  rangeMessage,
  type TableId,
} from '@quorate/core'
import type { CallOptions, Place, QuorateClient } from './client.ts'
import type { StoreRange } from './resume-token.ts'

/** Rows asked for at once. */
export const PAGE_ROWS = 500

export interface RangeReaderOptions extends CallOptions {
  readonly level: number
  readonly staleMs: number
  /** Any home will do, not the leader first. */
  readonly anyHome: boolean
  readonly limit?: number | undefined
  readonly pageSize?: number | undefined
  readonly concurrency?: number | undefined
}

/** One partition's part of the range, and the page that was asked for last. */
interface Lane {
  start: ByteString
  end: ByteString
  page: Promise<RangeReply> | undefined
}

export class RangeReader {
  readonly #client: QuorateClient
  readonly #table: TableId
  readonly #range: StoreRange
  readonly #options: RangeReaderOptions
  readonly #lanes: Lane[] = []
  readonly #concurrency: number
  /** What no lane has yet. */
  #start: ByteString
  #end: ByteString
  #width = 1
  #left: number

  constructor(client: QuorateClient, table: TableId, range: StoreRange, options: RangeReaderOptions) {
    this.#client = client
    this.#table = table
    this.#range = range
    this.#options = options
    this.#start = range.from
    this.#end = range.to
    this.#left = atLeast(options.limit ?? Number.MAX_SAFE_INTEGER, 'limit', 0)
    atLeast(options.pageSize ?? PAGE_ROWS, 'pageSize', 1)
    const concurrency = atLeast(options.concurrency ?? limits.scanConcurrency, 'concurrency', 1)
    this.#concurrency = Math.min(concurrency, limits.scanConcurrencyMax)
  }

  /** Pages in order; none of them is longer than what is left of the limit. */
  async *pages(): AsyncGenerator<RangeReply, void, undefined> {
    while (this.#left > 0) {
      this.#openLanes()
      const lane = this.#lanes[0]
      if (lane === undefined) return
      const reply = await (lane.page ?? this.#fetch(lane))
      lane.page = undefined
      const rows = reply.rows.slice(0, this.#left)
      this.#left -= rows.length
      if (lane.start >= lane.end) {
        this.#lanes.shift()
        this.#width = Math.min(this.#concurrency, this.#width * 2)
      } else if (this.#width > 1 && this.#left > 0) this.#ahead(lane)
      if (rows.length > 0) yield { ...reply, rows }
    }
  }

  #openLanes(): void {
    while (this.#lanes.length < this.#width && this.#start < this.#end) {
      const { reverse } = this.#range
      const { partition } = this.#edge(this.#start, this.#end)
      const start = this.#start > partition.from ? this.#start : partition.from
      const end = this.#end < partition.to ? this.#end : partition.to
      const lane: Lane = { start, end, page: undefined }
      if (reverse) this.#end = start
      else this.#start = end
      this.#lanes.push(lane)
      this.#ahead(lane)
    }
  }

  #ahead(lane: Lane): void {
    lane.page = this.#fetch(lane)
    // Reported when its turn comes; whoever has stopped taking rows does not hear of it.
    lane.page.catch(() => {})
  }

  async #fetch(lane: Lane): Promise<RangeReply> {
    const { reverse } = this.#range
    const { level, pageSize } = this.#options
    const limit = Math.min(this.#left, pageSize ?? PAGE_ROWS)
    // The part of the lane in the partition at its near end, as the map is when the page is asked for.
    let asked = { from: lane.start, to: lane.end }
    const ask = (session?: Uint8Array): Promise<RangeReply> =>
      this.#client.send(
        rangeMessage,
        () => this.#edge(lane.start, lane.end),
        ({ from, to, version }) => {
          asked = { from: lane.start > from ? lane.start : from, to: lane.end < to ? lane.end : to }
          return {
            table: this.#table as number,
            mapVersion: version,
            level,
            hops: 0,
            ...asked,
            reverse,
            limit,
            session,
            staleMs: this.#options.staleMs,
          }
        },
        this.#options,
        false,
        this.#client.pageLatency,
      )
    const reply = await (this.#options.session === undefined ? ask() : this.#options.session.run(ask))
    if (reverse) lane.end = reply.resume ?? asked.from
    else lane.start = reply.resume ?? asked.to
    return reply
  }

  /** The partition at the near end of what is left between two keys. */
  #edge(start: ByteString, end: ByteString): Place {
    const { map } = this.#client.router.catalog.view(this.#table)
    const { reverse } = this.#range
    const { anyHome } = this.#options
    const partition = map.locate(reverse ? end : start)
    if (!reverse || partition.from < end) return { map, partition, anyHome }
    // `end` is exclusive, and a boundary: the rows before it are in the partition before.
    const before = map.partitions[map.partitions.indexOf(partition) - 1] ?? partition
    return { map, partition: before, anyHome }
  }
}

function atLeast(value: number, name: string, least: number): number {
  if (Number.isInteger(value) && value >= least) return value
  throw new QuorateError('BAD_REQUEST', `${name} is ${value}: a whole number from ${least} is meant`)
}
