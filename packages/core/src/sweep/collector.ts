/**
 * Collection of tombstones and of superseded operations, by evidence and never by age.
 *
 * A tombstone may go, and a cell may forget which operations it superseded, when nothing that could still
 * arrive holds an older state of the row. Cells travel with `asOf`: the clock of the store they were read from, at the time they were read. One round for one
 * partition:
 *   1. report: every home says, for the candidates, the exact digest of what it durably has, unless it is so
 *      new that a client may still try again what it reflects: a second try is a new write. Only rows that
 *      are the *same on all N homes* go on.
 *   2. clocks: only then every member of the cluster (a dead one blocks) tells its clock. The cut is their
 *      maximum: whatever was read anywhere before a home had that cell has asOf <= cut.
 *   3. fence: every member durably refuses, from now on, cells of the partition with asOf <= cut, and says
 *      how many hints from before the cut it holds for it: any means stop here.
 *   4. drop: every home removes the rows that are still exactly so (or, where values live on, rewrites them
 *      without what they superseded), with the watermark in the same batch.
 * Values that have gathered (`Gathering`) are put together by the same four steps, but that homes need agree only on what
 * was written up to a moment ago: what is tried again has its names among that, once it is old enough.
 *
 * What arrives later was read after its home had that cell (and is that cell, or what was left of it, or
 * newer) or is refused. A home that missed step 4 still has all of it; a sweep spreads it again and a later
 * round collects it. Rounds may overlap and stop anywhere: each step is idempotent and safe alone.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, PeerId, Stamp } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { contextMax } from '../causality/context.ts'
import { stampSpan } from '../causality/hybrid-clock.ts'
import type { Cell } from '../cells/cell.ts'
import {
  type Digest,
  decodeCell,
  describeDigest,
  digestCell,
  digestsEqual,
  encodeCell,
} from '../cells/cell-codec.ts'
import { afterCollection, isCollectable } from '../cells/collectable.ts'
import type { ConflictRule } from '../cells/conflict-rule.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { refuseRowsOutside } from '../leaderless/partition-doors.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import type { TableWrite } from '../ports/table.ts'
import { DAMAGED } from '../store/store-face.ts'
import {
  collectDropMessage,
  collectFenceMessage,
  collectReportMessage,
  type Message,
} from '../wire/messages.ts'
import { partitionOf } from './sweep-server.ts'

const REQUEST_MS = 5_000
/** Writes of the last moments are on their way to some homes: of what has gathered, homes agree on what is older. */
const ARRIVING_MS = 2_000

interface Candidate {
  readonly key: ByteString
  readonly digest: Digest
}

export class Collector {
  readonly #node: NodeContext
  readonly #intervalMs: number
  readonly #lateWriteMs: number
  #stopped = false

  constructor(node: NodeContext, intervalMs: number, lateWriteMs: number) {
    this.#node = node
    this.#intervalMs = intervalMs
    this.#lateWriteMs = lateWriteMs
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#node.clock, this.#intervalMs)
      for (const view of this.#node.catalog.views()) {
        for (const partition of view.map.partitions) {
          // The first home leads, so that rounds do not race for nothing; safety does not rest on it.
          if (this.#stopped) return
          if (partition.replicas[0] === this.#node.self) await this.round(view, partition)
          else this.#node.rows.leaveCollection(partition)
        }
      }
    }
  }

  /** One round; returns how many rows were collected at every home, 0 when something blocked it. */
  async round(view: TableView, partition: Partition): Promise<number> {
    // A node that is getting the rows may have an old value and not yet the tombstone: nothing goes until it has all.
    if (partition.move !== undefined) return 0
    const keys = this.#node.rows.nextCollectable(view.rule, partition)
    if (keys.length === 0) return 0
    const collected = await this.#collect(view, partition, keys, 0 as Stamp)
    if (view.rule.gathering === undefined) return collected
    const upTo = (this.#node.hybrid.peek() - stampSpan(ARRIVING_MS)) as Stamp
    return collected + (await this.#collect(view, partition, keys, upTo))
  }

  /** `upTo` 0: tombstones and what was superseded. Otherwise what has gathered up to that stamp. */
  async #collect(
    view: TableView,
    partition: Partition,
    keys: readonly ByteString[],
    upTo: Stamp,
  ): Promise<number> {
    const { id, version } = partition
    const address = { table: view.descriptor.id, mapVersion: version, partition: id }
    try {
      const members = this.#node.catalog.members.members
        .filter(member => member.state !== 'staged')
        .map(member => member.id)
      if (members.some(member => this.#node.isSuspected(member))) return 0
      const reports = await Promise.all(
        partition.replicas.map(home =>
          this.#ask(home, collectReportMessage, { ...address, candidates: keys, upTo }),
        ),
      )
      const rows = agreedByAll(reports.map(report => report.rows))
      if (rows.length === 0) return 0
      const fenceAll = (cut: Stamp) =>
        Promise.all(members.map(member => this.#ask(member, collectFenceMessage, { ...address, cut })))
      const clocks = await fenceAll(0 as Stamp)
      const cut = Math.max(...clocks.map(answer => answer.clock)) as Stamp
      const fences = await fenceAll(cut)
      if (fences.some(fence => fence.hints > 0 || !fence.ready)) return 0
      const settledTo = Math.max(0, upTo - stampSpan(this.#lateWriteMs)) as Stamp
      await Promise.all(
        partition.replicas.map(home =>
          this.#ask(home, collectDropMessage, { ...address, cut, rows, upTo, settledTo }),
        ),
      )
      return rows.length
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      // A member that is down, full or on another map blocks collection; that is the point of it.
      return 0
    }
  }

  #ask<Q, A>(node: string, message: Message<Q, A>, request: Q): Promise<A> {
    return this.#node.rpc.request(node as PeerId, message, request, REQUEST_MS)
  }
}

/** Nothing that this cell reflects is still being tried by a client: a second try would be a new write. */
function isSettled(cell: Cell, now: Stamp, lateWriteMs: number): boolean {
  return now - contextMax(cell.context) >= stampSpan(lateWriteMs)
}

/** Of what every home must have alike; undefined: it is no candidate. */
function digestToAgreeOn(
  { gathering }: ConflictRule,
  key: ByteString,
  stored: Uint8Array,
  upTo: Stamp,
  isOldEnough: (cell: Cell) => boolean = () => true,
): Digest | undefined {
  const cell = decodeCell(stored)
  if (upTo === 0) return isCollectable(cell) && isOldEnough(cell) ? digestCell(key, stored) : undefined
  if (gathering === undefined || !gathering.isDue(cell)) return undefined
  return digestCell(key, encodeCell(gathering.upTo(cell, upTo)))
}

/** Undefined: nothing; the same cell: there is nothing to do. */
function leftOf(
  { gathering }: ConflictRule,
  cell: Cell,
  { upTo, settledTo }: { readonly upTo: Stamp; readonly settledTo: Stamp },
): Cell | undefined {
  if (upTo === 0 || gathering === undefined) return afterCollection(cell)
  return gathering.putTogether(cell, upTo, settledTo) ?? cell
}

/** Rows reported with one and the same digest by every home. Pure. */
export function agreedByAll(reports: readonly (readonly Candidate[])[]): Candidate[] {
  const votes = new Map<string, { candidate: Candidate; count: number }>()
  for (const report of reports) {
    for (const candidate of report) {
      const vote = `${candidate.key}\0${describeDigest(candidate.digest)}`
      const known = votes.get(vote)
      if (known === undefined) votes.set(vote, { candidate, count: 1 })
      else known.count++
    }
  }
  return [...votes.values()].filter(vote => vote.count === reports.length).map(vote => vote.candidate)
}

interface Address {
  readonly table: number
  readonly mapVersion: number
  readonly partition: number
}

/** `lateWriteMs`: a write may still be tried again, and come anew, this long after it was first applied. */
export function serveCollection(node: NodeContext, lateWriteMs: number): void {
  const { rpc, catalog, fences, store, hybrid, hints, rows, counters } = node

  const settled = (request: Address): [TableView, Partition] => {
    const [view, partition] = partitionOf(catalog, request)
    if (partition.move === undefined) return [view, partition]
    throw new QuorateError('STALE_MAP', 'the partition is being moved: nothing of it is collected', {
      data: { version: partition.version },
    })
  }

  rpc.handle(collectReportMessage, (request, respond) => {
    const [view, partition] = settled(request)
    refuseRowsOutside(partition, request.candidates)
    const isOldEnough = (cell: Cell): boolean => isSettled(cell, hybrid.peek(), lateWriteMs)
    const found: Candidate[] = []
    for (const key of request.candidates) {
      const stored = store.get(key)
      if (stored === undefined || stored === DAMAGED || rows.damagedKeys.has(key)) continue
      const digest = digestToAgreeOn(view.rule, key, stored, request.upTo, isOldEnough)
      if (digest !== undefined) found.push({ key, digest })
    }
    store.whenDurable(store.handed, () => respond.ok({ rows: found }))
  })

  rpc.handle(collectFenceMessage, (request, respond) => {
    const [view, partition] = settled(request)
    hybrid.observe(request.cut, 'the collection cut')
    // Whatever is read here from now on is stamped after the cut, and after the clock told below.
    const clock = hybrid.mint()
    hybrid.mint()
    const position = request.cut === 0 ? 0 : fences.raise(partition, request.cut)
    const held = hints.countInRange(partition, request.cut)
    const ready = !partition.replicas.includes(node.self) || node.isReady(view, partition)
    store.whenDurable(position, () => respond.ok({ hints: held, ready, clock }))
  })

  rpc.handle(collectDropMessage, (request, respond) => {
    const [view, partition] = settled(request)
    // The fence of another partition was not raised: without it a removal could be overtaken from behind.
    refuseRowsOutside(
      partition,
      request.rows.map(({ key }) => key),
    )
    const batch: TableWrite[] = [fences.watermark(partition, request.cut)]
    const collected: { key: ByteString; before: Uint8Array; after: Uint8Array | undefined }[] = []
    for (const { key, digest } of request.rows) {
      const stored = store.get(key)
      if (stored === undefined || stored === DAMAGED) continue
      const now = digestToAgreeOn(view.rule, key, stored, request.upTo)
      if (now === undefined || !digestsEqual(now, digest)) continue
      const cell = decodeCell(stored)
      const left = leftOf(view.rule, cell, request)
      if (left === cell) continue
      const after = left === undefined ? undefined : encodeCell(left)
      batch.push({ key, value: after })
      collected.push({ key, before: stored, after })
    }
    const position = store.commit(batch)
    for (const { key, before, after } of collected) {
      rows.collected(view, key, before, after)
      if (after === undefined) counters.tombstonesCollected++
      else counters.supersededCollected++
    }
    store.whenDurable(position, () => respond.ok({ dropped: collected.length }))
  })
}
