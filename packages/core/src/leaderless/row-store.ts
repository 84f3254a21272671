/**
 * The rows of this node: the only place that reads and changes cells.
 *
 * Between the read of a cell and the commit of its successor there is no `await`, so no update is lost
 * inside a node. Every change is one batch: the row, what the rule discarded (ledger), and for derived
 * state the tree, which is told at once. `position` names what an answer rests on.
 *
 * A cell whose checksum is bad is *unknown*, not absent: it is marked durably, reads of it are refused
 * (so it never counts towards a quorum), merges go on, and the mark goes only when the row has been
 * healed from its replicas. From the moment of damage this actor no longer has continuous memory.
 */

import { bytesEqual, prefixEnd } from '../base/bytes.ts'
import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, Stamp, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { Slab } from '../base/slab.ts'
import type { TableView } from '../catalog/catalog.ts'
import { isAgreed } from '../catalog/table-descriptor.ts'
import { contextMax } from '../causality/context.ts'
import { type HybridClock, stampSpan } from '../causality/hybrid-clock.ts'
import { type Cell, type CellValue, type Dot, emptyCell } from '../cells/cell.ts'
import { decodeCell, digestCell, encodeCell } from '../cells/cell-codec.ts'
import { type ConflictRule, isWorthCollecting, seenBy, type WriteOperation } from '../cells/conflict-rule.ts'
import { hasGapBefore } from '../cells/delta.ts'
import type { Seen } from '../cells/superseded.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'
import type { KeyRange } from '../sweep/fences.ts'
import type { Trees } from '../sweep/trees.ts'
import { encodeBounded } from './bounded-cell.ts'
import { CollectableIndex } from './collectable-index.ts'
import { describeRow } from './describe-row.ts'
import { type Ledger, winnerOf } from './ledger.ts'
import { lossMark } from './losses.ts'
import type { RecentOperations } from './recent-operations.ts'
import { ballotOf, isOlder, promisedFor, promiseKey, promiseOf } from './row-promises.ts'
import type { ShadowCounts } from './shadow.ts'

export interface Applied {
  /** Canonical bytes of the row as it is now. */
  readonly bytes: Uint8Array
  readonly position: Position
  readonly changed: boolean
}

export interface Written extends Applied {
  /** What the writer has now seen: what it said it had, and this write. */
  readonly seen: Seen
  readonly repeated: boolean
  /**
   * The cell must not travel before its batch is durable: its context covers a value whose only other
   * record is the ledger entry in that batch, or in one before it that is still in flight.
   */
  readonly holdBack: boolean
  /** What the write has added, where that is much less than the row; merged into what was there before, it makes `bytes`. */
  readonly delta: Uint8Array | undefined
}

/** Cells up to here travel whole. */
const DELTA_FROM_BYTES = 512

export interface RowStoreOptions {
  readonly store: Store
  readonly hybrid: HybridClock
  readonly ledger: Ledger
  readonly trees: Trees
  readonly recent: RecentOperations
  readonly shadow: ShadowCounts
  /** Stamp since which this store remembers all it minted: the clock's floor at this start. */
  readonly memoryFrom: Stamp
}

export class RowStore {
  readonly #store: Store
  readonly #hybrid: HybridClock
  readonly #ledger: Ledger
  readonly #trees: Trees
  readonly #recent: RecentOperations
  readonly #shadow: ShadowCounts
  readonly #damaged = new Set<ByteString>()
  readonly #collectable = new CollectableIndex()
  /**
   * Cells for the memtable, which live until the next checkpoint, all together. As they are encoded, or came in a
   * frame, they share room with others that are soon forgotten, and would keep that alive.
   */
  readonly #kept = new Slab()
  #memoryFrom: Stamp
  /** Called once for each row found damaged. */
  onDamaged: (key: ByteString) => void = () => {}
  /** Called when a replica of an agreed row was shown what it has promised not to accept: replicas differ until the next round. */
  onPromised: (view: TableView, key: ByteString) => void = () => {}
  /** Called in the turn in which the store shows another state of a row, or none. */
  onShown: (key: ByteString) => void = () => {}

  constructor(options: RowStoreOptions) {
    this.#store = options.store
    this.#hybrid = options.hybrid
    this.#ledger = options.ledger
    this.#trees = options.trees
    this.#recent = options.recent
    this.#shadow = options.shadow
    this.#memoryFrom = options.memoryFrom
    for (const [key] of this.#store.scan(keyspaces.damage as ByteString, prefixEnd(keyspaces.damage))) {
      this.#damaged.add(key.slice(1) as ByteString)
    }
  }

  get damagedKeys(): ReadonlySet<ByteString> {
    return this.#damaged
  }

  positionOf(key: ByteString): Position {
    return this.#store.positionOf(key)
  }

  /** Bytes of the row, or undefined. Throws DAMAGED_CELL when this replica does not know. */
  read(key: ByteString): Uint8Array | undefined {
    const stored = this.#store.get(key)
    if (stored === DAMAGED) this.markDamaged(key)
    if (this.#damaged.size > 0 && this.#damaged.has(key)) {
      throw new QuorateError(
        'DAMAGED_CELL',
        `this replica's copy of ${describeRow(key)} failed its checksum and is being healed`,
      )
    }
    return stored as Uint8Array | undefined
  }

  /** Throws STORE_FULL, with nothing marked: a mark that a restart forgets must not let the row be merged over. */
  markDamaged(key: ByteString): void {
    if (this.#damaged.has(key)) return
    this.#store.commit([{ key: damageKey(key), value: new Uint8Array(0) }, lossMark])
    this.onShown(key)
    this.#damaged.add(key)
    this.#memoryFrom = this.#hybrid.peek()
    this.onDamaged(key)
  }

  /** Applies a write as coordinator. */
  write(view: TableView, key: ByteString, write: WriteOperation): Written {
    const before = this.read(key)
    const base = before === undefined ? emptyCell : decodeCell(before)
    const told = write.seen === undefined ? undefined : contextMax(write.seen.context)
    if (told !== undefined) this.#hybrid.refuseDrift(told, 'the context')
    if (before !== undefined) this.#hybrid.observe(contextMax(base.context), 'the stored row')
    if (told !== undefined) this.#hybrid.observe(told, 'the context')
    if (write.after !== undefined) this.#hybrid.observe(contextMax(write.after), 'the session')
    if (
      this.#recent.has(write.operation, key) &&
      !base.values.some(value => value.operation === write.operation)
    ) {
      return this.#repeated(key, before ?? encodeCell(base), seenBy(view.rule, write, base))
    }
    const dot = { actor: this.#store.incarnation, stamp: this.#hybrid.mint() }
    const result = view.rule.write(base, write, dot, this.#memoryFrom)
    const seen = seenBy(view.rule, write, result.cell)
    if (result.repeated) return this.#repeated(key, before!, seen)
    const bytes = this.#kept.copy(encodeBounded(result.cell, key))
    const baseInFlight = view.rule.discards && this.#store.positionOf(key) > 0
    const position = this.#commit(view, key, before, bytes, result.discarded)
    this.#recent.add(write.operation, key)
    if (view.descriptor.shadow !== undefined) this.#shadow.note(view.descriptor.id, base, write)
    if (isWorthCollecting(view.rule, result.cell)) this.#collectable.add(key)
    return {
      bytes,
      position,
      changed: true,
      seen,
      repeated: false,
      holdBack: baseInFlight || result.discarded.length > 0,
      delta: bytes.length < DELTA_FROM_BYTES ? undefined : this.#delta(view, base, result.cell, write),
    }
  }

  #delta(view: TableView, base: Cell, after: Cell, { operation }: WriteOperation): Uint8Array | undefined {
    const delta = view.rule.deltaOf?.(base, after, operation)
    return delta === undefined ? undefined : encodeCell(delta)
  }

  #repeated(key: ByteString, bytes: Uint8Array, seen: Seen): Written {
    const position = this.#store.positionOf(key)
    return { bytes, position, changed: false, seen, repeated: true, holdBack: false, delta: undefined }
  }

  /** Merges what a peer's write has added. Throws CAUSAL_GAP when this replica lacks something before it. */
  mergeDelta(view: TableView, key: ByteString, delta: Uint8Array): Applied {
    const stored = this.#store.get(key)
    const isKnown = stored !== DAMAGED && !this.#damaged.has(key)
    const cell = stored === undefined || !isKnown ? emptyCell : decodeCell(stored as Uint8Array)
    if (hasGapBefore(cell, decodeCell(delta)))
      throw new QuorateError(
        'CAUSAL_GAP',
        'what was written before this is not here yet: send the whole cell',
      )
    return this.merge(view, key, delta)
  }

  /** Merges a cell that came from a peer. Throws BAD_FRAME, CLOCK_DRIFT or STORE_FULL; nothing is changed then. */
  merge(view: TableView, key: ByteString, incoming: Uint8Array): Applied {
    const stored = this.#store.get(key)
    if (stored === DAMAGED) this.markDamaged(key)
    const before = stored === DAMAGED ? undefined : stored
    if (before !== undefined && bytesEqual(before, incoming)) {
      return { bytes: before, position: this.#store.positionOf(key), changed: false }
    }
    const theirs = decodeCell(incoming)
    this.#hybrid.observe(contextMax(theirs.context), 'a cell from a peer')
    // A late message to accept something that this replica has promised not to.
    if (isAgreed(view.descriptor) && isOlder(ballotOf(theirs), promisedFor(this.#store, key))) {
      this.onPromised(view, key)
      return { bytes: before ?? incoming, position: this.#store.positionOf(key), changed: false }
    }
    if (before === undefined) {
      if (isWorthCollecting(view.rule, theirs)) this.#collectable.add(key)
      const bytes = this.#kept.copy(incoming)
      const position = this.#commit(view, key, undefined, bytes, [])
      this.#remember(key, theirs)
      return { bytes, position, changed: true }
    }
    const merged = view.rule.merge(decodeCell(before), theirs)
    const encoded = encodeCell(merged.cell)
    if (bytesEqual(encoded, before) && merged.discarded.length === 0) {
      this.#remember(key, theirs)
      return { bytes: before, position: this.#store.positionOf(key), changed: false }
    }
    if (isWorthCollecting(view.rule, merged.cell)) this.#collectable.add(key)
    const bytes = this.#kept.copy(encoded)
    const position = this.#commit(view, key, before, bytes, merged.discarded)
    this.#remember(key, theirs)
    return { bytes, position, changed: true }
  }

  /** Only what the store has taken: an operation remembered and not stored would be acknowledged as repeated. */
  #remember(key: ByteString, cell: Cell): void {
    for (const value of cell.values) this.#recent.add(value.operation, key)
  }

  /** Merges what all replicas know into a damaged row and lifts the mark, in one batch. */
  heal(view: TableView, key: ByteString, copies: readonly Uint8Array[]): Position {
    const stored = this.#store.get(key)
    let cell = stored === undefined || stored === DAMAGED ? emptyCell : cellOrNothing(stored)
    const discarded: CellValue[] = []
    for (const copy of copies) {
      const merged = view.rule.merge(cell, decodeCell(copy))
      cell = merged.cell
      discarded.push(...merged.discarded)
    }
    const batch: TableWrite[] = [{ key: damageKey(key), value: undefined }]
    const winner = winnerOf(cell)
    batch.push(...this.#ledger.entries(view.descriptor.id, key, discarded, 'concurrent-loser', { winner }))
    const empty = cell.context.length === 0
    if (isAgreed(view.descriptor)) batch.push(promiseOf(key, this.#beyondAllPromises()))
    batch.push({ key, value: empty ? undefined : encodeCell(cell) })
    const position = this.#store.commit(batch)
    this.#damaged.delete(key)
    this.onShown(key)
    this.#trees.recount(view.descriptor.id, key)
    return position
  }

  /** What this replica had accepted of a damaged row, and promised by that, others do not know. */
  #beyondAllPromises(): Dot {
    const stamp = (this.#hybrid.peek() + stampSpan(limits.clockDriftMaxMs)) as Stamp
    return { actor: this.#store.incarnation, stamp }
  }

  /**
   * The next rows of a partition with something to collect here, so many and so many bytes at the most; each
   * call goes on where the last one ended, so that rows that never can be collected do not keep others.
   */
  nextCollectable(rule: ConflictRule, range: KeyRange): ByteString[] {
    const out: ByteString[] = []
    let bytes = 0
    for (const key of this.#collectable.next(range, limits.collectablePerRound)) {
      const stored = this.#store.get(key)
      if (stored === DAMAGED || this.#damaged.has(key)) continue
      if (stored === undefined || !isWorthCollecting(rule, cellOrNothing(stored)))
        this.#collectable.delete(key)
      else if (out.length > 0 && bytes + stored.length > limits.collectableBytesPerRound) break
      else {
        out.push(key)
        bytes += stored.length
      }
    }
    this.#collectable.endedAt(range, out.at(-1))
    return out
  }

  /** Another home leads the collection of this partition: nothing need be kept for it here. */
  leaveCollection(range: KeyRange): void {
    this.#collectable.clear({ from: range.from, to: range.to })
  }

  /** Called by the scrub for what it re-reads, since the index does not outlive the process. */
  noteScrubbed(rule: ConflictRule, key: ByteString, bytes: Uint8Array): void {
    try {
      if (isWorthCollecting(rule, decodeCell(bytes))) this.#collectable.add(key)
    } catch (error) {
      // Whole by its checksum and yet no cell: as unknown as a damaged one.
      if (!isQuorateError(error)) throw error
      this.markDamaged(key)
    }
  }

  /** Removes rows of a partition that is not kept here, or not yet: this node's copies, not the rows. */
  drop(view: TableView, keys: readonly ByteString[]): Position {
    const batch: TableWrite[] = keys.map(key => ({ key, value: undefined }))
    if (isAgreed(view.descriptor))
      batch.push(...keys.map(key => ({ key: promiseKey(key), value: undefined })))
    const marked = keys.filter(key => this.#damaged.has(key))
    batch.push(...marked.map(key => ({ key: damageKey(key), value: undefined })))
    const before = keys.map(key => this.#store.get(key))
    const position = this.#store.commit(batch)
    keys.forEach((key, at) => {
      this.#damaged.delete(key)
      this.#collectable.delete(key)
      this.onShown(key)
      const stored = before[at]
      if (stored === undefined) return
      if (stored === DAMAGED) this.#trees.recount(view.descriptor.id, key)
      else this.#trees.applied(view.descriptor.id, key, digestCell(key, stored), undefined)
    })
    return position
  }

  /** Told of a row that the collector, on its evidence, has removed or rewritten in a batch of its own. */
  collected(view: TableView, key: ByteString, before: Uint8Array, after: Uint8Array | undefined): void {
    this.onShown(key)
    const digest = after === undefined ? undefined : digestCell(key, after)
    this.#trees.applied(view.descriptor.id, key, digestCell(key, before), digest)
    if (after === undefined || !isWorthCollecting(view.rule, decodeCell(after))) this.#collectable.delete(key)
  }

  /** Puts a damaged row of a table with leaders right. */
  healLed(view: TableView, key: ByteString, cell: Uint8Array | undefined): void {
    this.#store.commit([
      { key: damageKey(key), value: undefined },
      { key, value: cell },
    ])
    this.#damaged.delete(key)
    this.onShown(key)
    this.#trees.recount(view.descriptor.id, key)
  }

  /** Told of rows that a log has changed, in a batch of its own. */
  replaced(
    table: TableId,
    changes: readonly {
      readonly key: ByteString
      readonly before: Uint8Array | undefined
      readonly after: Uint8Array | undefined
    }[],
  ): void {
    const digest = (key: ByteString, bytes: Uint8Array | undefined) =>
      bytes === undefined ? undefined : digestCell(key, bytes)
    for (const { key, before, after } of changes) {
      this.onShown(key)
      if (this.#damaged.size > 0 && this.#damaged.has(key)) {
        this.#store.commit([{ key: damageKey(key), value: undefined }])
        this.#damaged.delete(key)
        this.#trees.recount(table, key)
      } else this.#trees.applied(table, key, digest(key, before), digest(key, after))
    }
  }

  #commit(
    view: TableView,
    key: ByteString,
    before: Uint8Array | undefined,
    after: Uint8Array,
    discarded: readonly CellValue[],
  ): Position {
    const table = view.descriptor.id
    const batch: TableWrite[] = [{ key, value: after }]
    // What is accepted is a promise, too.
    if (isAgreed(view.descriptor)) batch.push({ key: promiseKey(key), value: undefined })
    if (discarded.length > 0) {
      const winner = winnerOf(decodeCell(after))
      batch.push(...this.#ledger.entries(table, key, discarded, 'concurrent-loser', { winner }))
    }
    const position = this.#store.commit(batch)
    this.onShown(key)
    if (this.#damaged.size > 0 && this.#damaged.has(key)) this.#trees.recount(table, key)
    else
      this.#trees.applied(
        table,
        key,
        before === undefined ? undefined : digestCell(key, before),
        digestCell(key, after),
      )
    return position
  }
}

/** What is whole by its checksum and yet no cell is as unknown as what is damaged. */
function cellOrNothing(stored: Uint8Array): Cell {
  try {
    return decodeCell(stored)
  } catch (error) {
    if (!isQuorateError(error)) throw error
    return emptyCell
  }
}

function damageKey(key: ByteString): ByteString {
  return (keyspaces.damage + key) as ByteString
}
