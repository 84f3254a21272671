/**
 * The Merkle trees of this node: one per partition whose rows it keeps, kept up to date by every change of a
 * row, kept on disk with each checkpoint.
 *
 * A tree is a function of the rows between two bounds. Leaf pages changed since the last checkpoint go into
 * the table in the same batch as the checkpoint's position; after a restart the pages are loaded and the
 * replayed log brings them up to date. A page that is missing or damaged, or belongs to other bounds, is
 * counted anew from the rows; pages of partitions that are not kept here any more go with the next
 * checkpoint. The number of leaves follows from the table's settings, so holders agree on it. In ordered
 * tables a row's leaf follows from a hash of its key: a leaf is then no range, and reading one reads the
 * partition.
 *
 * A partition that is cut or joined while the node runs may be large, and counting it takes a second for a few
 * hundred thousand rows. So it is counted in slices: the tree is that of the rows before `countedTo`, exactly, at any
 * moment; changes of rows behind it are left to the count. Until it is whole the tree proves nothing
 * (`isCounted`), is not kept on disk, and is not scrubbed.
 */

import { prefixEnd, stringToU32, u32ToString } from '../base/bytes.ts'
import type { ByteString, NodeId, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import type { Catalog, TableView } from '../catalog/catalog.ts'
import { type Digest, digestCell } from '../cells/cell-codec.ts'
import { TOKENS } from '../partitioning/arc-map.ts'
import { CHUNK_PARTITIONS } from '../partitioning/map-chunks.ts'
import type { Partition, PartitionMap } from '../partitioning/partition-map.ts'
import { leafToken, partitionTokens, type RowOrder, rowTable, tokenRange } from '../partitioning/row-key.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store, type Stored } from '../store/store-face.ts'
import { FAN_OUT, MerkleTree, sumDigests, type TreeNode } from './merkle-tree.ts'

/** Leaves on one page on disk. */
const PAGE_LEAVES = 256
/** Leaves of a partition of an ordered table: finer ones would not save reading. */
const ORDERED_LEAVES = 256

interface PartitionTree {
  readonly table: TableId
  readonly id: number
  readonly from: ByteString
  readonly to: ByteString
  /** First part of the keys of its pages. */
  readonly prefix: ByteString
  readonly leafCount: number
  /** Undefined until a row arrives: an empty tree costs nothing. */
  tree: MerkleTree | undefined
  /** Set while it is being counted: rows from here on are not in the tree yet. */
  countedTo: ByteString | undefined
  readonly dirtyPages: Set<number>
  /** Are its pages on disk complete as of the last checkpoint? */
  kept: boolean
}

interface TableTrees {
  map: PartitionMap
  readonly order: RowOrder
  readonly byId: Map<number, PartitionTree>
}

export interface ReplayedChange {
  readonly key: ByteString
  readonly before: Digest | undefined | typeof DAMAGED
  readonly after: Digest | undefined
}

export function leavesPerPartition(partitions: number): number {
  let leaves: number = FAN_OUT
  while (
    leaves * FAN_OUT <= limits.sweepLeavesMax &&
    leaves * FAN_OUT * partitions <= limits.sweepLeavesPerTable
  )
    leaves *= FAN_OUT
  return leaves
}

/** Of one partition: the same wherever its bounds are the same. */
function leafCountOf(view: TableView, partition: Partition): number {
  if (view.order === 'ordered') return ORDERED_LEAVES
  const { start, end } = partitionTokens(partition)
  let leaves = leavesPerPartition(view.descriptor.chunks * CHUNK_PARTITIONS)
  while (leaves > FAN_OUT && leaves > end - start) leaves /= FAN_OUT
  return leaves
}

const emptyNode: TreeNode = { digest: [0, 0, 0, 0], rows: 0 }
/** Rows counted at once: a few milliseconds. */
const SLICE_ROWS = 2_000
const MARK = new Uint8Array([1])

export class Trees {
  readonly #store: Store
  readonly #self: NodeId
  readonly #tables = new Map<TableId, TableTrees>()
  /** Prefixes of pages that stand for nothing any more. */
  readonly #forgotten = new Set<ByteString>()

  readonly #sliceRows: number
  readonly #uncounted = new Set<PartitionTree>()

  constructor(store: Store, self: NodeId, sliceRows = SLICE_ROWS) {
    this.#store = store
    this.#self = self
    this.#sliceRows = sliceRows
  }

  /** Is there anything left to count? */
  get isCounting(): boolean {
    return this.#uncounted.size > 0
  }

  /** Is the tree of this partition whole? */
  isCounted(table: TableId, id: number): boolean {
    return this.#held(table, id)?.countedTo === undefined
  }

  /** Counts the next slice of rows; to be called until nothing is left. */
  countOn(): void {
    let left = this.#sliceRows
    for (const held of this.#uncounted) {
      const trees = this.#tables.get(held.table)!
      left -= this.#count(trees, held, left)
      if (left <= 0) return
    }
  }

  /** Makes trees for partitions that are new here, or have other bounds; forgets those not kept here any more. */
  follow(catalog: Catalog, replayed: readonly ReplayedChange[] = []): void {
    for (const view of catalog.views()) {
      const { id } = view.descriptor
      const known = this.#tables.get(id)
      if (known?.map === view.map) continue
      const table = known ?? { map: view.map, order: view.order, byId: new Map() }
      table.map = view.map
      const held = view.map.partitions.filter(partition => partition.holders.includes(this.#self))
      if (known === undefined) this.#forgetOthers(view, held)
      this.#tables.set(id, table)
      this.#drop(table, held)
      const fresh = held.filter(partition => !table.byId.has(partition.id))
      this.#add(view, table, fresh, known === undefined ? replayed : undefined)
    }
  }

  #drop(table: TableTrees, kept: readonly Partition[]): void {
    const bounds = new Map(kept.map(partition => [partition.id, partition]))
    for (const [id, held] of table.byId) {
      const { from, to, prefix } = held
      const now = bounds.get(id)
      if (now !== undefined && now.from === from && now.to === to) continue
      table.byId.delete(id)
      this.#uncounted.delete(held)
      this.#forgotten.add(prefix)
    }
  }

  #add(
    view: TableView,
    table: TableTrees,
    fresh: readonly Partition[],
    /** Undefined: the node runs, and must not stop for long. */
    replayed: readonly ReplayedChange[] | undefined,
  ): void {
    const loaded = new Set<number>()
    let left = this.#sliceRows
    for (const partition of fresh) {
      const made = this.#make(view, partition)
      table.byId.set(partition.id, made)
      if (replayed !== undefined && this.#loadPages(table, made)) {
        loaded.add(made.id)
        continue
      }
      this.#forgotten.delete(made.prefix)
      made.countedTo = made.from
      this.#uncounted.add(made)
      if (replayed === undefined) left -= this.#count(table, made, left)
      else this.#count(table, made, Number.POSITIVE_INFINITY)
    }
    if (replayed === undefined) return
    const changes = replayed.filter(({ key }) => {
      return rowTable(key) === view.descriptor.id && loaded.has(view.map.locate(key).id)
    })
    this.#replay(view.descriptor.id, changes)
  }

  #make(view: TableView, partition: Partition): PartitionTree {
    const { id, from, to } = partition
    const leafCount = leafCountOf(view, partition)
    return {
      table: view.descriptor.id,
      id,
      from,
      to,
      countedTo: undefined,
      prefix: pagePrefix(view.descriptor.id, partition, leafCount),
      leafCount,
      tree: undefined,
      dirtyPages: new Set(),
      kept: false,
    }
  }

  /** Pages on disk of partitions that are not kept here: of an earlier map, known when this process ended. */
  #forgetOthers(view: TableView, held: readonly Partition[]): void {
    const { id } = view.descriptor
    const prefixes = new Set(held.map(partition => pagePrefix(id, partition, leafCountOf(view, partition))))
    const all = (keyspaces.tree + u32ToString(id)) as ByteString
    for (const [key] of this.#store.scan(all, prefixEnd(all))) {
      const prefix = key.slice(0, PREFIX_LENGTH) as ByteString
      if (!prefixes.has(prefix)) this.#forgotten.add(prefix)
    }
  }

  #held(table: TableId, id: number): PartitionTree | undefined {
    return this.#tables.get(table)?.byId.get(id)
  }

  applied(table: TableId, key: ByteString, before: Digest | undefined, after: Digest | undefined): void {
    const trees = this.#tables.get(table)
    if (trees === undefined) return
    const held = trees.byId.get(trees.map.locate(key).id)
    if (held === undefined || isBehind(held, key)) return
    const token = leafToken(trees.order, key)
    const tree = this.#tree(trees, held)
    if (before !== undefined) tree.apply(token, before, -1)
    if (after !== undefined) tree.apply(token, after, 1)
    held.dirtyPages.add(Math.floor(tree.leafOf(token) / PAGE_LEAVES))
  }

  /** Counts the leaf of a row anew, from the rows; true when the tree was wrong. */
  recount(table: TableId, key: ByteString): boolean {
    const trees = this.#tables.get(table)
    const held = trees?.byId.get(trees.map.locate(key).id)
    if (trees === undefined || held === undefined) return false
    return this.recountLeaf(table, held.id, this.#tree(trees, held).leafOf(leafToken(trees.order, key)))
  }

  recountLeaf(table: TableId, id: number, leaf: number): boolean {
    const trees = this.#tables.get(table)!
    const held = trees.byId.get(id)!
    const rows = [...this.#leafRows(trees, held, leaf, held.from)].filter(({ key }) => !isBehind(held, key))
    const digests = rows.map(row => row.digest)
    const changed = this.#tree(trees, held).setLeaf(leaf, sumDigests(digests))
    if (changed) held.dirtyPages.add(Math.floor(leaf / PAGE_LEAVES))
    return changed
  }

  /**
   * Re-reads the rows of leaves from `leaf` on, whole leaves until `cellsMax` is reached (in an ordered table:
   * all); counts those leaves anew, and shows each row to `visit`. One walk, however many leaves are empty.
   */
  scrubLeaves(
    table: TableId,
    id: number,
    leaf: number,
    cellsMax: number,
    visit: (key: ByteString, bytes: Uint8Array) => void,
  ): { wrong: number; cells: number; nextLeaf: number } {
    const trees = this.#tables.get(table)
    const held = trees?.byId.get(id)
    const isWhole = held?.countedTo === undefined
    if (trees === undefined || held?.tree === undefined || !isWhole)
      return { wrong: 0, cells: 0, nextLeaf: 0 }
    const { tree } = held
    const hashed = trees.order === 'hashed'
    const { from, to } = hashed ? tokenRange(table, tree.leafRange(leaf).from, tree.end) : held
    const digests = new Map<number, Digest[]>()
    let cells = 0
    let nextLeaf = tree.leafCount
    for (const [key, value] of this.#store.scan(from, to)) {
      const at = tree.leafOf(leafToken(trees.order, key))
      if (hashed && cells >= cellsMax && !digests.has(at)) {
        nextLeaf = at
        break
      }
      cells++
      const known = digests.get(at) ?? []
      digests.set(at, known)
      if (value === DAMAGED) continue
      known.push(digestCell(key, value))
      visit(key, value)
    }
    let wrong = 0
    for (let at = hashed ? leaf : 0; at < nextLeaf; at++) {
      const found = digests.get(at)
      if (found === undefined && tree.isEmptyLeaf(at)) continue
      if (!tree.setLeaf(at, sumDigests(found ?? []))) continue
      held.dirtyPages.add(Math.floor(at / PAGE_LEAVES))
      wrong++
    }
    return { wrong, cells, nextLeaf }
  }

  /** 0 while there is no whole tree. */
  leafCount(table: TableId, id: number): number {
    const held = this.#held(table, id)
    return held?.countedTo === undefined ? (held?.tree?.leafCount ?? 0) : 0
  }

  *#leafRows(
    trees: TableTrees,
    held: PartitionTree,
    leaf: number,
    after: ByteString,
  ): Generator<{ key: ByteString; digest: Digest }> {
    const tree = this.#tree(trees, held)
    const hashed = trees.order === 'hashed'
    const range = tree.leafRange(leaf)
    const { from, to } = hashed ? tokenRange(trees.map.table, range.from, range.to) : held
    for (const [key, value] of this.#store.scan(after > from ? after : from, to)) {
      if (value === DAMAGED) continue
      if (hashed || tree.leafOf(leafToken(trees.order, key)) === leaf)
        yield { key, digest: digestCell(key, value) }
    }
  }

  /** Keys and digests of a leaf, in key order, after `after`. */
  leafRows(
    table: TableId,
    id: number,
    leaf: number,
    after: ByteString,
    limit: number,
  ): { key: ByteString; digest: Digest }[] {
    const trees = this.#tables.get(table)
    const held = trees?.byId.get(id)
    const out: { key: ByteString; digest: Digest }[] = []
    if (trees === undefined || held === undefined) return out
    for (const row of this.#leafRows(trees, held, leaf, after)) {
      if (row.key <= after) continue
      if (out.length >= limit) break
      out.push(row)
    }
    return out
  }

  node(table: TableId, id: number, level: number, position: number): TreeNode {
    return this.#held(table, id)?.tree?.node(level, position) ?? emptyNode
  }

  /** Levels below the root of one partition's tree: a very narrow partition has fewer than the others. */
  depth(table: TableId, id: number): number {
    return Math.round(Math.log2(this.#held(table, id)?.leafCount ?? FAN_OUT) / 4)
  }

  rows(table: TableId): number {
    let rows = 0
    for (const held of this.#tables.get(table)?.byId.values() ?? []) rows += held.tree?.root.rows ?? 0
    return rows
  }

  rowsOf(table: TableId, id: number): number {
    return this.#held(table, id)?.tree?.root.rows ?? 0
  }

  #tree(trees: TableTrees, held: PartitionTree): MerkleTree {
    if (held.tree === undefined) {
      const { start, end } = trees.order === 'hashed' ? partitionTokens(held) : { start: 0, end: TOKENS }
      held.tree = new MerkleTree(start, end, held.leafCount)
    }
    return held.tree
  }

  /** Pages changed since the last call, for the checkpoint that is being made. */
  takePages(): TableWrite[] {
    const writes: TableWrite[] = []
    for (const prefix of this.#forgotten) {
      for (const [key] of this.#store.scan(prefix, prefixEnd(prefix))) writes.push({ key, value: undefined })
    }
    this.#forgotten.clear()
    for (const { byId } of this.#tables.values()) {
      for (const held of byId.values()) {
        if (held.countedTo !== undefined) {
          // What is on disk under its name is of the last time that there was a partition with these bounds.
          for (const [key] of this.#store.scan(held.prefix, prefixEnd(held.prefix)))
            writes.push({ key, value: undefined })
          continue
        }
        for (const page of held.dirtyPages) {
          const to = Math.min((page + 1) * PAGE_LEAVES, held.leafCount)
          writes.push({ key: pageKey(held, page), value: held.tree?.leafPage(page * PAGE_LEAVES, to) })
        }
        held.dirtyPages.clear()
        if (!held.kept) writes.push({ key: held.prefix, value: MARK })
        held.kept = true
      }
    }
    return writes
  }

  /** False when this partition's pages cannot be trusted and the rows must be counted. */
  #loadPages(trees: TableTrees, held: PartitionTree): boolean {
    const { prefix } = held
    if (this.#forgotten.delete(prefix) || this.#store.get(prefix) === undefined) return false
    for (const [key, value] of this.#store.scan(prefix, prefixEnd(prefix))) {
      if (key === prefix) continue
      if (value === DAMAGED) {
        held.tree = undefined
        return false
      }
      this.#tree(trees, held).loadLeafPage(stringToU32(key, prefix.length) * PAGE_LEAVES, value)
    }
    held.kept = true
    return true
  }

  /** Leaves of which not every change is known are counted last: the rows they are counted from have all changes. */
  #replay(table: TableId, changes: readonly ReplayedChange[]): void {
    const unknown = new Set<ByteString>()
    for (const { key, before, after } of changes) {
      if (before === DAMAGED) unknown.add(key)
      else this.applied(table, key, before, after)
    }
    for (const key of unknown) this.recount(table, key)
  }

  /**
   * Counts up to so many rows, and returns how many. All pages are written anew at the first checkpoint after the
   * last row: what is on disk may be of other rows.
   */
  #count(trees: TableTrees, held: PartitionTree, rowsMax: number): number {
    const from = held.countedTo!
    // What `applied` adds here is behind nothing.
    held.countedTo = undefined
    let rows = 0
    for (const [key, value] of this.#store.scan(from, held.to)) {
      if (rows >= rowsMax) {
        held.countedTo = key
        return rows
      }
      rows++
      if (value !== DAMAGED) this.applied(trees.map.table, key, undefined, digestCell(key, value))
    }
    this.#uncounted.delete(held)
    for (let page = 0; page < Math.ceil(held.leafCount / PAGE_LEAVES); page++) held.dirtyPages.add(page)
    return rows
  }
}

const isBehind = ({ countedTo }: PartitionTree, key: ByteString): boolean =>
  countedTo !== undefined && key >= countedTo

const PREFIX_LENGTH = 1 + 4 + 4 + 4 + 4

function pagePrefix(table: TableId, { id, from, to }: Partition, leafCount: number): ByteString {
  const bounds = u32ToString(murmur3OfString(`${from}\0\0${to}`))
  return (keyspaces.tree +
    u32ToString(table) +
    u32ToString(id) +
    bounds +
    u32ToString(leafCount)) as ByteString
}

function pageKey(held: PartitionTree, page: number): ByteString {
  return (held.prefix + u32ToString(page)) as ByteString
}

export function replayedChange(
  key: ByteString,
  before: Stored,
  after: Uint8Array | undefined,
): ReplayedChange {
  return {
    key,
    before: before === undefined || before === DAMAGED ? before : digestCell(key, before),
    after: after === undefined ? undefined : digestCell(key, after),
  }
}
