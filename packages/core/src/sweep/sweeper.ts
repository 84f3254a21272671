/**
 * Sweeps: reconciles this node with each other home of its partitions.
 *
 * One exchange with one peer: roots of all shared partitions in one message; where they differ, down the
 * trees level by level to differing leaves; there the keys and digests; then both copies of each differing
 * row are read again after a pause (a write in flight looks like a difference) and only what still
 * differs is merged in both directions. Traffic is logarithmic in the rows and linear in the differences,
 * and rows are repaired at no more than `sweepRowsPerSecond`.
 *
 * A pair (partition, peer) is *proven equal* at the time its roots were seen equal; status shows it. A
 * node that lost its store counts as ready for a partition after it has pulled from enough peers.
 */

import { bytesEqual } from '../base/bytes.ts'
import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { randomUnit } from '../base/prng.ts'
import type { TableView } from '../catalog/catalog.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { type Digest, digestsEqual } from '../cells/cell-codec.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { refuseRowsOutside } from '../leaderless/partition-doors.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import { DAMAGED, durable } from '../store/store-face.ts'
import {
  type Message,
  replicaWriteMessage,
  sweepChildrenMessage,
  sweepFetchMessage,
  sweepLeafMessage,
  sweepRootsMessage,
} from '../wire/messages.ts'
import { sameNode } from './merkle-tree.ts'
import type { Trees } from './trees.ts'

export interface SweepOptions {
  /** Mean time between exchanges with one peer. */
  readonly intervalMs: number
  /** Between finding a difference and believing it. */
  readonly recheckMs: number
}

const REQUEST_MS = 5_000
const FETCH_ROWS = 200

export interface ExchangeResult {
  readonly peer: NodeId
  readonly partitions: number
  readonly differing: number
  readonly repaired: number
  /** Were all differences settled, with a peer that may speak for its rows? */
  readonly complete: boolean
}

export class Sweeper {
  readonly #node: NodeContext
  readonly #trees: Trees
  readonly #options: SweepOptions
  /** `table/partition/peer` → wall time at which the pair was last proven equal. */
  readonly provenEqual = new Map<string, number>()
  /** Called when everything differing in a partition was pulled from a peer that is itself ready. */
  onPulled: (view: TableView, partition: number, peer: NodeId) => void = () => {}
  #stopped = false

  constructor(node: NodeContext, trees: Trees, options: SweepOptions) {
    this.#node = node
    this.#trees = trees
    this.#options = options
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    const { clock, random } = this.#node
    let turn = 0
    while (!this.#stopped) {
      const peers = this.#peers().filter(peer => !this.#node.isSuspected(peer))
      const pauseMs = (this.#options.intervalMs / Math.max(1, peers.length)) * (0.75 + randomUnit(random) / 2)
      await pause(clock, pauseMs)
      const peer = peers[turn++ % Math.max(1, peers.length)]
      if (this.#stopped || peer === undefined) continue
      await this.exchangeAll(peer)
    }
  }

  #peers(): NodeId[] {
    return this.#node.catalog.members.members.map(member => member.id).filter(id => id !== this.#node.self)
  }

  /** Every table with one peer; failures end the exchange with that peer, to be made up by the next. */
  async exchangeAll(peer: NodeId): Promise<ExchangeResult[]> {
    const results: ExchangeResult[] = []
    for (const view of this.#node.catalog.views()) {
      if (this.#stopped) break
      const result = await this.exchange(view, peer)
      if (result === undefined) break
      results.push(result)
    }
    return results
  }

  /** Undefined when the peer did not answer. */
  async exchange(view: TableView, peer: NodeId): Promise<ExchangeResult | undefined> {
    const shared = view.map.partitions.filter(
      p => p.replicas.includes(this.#node.self) && p.replicas.includes(peer),
    )
    return this.exchangePartitions(view, shared, peer)
  }

  /** Some partitions that both keep the rows of; complete when this node has everything of them that the peer had. */
  async exchangePartitions(
    view: TableView,
    asked: readonly Partition[],
    peer: NodeId,
  ): Promise<ExchangeResult | undefined> {
    const table = view.descriptor.id
    // A leader's log makes its followers equal; a row that comes another way would be no state of the log.
    if (ledOf(view.descriptor) !== undefined)
      return { peer, partitions: 0, differing: 0, repaired: 0, complete: true }
    // A tree that is still being counted can be compared with nothing.
    const shared = asked.filter(({ id }) => this.#trees.isCounted(table, id))
    const isAll = shared.length === asked.length
    if (shared.length === 0) return { peer, partitions: 0, differing: 0, repaired: 0, complete: isAll }
    this.#node.counters.sweepExchanges++
    const partitions = shared.map(({ id, version }) => {
      const { digest, rows } = this.#trees.node(table, id, 0, 0)
      return { id, mapVersion: version, digest, rows }
    })
    try {
      const roots = await this.#ask(peer, sweepRootsMessage, { table, partitions })
      const differing = new Set(roots.differing)
      const unready = new Set([...roots.unready, ...roots.unknown])
      let repaired = 0
      let complete = isAll
      for (const partition of shared) {
        if (this.#stopped) return undefined
        const { id } = partition
        const ready = !unready.has(id)
        if (!differing.has(id)) {
          if (ready) this.#equal(view, id, peer)
          else complete = false
          continue
        }
        const refusedBefore = this.#node.counters.sweepRowsRefused
        repaired += await this.#reconcile(view, partition, peer)
        const allTaken = this.#node.counters.sweepRowsRefused === refusedBefore
        if (ready && allTaken) this.onPulled(view, id, peer)
        else complete = false
      }
      return { peer, partitions: shared.length, differing: differing.size, repaired, complete }
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      // The peer went away or refused: nothing was proven, nothing is lost; the next exchange starts anew.
      return undefined
    }
  }

  #equal(view: TableView, id: number, peer: NodeId): void {
    this.provenEqual.set(`${view.descriptor.id}/${id}/${peer}`, this.#node.clock.wallMs())
    this.onPulled(view, id, peer)
  }

  #address(
    view: TableView,
    { id, version }: Partition,
  ): { table: number; partition: number; mapVersion: number } {
    return { table: view.descriptor.id, partition: id, mapVersion: version }
  }

  #ask<Q, A>(peer: NodeId, message: Message<Q, A>, request: Q): Promise<A> {
    return this.#node.rpc.request(peer as string as PeerId, message, request, REQUEST_MS)
  }

  /** Walks down one partition's trees and merges what differs; returns the rows merged. */
  async #reconcile(view: TableView, partition: Partition, peer: NodeId): Promise<number> {
    const table = view.descriptor.id
    const { id } = partition
    let suspects = [0]
    for (let level = 0; level < this.#trees.depth(table, id) && suspects.length > 0; level++) {
      const next: number[] = []
      for (let at = 0; at < suspects.length; at += 256) {
        const indexes = suspects.slice(at, at + 256)
        const { children } = await this.#ask(peer, sweepChildrenMessage, {
          ...this.#address(view, partition),
          level,
          indexes,
        })
        for (const child of children) {
          if (!sameNode(child, this.#trees.node(table, id, level + 1, child.index))) next.push(child.index)
        }
      }
      suspects = next
    }
    let repaired = 0
    let pending: ByteString[] = []
    for (const leaf of suspects) {
      pending.push(...(await this.#leafDifferences(view, partition, leaf, peer)))
      while (pending.length >= FETCH_ROWS) {
        repaired += await this.#settle(view, partition, pending.slice(0, FETCH_ROWS), peer)
        pending = pending.slice(FETCH_ROWS)
      }
    }
    if (pending.length > 0) repaired += await this.#settle(view, partition, pending, peer)
    return repaired
  }

  async #leafDifferences(
    view: TableView,
    partition: Partition,
    leaf: number,
    peer: NodeId,
  ): Promise<ByteString[]> {
    const table = view.descriptor.id
    const theirs = new Map<ByteString, Digest>()
    let after = '' as ByteString
    for (;;) {
      const page = await this.#ask(peer, sweepLeafMessage, {
        ...this.#address(view, partition),
        leaf,
        after,
      })
      for (const row of page.rows) theirs.set(row.key, row.digest)
      const last = page.rows.at(-1)
      if (!page.more || last === undefined) break
      after = last.key
    }
    const out: ByteString[] = []
    for (const { key, digest } of this.#trees.leafRows(
      table,
      partition.id,
      leaf,
      '' as ByteString,
      Number.MAX_SAFE_INTEGER,
    )) {
      const other = theirs.get(key)
      if (other === undefined || !digestsEqual(other, digest)) out.push(key)
      theirs.delete(key)
    }
    out.push(...theirs.keys())
    this.#node.counters.sweepRowsCompared += out.length
    return out
  }

  /** Re-checks rows after a pause and merges both ways what still differs. */
  async #settle(
    view: TableView,
    partition: Partition,
    keys: readonly ByteString[],
    peer: NodeId,
  ): Promise<number> {
    const { clock, counters, hybrid } = this.#node
    await pause(clock, this.#options.recheckMs)
    const began = clock.monotonicMs()
    let repaired = 0
    let rest = keys
    while (rest.length > 0) {
      const asOf = hybrid.peek()
      const fetched = await this.#fetch(this.#address(view, partition), rest, peer)
      if (fetched === undefined) {
        counters.sweepRowsRefused++
        rest = rest.slice(1)
        continue
      }
      const lacking = this.#pull(view, partition, fetched.cells, fetched.asOf)
      counters.sweepRowsRepaired += lacking.changed
      repaired += lacking.changed
      // Our merged state may rest on ledger entries in these batches: it travels when they are durable.
      await durable(this.#node.store, this.#node.store.handed)
      await this.#push(view, partition, lacking.rows, asOf, peer)
      if (fetched.cells.length === 0) break
      rest = rest.slice(fetched.cells.length)
    }
    const pacedMs = (keys.length / limits.sweepRowsPerSecond) * 1_000
    await pause(clock, Math.max(0, pacedMs - (clock.monotonicMs() - began)))
    return repaired
  }

  /** The first of these rows as the peer has them; undefined when its first one is too large to travel. */
  async #fetch(
    address: { table: number; partition: number; mapVersion: number },
    keys: readonly ByteString[],
    peer: NodeId,
  ) {
    try {
      return await this.#ask(peer, sweepFetchMessage, { ...address, keys })
    } catch (error) {
      if (isQuorateError(error) && error.code === 'VALUE_TOO_LARGE') return undefined
      throw error
    }
  }

  /** Merges what the peer has; says which rows the peer then lacks. */
  #pull(
    view: TableView,
    partition: Partition,
    cells: readonly { readonly key: ByteString; readonly cell: Uint8Array | undefined }[],
    asOf: Stamp,
  ): { changed: number; rows: { key: ByteString; cell: Uint8Array }[] } {
    const { store, rows, fences, counters } = this.#node
    const lacking: { key: ByteString; cell: Uint8Array }[] = []
    let changed = 0
    // What was compared under a map that is no longer ours must not be taken into rows that may have moved.
    if (this.#node.catalog.find(view.descriptor.id)?.map.find(partition.id)?.version !== partition.version)
      throw new QuorateError('STALE_MAP', 'the partition has changed during the exchange')
    refuseRowsOutside(
      partition,
      cells.map(({ key }) => key),
    )
    for (const { key, cell: theirs } of cells) {
      const stored = store.get(key)
      const mine = stored === DAMAGED ? undefined : stored
      if (theirs === undefined ? mine === undefined : mine !== undefined && bytesEqual(mine, theirs)) {
        counters.sweepFalseAlarms++
        continue
      }
      let now = mine
      if (theirs !== undefined) {
        try {
          fences.check(key, 'sweep', asOf)
          now = rows.merge(view, key, theirs).bytes
        } catch (error) {
          if (!(error instanceof QuorateError)) throw error
          // One row that cannot be taken must not keep all behind it from being swept. Nothing is proven then.
          counters.sweepRowsRefused++
          continue
        }
      }
      changed++
      if (now !== undefined && now.length > limits.cellBytesMax) counters.sweepRowsRefused++
      else if (now !== undefined && (theirs === undefined || !bytesEqual(now, theirs)))
        lacking.push({ key, cell: now })
    }
    return { changed, rows: lacking }
  }

  async #push(
    view: TableView,
    partition: Partition,
    rows: readonly { readonly key: ByteString; readonly cell: Uint8Array }[],
    asOf: Stamp,
    peer: NodeId,
  ): Promise<void> {
    const to = peer as string as PeerId
    // A failure of one is looked at when all have ended: none may be left to nobody.
    const outcomes = await Promise.all(
      rows.map(row => {
        const message = {
          table: view.descriptor.id,
          mapVersion: partition.version,
          kind: 'sweep' as const,
          ...row,
          asOf,
        }
        return this.#node.rpc.request(to, replicaWriteMessage, message, limits.replicaTimeoutMs).then(
          () => undefined,
          (error: unknown) => error,
        )
      }),
    )
    const failed = outcomes.find(error => error !== undefined)
    if (failed !== undefined) throw failed
  }
}
