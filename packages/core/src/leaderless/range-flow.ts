/**
 * One page of rows in key order at quorum: R replicas each give their next rows, merged row by row.
 *
 * A replica that stopped at its limit has said nothing about what lies beyond its last key, so the merged
 * page ends at the smallest such key; the rest comes with the next page. A page that takes longer than pages
 * mostly take is asked of one more replica, within the budget of hedges. Rows that differ are repaired as
 * after a read. Deleted rows are left out of the reply but count towards the page, so progress is certain.
 */

import { bytesEqual } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { placeOfKey, type TableView } from '../catalog/catalog.ts'
import { leaderlessOf, writePartsOf } from '../catalog/table-descriptor.ts'
import type { Cell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import { encodeContextToken } from '../cells/context-token.ts'
import { seenOf } from '../cells/superseded.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Deadline } from '../ports/deadlines.ts'
import { DAMAGED, durable } from '../store/store-face.ts'
import {
  type RangeReply,
  type RangeRequest,
  replicaRangeMessage,
  replicaWriteMessage,
} from '../wire/messages.ts'
import type { LatencyTracker } from './latency-tracker.ts'
import type { NodeContext } from './node-context.ts'
import { knowsBetter } from './write-flow.ts'

export interface ReplicaRow {
  readonly key: ByteString
  readonly cell: Uint8Array
}

export interface ReplicaPage {
  readonly rows: readonly ReplicaRow[]
  readonly more: boolean
  /** Clock of the store it was read from. */
  readonly asOf: Stamp
}

/** This replica's next rows; stops early at the page's byte limit. Throws DAMAGED_CELL when one is unknown. */
export function localPage(
  node: NodeContext,
  from: ByteString,
  to: ByteString,
  reverse: boolean,
  limit: number,
): ReplicaPage {
  const asOf = node.hybrid.peek()
  const rows: ReplicaRow[] = []
  let bytes = 0
  for (const [key, value] of node.store.scan(from, to, { limit: limit + 1, reverse })) {
    if (rows.length >= limit || bytes > limits.pageBytesMax) return { rows, more: true, asOf }
    const cell = value === DAMAGED || node.rows.damagedKeys.has(key) ? node.rows.read(key) : value
    if (cell === undefined || typeof cell === 'symbol') continue
    rows.push({ key, cell })
    bytes += key.length + cell.length
  }
  return { rows, more: false, asOf }
}

export interface MergedRow {
  readonly key: ByteString
  readonly cell: Cell
  /** Homes that lacked part of it, with what they have. */
  readonly stale: readonly NodeId[]
}

export interface NodePage {
  readonly node: NodeId
  readonly page: ReplicaPage
}

/** Pure: what R pages say together, in order, up to the first key about which one of them is silent. */
export function mergePages(
  view: TableView,
  pages: readonly NodePage[],
  reverse: boolean,
  limit: number,
): { rows: MergedRow[]; last: ByteString | undefined; more: boolean } {
  const before = (a: string, b: string): boolean => (reverse ? a > b : a < b)
  let horizon: ByteString | undefined
  for (const { page } of pages) {
    const last = page.rows.at(-1)?.key
    if (page.more && last !== undefined && (horizon === undefined || before(last, horizon))) horizon = last
  }
  const byKey = new Map<ByteString, { node: NodeId; cell: Uint8Array }[]>()
  for (const { node, page } of pages) {
    for (const { key, cell } of page.rows) {
      if (horizon !== undefined && before(horizon, key)) break
      const copies = byKey.get(key)
      if (copies === undefined) byKey.set(key, [{ node, cell }])
      else copies.push({ node, cell })
    }
  }
  const keys = [...byKey.keys()].sort((a, b) => (before(a, b) ? -1 : 1))
  const rows = keys.slice(0, limit).map(key => mergeRow(view, key, byKey.get(key)!, pages))
  const more = keys.length > limit || horizon !== undefined
  return { rows, last: rows.at(-1)?.key, more }
}

function mergeRow(
  view: TableView,
  key: ByteString,
  copies: readonly { node: NodeId; cell: Uint8Array }[],
  pages: readonly NodePage[],
): MergedRow {
  const first = copies[0]!.cell
  if (copies.length === pages.length && copies.every(copy => bytesEqual(copy.cell, first))) {
    return { key, cell: decodeCell(first), stale: [] }
  }
  let cell = decodeCell(first)
  for (const copy of copies.slice(1)) cell = view.rule.merge(cell, decodeCell(copy.cell)).cell
  const bytes = encodeCell(cell)
  const fresh = new Set(copies.filter(copy => bytesEqual(copy.cell, bytes)).map(copy => copy.node))
  return { key, cell, stale: pages.map(page => page.node).filter(node => !fresh.has(node)) }
}

export interface RangeFlowOptions {
  readonly context: NodeContext
  readonly view: TableView
  readonly partition: Partition
  readonly request: RangeRequest
  readonly needed: number
  readonly deadline: number
  /** Of pages, not of single rows. */
  readonly latency: LatencyTracker
}

export interface RangePage {
  readonly receipt: RangeReply['receipt']
  readonly rows: readonly MergedRow[]
  /** The last row met, deleted ones included. */
  readonly last: ByteString | undefined
  readonly more: boolean
}

export async function runRange(options: RangeFlowOptions): Promise<RangePage> {
  const { context: node, view, partition, request, needed, deadline } = options
  const limit = Math.max(1, Math.min(request.limit, limits.pageRowsMax))
  const { pages, hedged } = await collectPages(options, limit)
  const asOf = Math.min(...pages.map(({ page }) => page.asOf)) as Stamp
  node.counters.ranges++
  const { rows, last, more } = mergePages(view, pages, request.reverse, limit)
  const stale = withComingHomes(options, rows).filter(row => row.stale.length > 0)
  const repairs = repairRows(options, stale, pages, asOf)
  if (leaderlessOf(view.descriptor).readRepair === 'blocking' && stale.length > 0) {
    if (!(await within(node, repairs, deadline))) {
      throw new QuorateError('READ_SHORT', 'stale replicas were found and could not be repaired in time')
    }
  }
  return {
    receipt: {
      coordinator: node.self,
      mapVersion: partition.version,
      needed,
      replicas: partition.replicas.length,
      homes: pages.map(page => page.node),
      fallbacks: [],
      hinted: [],
      repaired: [...new Set(stale.flatMap(row => row.stale))],
      forwarded: request.hops > 0,
      via: [],
      hedged,
      log: undefined,
    },
    rows,
    last,
    more,
  }
}

export function replyOfPage(
  { view, request }: RangeFlowOptions,
  { receipt, rows, last, more }: RangePage,
  session: Uint8Array | undefined,
): RangeReply {
  return {
    receipt,
    rows: rows
      .map(row => ({
        key: row.key,
        values: view.rule.read(row.cell),
        context: tokenOfRow(view, row),
      }))
      // Of a row in parts, what is deleted here may have a value in another part: the client asks.
      .filter(row => row.values.length > 0 || writePartsOf(view.descriptor) > 1),
    resume: more && last !== undefined ? (request.reverse ? last : ((last + '\0') as ByteString)) : undefined,
    session,
  }
}

function tokenOfRow(view: TableView, { key, cell }: MergedRow): Uint8Array {
  const { row, part } = placeOfKey(view, key)
  return encodeContextToken(seenOf(cell), row, part)
}

interface Collected {
  readonly pages: readonly NodePage[]
  readonly hedged: boolean
}

function collectPages(options: RangeFlowOptions, limit: number): Promise<Collected> {
  return new Promise((resolve, reject) => new PageCollector(options, limit, resolve, reject).start())
}

/** Asks homes until `needed` pages are here: its own copy first, then homes that seem alive. */
class PageCollector {
  readonly #options: RangeFlowOptions
  readonly #limit: number
  readonly #resolve: (collected: Collected) => void
  readonly #reject: (error: QuorateError) => void
  readonly #order: readonly NodeId[]
  readonly #pages: NodePage[] = []
  readonly #attempts: string[] = []
  #asked = 0
  #outstanding = 0
  #finished = false
  #hedged = false
  #hedgeTime: Deadline | undefined

  constructor(
    options: RangeFlowOptions,
    limit: number,
    resolve: (collected: Collected) => void,
    reject: (error: QuorateError) => void,
  ) {
    this.#options = options
    this.#limit = limit
    this.#resolve = resolve
    this.#reject = reject
    const { context: node, view, partition } = options
    const homes = partition.replicas.filter(home => home !== node.self)
    const own = partition.replicas.includes(node.self) && node.isReady(view, partition) ? [node.self] : []
    this.#order = [
      ...own,
      ...homes.filter(home => !node.isSuspected(home)),
      ...homes.filter(home => node.isSuspected(home)),
    ]
  }

  start(): void {
    const { context: node, needed, latency } = this.#options
    this.#askMore()
    if (this.#finished || this.#order.length <= needed) return
    latency.readStarted()
    const hedgeAt = node.clock.monotonicMs() + latency.hedgeAfterMs()
    this.#hedgeTime = node.rpc.deadlines.add(hedgeAt, { expire: () => this.#hedge() })
  }

  #hedge(): void {
    const { context: node, latency } = this.#options
    const next = this.#order[this.#asked]
    if (this.#finished || next === undefined || node.isSuspected(next)) return
    if (!latency.take()) {
      node.counters.hedgesWithheld++
      return
    }
    node.counters.hedges++
    this.#hedged = true
    this.#asked++
    this.#outstanding++
    this.#ask(next)
  }

  #finish(): void {
    this.#finished = true
    this.#hedgeTime?.cancel()
  }

  #askMore(): void {
    const { context: node, needed } = this.#options
    while (!this.#finished && this.#pages.length + this.#outstanding < needed) {
      const next = this.#order[this.#asked++]
      if (next !== undefined) {
        this.#outstanding++
        if (next === node.self) this.#askSelf()
        else this.#ask(next)
        continue
      }
      if (this.#outstanding > 0) return
      this.#finish()
      node.counters.readsShort++
      const data = { answered: this.#pages.length, needed }
      const message = `${data.answered} of the ${needed} replicas asked for answered`
      this.#reject(new QuorateError('READ_SHORT', message, { data, attempts: this.#attempts }))
    }
  }

  #askSelf(): void {
    const { context: node, request } = this.#options
    try {
      const page = localPage(node, request.from, request.to, request.reverse, this.#limit)
      node.store.whenDurable(node.store.handed, () => this.#got(node.self, page))
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      this.#failed(node.self, error)
    }
  }

  #ask(home: NodeId): void {
    const { context: node, view, partition, request, deadline, latency } = this.#options
    const askedAt = node.clock.monotonicMs()
    const isHedge = this.#hedged
    const timeoutMs = Math.min(limits.replicaTimeoutMs * 2, Math.max(1, deadline - askedAt))
    const { from, to, reverse } = request
    const message = {
      table: view.descriptor.id,
      mapVersion: partition.version,
      from,
      to,
      reverse,
      limit: this.#limit,
    }
    node.rpc.call([home as string as PeerId], replicaRangeMessage, message, timeoutMs, (_, reply, error) => {
      if (error !== undefined) return this.#failed(home, error)
      if (!isHedge) latency.record(node.clock.monotonicMs() - askedAt)
      this.#got(home, reply!)
    })
  }

  #got(home: NodeId, page: ReplicaPage): void {
    this.#outstanding--
    if (this.#finished) return
    this.#pages.push({ node: home, page })
    if (this.#pages.length < this.#options.needed) return this.#askMore()
    this.#finish()
    this.#resolve({ pages: this.#pages, hedged: this.#hedged })
  }

  #failed(home: NodeId, error: QuorateError): void {
    this.#outstanding--
    this.#attempts.push(`${home}: ${error.code}`)
    if (this.#finished || !knowsBetter(error, this.#options.partition)) return this.#askMore()
    // The partition may have been cut: whoever asked looks at the newer map and asks anew.
    this.#finish()
    const { context: node, view, partition } = this.#options
    void node
      .catchUp(view.descriptor.id, partition.chunk, home as string as PeerId)
      .then(() => this.#reject(error))
  }
}

/** A monotonic read while the partition moves: the homes it moves to answer later reads, so they must hold it too. */
function withComingHomes(
  { view, partition }: RangeFlowOptions,
  rows: readonly MergedRow[],
): readonly MergedRow[] {
  const { writeSets, replicas, settled, holders } = partition
  const isBlocking = leaderlessOf(view.descriptor).readRepair === 'blocking'
  if (!isBlocking || writeSets.length < 2 || replicas !== settled) return rows
  const coming = holders.filter(node => !replicas.includes(node))
  return rows.map(row => ({ ...row, stale: [...row.stale, ...coming] }))
}

/** Sends every stale home what it lacks: the copies of the others (a rule that discards must see them itself). */
async function repairRows(
  options: RangeFlowOptions,
  rows: readonly MergedRow[],
  pages: readonly NodePage[],
  asOf: Stamp,
): Promise<boolean> {
  const { context: node, view, partition } = options
  const sends: Promise<boolean>[] = []
  for (const row of rows) {
    const copies = pages.flatMap(({ node: from, page }) =>
      page.rows.filter(r => r.key === row.key).map(r => ({ from, cell: r.cell })),
    )
    for (const home of row.stale) {
      node.counters.readRepairs++
      for (const { from, cell } of copies) {
        if (from === home) continue
        if (home === node.self) {
          sends.push(mergeHere(options, row.key, cell, asOf))
          continue
        }
        const message = {
          table: view.descriptor.id,
          mapVersion: partition.version,
          kind: 'repair' as const,
          key: row.key,
          cell,
          asOf,
        }
        sends.push(
          node.rpc
            .request(home as string as PeerId, replicaWriteMessage, message, limits.replicaTimeoutMs)
            .then(
              () => true,
              // A repair that fails is made again by the next read or the sweep; a blocking read reports it.
              () => false,
            ),
        )
      }
    }
  }
  const results = await Promise.all(sends)
  return results.every(ok => ok)
}

async function mergeHere(
  options: RangeFlowOptions,
  key: ByteString,
  cell: Uint8Array,
  asOf: Stamp,
): Promise<boolean> {
  const { context: node, view } = options
  try {
    node.fences.check(key, 'repair', asOf)
    if (view.map.locate(key) !== node.catalog.find(view.descriptor.id)?.map.locate(key)) return false
    await durable(node.store, node.rows.merge(view, key, cell).position)
    return true
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error
    return false
  }
}

function within(node: NodeContext, work: Promise<boolean>, deadline: number): Promise<boolean> {
  return new Promise(resolve => {
    const timer = node.clock.setTimer(Math.max(1, deadline - node.clock.monotonicMs()), () => resolve(false))
    void work.then(ok => {
      timer.cancel()
      resolve(ok)
    })
  })
}
