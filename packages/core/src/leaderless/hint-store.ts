/**
 * Hints: writes kept for a home replica that was down.
 *
 * One hint per (target, row): a later write of the row merges into it, so a hot row costs one hint. Beside
 * it stands an order key, newest first, by which hints are replayed. Bounded by count and bytes per target
 * and by age; past a bound the hint is dropped and counted, never the client's write: the sweep repairs
 * what hints do not. Hints are not home copies: they live in their own keyspace, outside trees and scans.
 */

import { bytesEqual, prefixEnd, stringToU64, u64ToString } from '../base/bytes.ts'
import { isQuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { Slab } from '../base/slab.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { CellValue } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import { rowTable } from '../partitioning/row-key.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'
import type { KeyRange } from '../sweep/fences.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import type { Counters } from './counters.ts'
import { type Ledger, winnerOf } from './ledger.ts'

const NEWEST_FIRST = Number.MAX_SAFE_INTEGER

export interface Hint {
  readonly target: NodeId
  readonly key: ByteString
  readonly cell: Uint8Array
  /** Oldest reading of a store that went into the cell. */
  readonly asOf: Stamp
  /** When the first write of it came here. */
  readonly since: Stamp
}

export interface HintTotals {
  count: number
  bytes: number
}

export class HintStore {
  readonly #store: Store
  readonly #catalog: Catalog
  readonly #ledger: Ledger
  readonly #counters: Counters
  readonly #totals = new Map<NodeId, HintTotals>()
  onStored: (target: NodeId) => void = () => {}

  /** Hints for the memtable: see `RowStore`. */
  readonly #kept = new Slab()

  constructor(store: Store, catalog: Catalog, ledger: Ledger, counters: Counters) {
    this.#store = store
    this.#catalog = catalog
    this.#ledger = ledger
    this.#counters = counters
    for (const [key, value] of store.scan(keyspaces.hint as ByteString, prefixEnd(keyspaces.hint))) {
      this.#add(targetOf(key), 1, value === DAMAGED ? 0 : value.length)
    }
  }

  targets(): readonly NodeId[] {
    return [...this.#totals].filter(([, totals]) => totals.count > 0).map(([target]) => target)
  }

  totals(target: NodeId): HintTotals {
    return this.#totals.get(target) ?? { count: 0, bytes: 0 }
  }

  get count(): number {
    let count = 0
    for (const totals of this.#totals.values()) count += totals.count
    return count
  }

  #add(target: NodeId, count: number, bytes: number): void {
    const totals = this.#totals.get(target) ?? { count: 0, bytes: 0 }
    totals.count += count
    totals.bytes += bytes
    this.#totals.set(target, totals)
  }

  /** Keeps a write for `target`; undefined when a bound forbids it. The position says when it is durable. */
  put(
    target: NodeId,
    key: ByteString,
    cell: Uint8Array,
    asOf: Stamp,
    now: Stamp,
    /** What the making of `cell` discarded: goes to the ledger in the same batch. */
    discarded: readonly CellValue[] = [],
  ): Position | undefined {
    const before = this.get(target, key)
    const totals = this.totals(target)
    if (
      before === undefined &&
      (totals.count >= limits.hintCountMax || totals.bytes + cell.length > limits.hintBytesMax)
    ) {
      this.#counters.hintsDropped++
      return undefined
    }
    const batch: TableWrite[] = this.#ledger.entries(rowTable(key), key, discarded, 'concurrent-loser')
    let merged = cell
    if (before !== undefined) {
      if (bytesEqual(before.cell, cell) && before.asOf <= asOf)
        return this.#store.positionOf(hintKey(target, key))
      const table = rowTable(key)
      const result = this.#catalog.view(table).rule.merge(decodeCell(before.cell), decodeCell(cell))
      merged = encodeCell(result.cell)
      const winner = winnerOf(result.cell)
      batch.push(...this.#ledger.entries(table, key, result.discarded, 'concurrent-loser', { winner }))
      batch.push({ key: orderKey(target, before.since, key), value: undefined })
    }
    const hint = {
      target,
      key,
      cell: merged,
      asOf: Math.min(asOf, before?.asOf ?? asOf) as Stamp,
      since: before?.since ?? now,
    }
    if (merged.length > limits.cellBytesMax) {
      this.#counters.hintsDropped++
      return undefined
    }
    const value = this.#kept.copy(encodeHint(hint))
    batch.push(
      { key: hintKey(target, key), value },
      { key: orderKey(target, hint.since, key), value: new Uint8Array(0) },
    )
    const position = this.#store.commit(batch)
    this.#add(
      target,
      before === undefined ? 1 : 0,
      value.length - (before === undefined ? 0 : encodeHint(before).length),
    )
    if (before === undefined) this.#counters.hintsStored++
    this.onStored(target)
    return position
  }

  get(target: NodeId, key: ByteString): Hint | undefined {
    const value = this.#store.get(hintKey(target, key))
    if (value === undefined || value === DAMAGED) return undefined
    try {
      return decodeHint(target, key, value)
    } catch (error) {
      // As good as damaged.
      if (!isQuorateError(error)) throw error
      return undefined
    }
  }

  positionOf(target: NodeId, key: ByteString): Position {
    return this.#store.positionOf(hintKey(target, key))
  }

  /**
   * The next hints, newest first, from where an earlier call ended (`next`): starting over each time would
   * walk over everything already handed off and not yet checkpointed away. Hints whose record is damaged are
   * removed on the way: the sweep repairs their rows.
   */
  newest(target: NodeId, limit: number, from?: ByteString): { hints: Hint[]; next: ByteString | undefined } {
    const prefix = orderPrefix(target)
    const hints: Hint[] = []
    const broken: TableWrite[] = []
    let next: ByteString | undefined
    for (const [order] of this.#store.scan(from ?? prefix, prefixEnd(prefix), { limit: limit + 1 })) {
      if (hints.length + broken.length / 2 >= limit) {
        next = order
        break
      }
      const key = order.slice(prefix.length + 8) as ByteString
      const hint = this.get(target, key)
      if (hint === undefined) {
        broken.push({ key: order, value: undefined }, { key: hintKey(target, key), value: undefined })
      } else {
        hints.push(hint)
      }
    }
    if (broken.length > 0) {
      this.#store.commit(broken)
      this.#add(target, -broken.length / 2, 0)
      this.#counters.hintsDropped += broken.length / 2
    }
    return { hints, next }
  }

  /** Forgets a hint that its target has; kept when the row was written again meanwhile. */
  remove(hint: Hint, alsoWrite: readonly TableWrite[] = []): boolean {
    const now = this.get(hint.target, hint.key)
    if (now === undefined || !bytesEqual(now.cell, hint.cell)) return false
    this.#store.commit([
      { key: hintKey(hint.target, hint.key), value: undefined },
      { key: orderKey(hint.target, hint.since, hint.key), value: undefined },
      ...alsoWrite,
    ])
    this.#add(hint.target, -1, -encodeHint(hint).length)
    return true
  }

  /** Gives up a hint that is too old: its values go to the ledger with it. */
  expire(hint: Hint): void {
    const { values } = decodeCell(hint.cell)
    if (this.remove(hint, this.#ledger.entries(rowTable(hint.key), hint.key, values, 'expired-hint'))) {
      this.#counters.hintsExpired++
    }
  }

  /** The oldest hints of a target, oldest first, for expiry. */
  oldest(target: NodeId, limit: number): Hint[] {
    const prefix = orderPrefix(target)
    const out: Hint[] = []
    for (const [order] of this.#store.scan(prefix, prefixEnd(prefix), { reverse: true, limit })) {
      const hint = this.get(target, order.slice(prefix.length + 8) as ByteString)
      if (hint !== undefined) out.push(hint)
    }
    return out
  }

  /** Hints held for any target whose row lies in the range and that were read at or before `cut`. */
  countInRange(range: KeyRange, cut: Stamp): number {
    let count = 0
    for (const target of this.targets()) {
      const prefix = hintPrefix(target)
      const [from, to] = [(prefix + range.from) as ByteString, (prefix + range.to) as ByteString]
      for (const [key, value] of this.#store.scan(from, to)) {
        const row = key.slice(prefix.length) as ByteString
        if (value === DAMAGED || decodeHint(target, row, value).asOf <= cut) count++
      }
    }
    return count
  }

  /** `since` of the oldest hint, as shown in status. */
  oldestSince(target: NodeId): Stamp | undefined {
    const prefix = orderPrefix(target)
    for (const [order] of this.#store.scan(prefix, prefixEnd(prefix), { reverse: true, limit: 1 })) {
      return (NEWEST_FIRST - stringToU64(order, prefix.length)) as Stamp
    }
    return undefined
  }
}

const named = (space: string, target: NodeId): ByteString =>
  (space + String.fromCharCode(target.length) + target) as ByteString
const hintPrefix = (target: NodeId): ByteString => named(keyspaces.hint, target)
const orderPrefix = (target: NodeId): ByteString => named(keyspaces.hintOrder, target)
const hintKey = (target: NodeId, key: ByteString): ByteString => (hintPrefix(target) + key) as ByteString
const orderKey = (target: NodeId, since: Stamp, key: ByteString): ByteString =>
  (orderPrefix(target) + u64ToString(NEWEST_FIRST - since) + key) as ByteString
const targetOf = (key: ByteString): NodeId => key.slice(2, 2 + key.charCodeAt(1)) as NodeId

function encodeHint(hint: Hint): Uint8Array {
  const writer = new ByteWriter(hint.cell.length + 24)
  writer.stamp(hint.asOf)
  writer.stamp(hint.since)
  writer.bytes(hint.cell)
  return writer.take()
}

function decodeHint(target: NodeId, key: ByteString, bytes: Uint8Array): Hint {
  const reader = new ByteReader(bytes)
  return { target, key, asOf: reader.stamp(), since: reader.stamp(), cell: reader.bytes(limits.cellBytesMax) }
}
