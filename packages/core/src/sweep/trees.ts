/**
 * The Merkle trees of this node: one per partition it is a home of, kept up to date by every change of a
 * row, kept on disk with each checkpoint.
 *
 * A tree is a function of the rows. Leaf pages changed since the last checkpoint go into the table in the
 * same batch as the checkpoint's position; after a restart the pages are loaded and the replayed log
 * brings them up to date. A page that is missing or damaged, or belongs to another map, is counted anew
 * from the rows. The number of leaves follows from the map, so replicas agree on it.
 */

import { prefixEnd, stringToU32, u32ToString } from '../base/bytes.ts'
import type { ByteString, NodeId, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { type Digest, digestCell } from '../cells/cell-codec.ts'
import type { PartitionMap } from '../partitioning/partition-map.ts'
import { rowTable, rowToken, tokenRange } from '../partitioning/row-key.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store, type Stored } from '../store/store-face.ts'
import { FAN_OUT, MerkleTree, sumDigests, type TreeNode } from './merkle-tree.ts'

/** Leaves on one page on disk. */
const PAGE_LEAVES = 256
/** Pages of one tree at most. */
const PAGES_MAX = limits.sweepLeavesMax / PAGE_LEAVES

interface TableTrees {
  readonly map: PartitionMap
  readonly leafCount: number
  /** By partition index; undefined until a row arrives: an empty tree costs nothing. */
  readonly trees: (MerkleTree | undefined)[]
  /** Partition index × PAGES_MAX + page. */
  readonly dirtyPages: Set<number>
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

const pageNumber = (index: number, leaf: number): number => index * PAGES_MAX + Math.floor(leaf / PAGE_LEAVES)

const emptyNode: TreeNode = { digest: [0, 0, 0, 0], rows: 0 }

export class Trees {
  readonly #store: Store
  readonly #self: NodeId
  readonly #tables = new Map<TableId, TableTrees>()

  constructor(store: Store, self: NodeId) {
    this.#store = store
    this.#self = self
  }

  /** Makes trees for tables that are new here or whose map changed. */
  follow(catalog: Catalog, replayed: readonly ReplayedChange[] = []): void {
    for (const { descriptor, map } of catalog.views()) {
      const known = this.#tables.get(descriptor.id)
      if (known !== undefined && known.map.version === map.version) continue
      const leafCount = leavesPerPartition(map.partitions.length)
      const table: TableTrees = {
        map,
        leafCount,
        trees: new Array(map.partitions.length),
        dirtyPages: new Set(),
      }
      this.#tables.set(descriptor.id, table)
      const fresh = replayed.filter(change => rowTable(change.key) === descriptor.id)
      if (this.#loadPages(table)) this.#replay(table, fresh)
      else this.#countAll(table)
    }
  }

  applied(table: TableId, key: ByteString, before: Digest | undefined, after: Digest | undefined): void {
    const trees = this.#tables.get(table)
    if (trees === undefined) return
    const token = rowToken(key)
    const { index } = trees.map.locate(token)
    const tree = this.#tree(trees, index)
    if (before !== undefined) tree.apply(token, before, -1)
    if (after !== undefined) tree.apply(token, after, 1)
    trees.dirtyPages.add(pageNumber(index, tree.leafOf(token)))
  }

  /** Counts the leaf of a row anew, from the rows; true when the tree was wrong. */
  recount(table: TableId, key: ByteString): boolean {
    const trees = this.#tables.get(table)
    if (trees === undefined) return false
    const token = rowToken(key)
    const { index } = trees.map.locate(token)
    return this.recountLeaf(table, index, this.#tree(trees, index).leafOf(token))
  }

  recountLeaf(table: TableId, index: number, leaf: number): boolean {
    const trees = this.#tables.get(table)!
    const tree = this.#tree(trees, index)
    const changed = tree.setLeaf(leaf, sumDigests(this.#leafDigests(table, tree, leaf)))
    if (changed) trees.dirtyPages.add(pageNumber(index, leaf))
    return changed
  }

  /**
   * Re-reads the rows of leaves from `leaf` on, whole leaves until `cellsMax` is reached; counts those leaves
   * anew, and shows each row to `visit`. One walk over the rows, however many leaves are empty.
   */
  scrubLeaves(
    table: TableId,
    index: number,
    leaf: number,
    cellsMax: number,
    visit: (key: ByteString, bytes: Uint8Array) => void,
  ): { wrong: number; cells: number; nextLeaf: number } {
    const trees = this.#tables.get(table)
    const tree = trees?.trees[index]
    if (trees === undefined || tree === undefined) return { wrong: 0, cells: 0, nextLeaf: 0 }
    const { from, to } = tokenRange(table, tree.leafRange(leaf).from, tree.end)
    const digests = new Map<number, Digest[]>()
    let cells = 0
    let nextLeaf = tree.leafCount
    for (const [key, value] of this.#store.scan(from, to)) {
      const at = tree.leafOf(rowToken(key))
      if (cells >= cellsMax && !digests.has(at)) {
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
    for (let at = leaf; at < nextLeaf; at++) {
      const found = digests.get(at)
      if (found === undefined && tree.isEmptyLeaf(at)) continue
      if (!tree.setLeaf(at, sumDigests(found ?? []))) continue
      trees.dirtyPages.add(pageNumber(index, at))
      wrong++
    }
    return { wrong, cells, nextLeaf }
  }

  leafCount(table: TableId, index: number): number {
    return this.#tables.get(table)?.trees[index]?.leafCount ?? 0
  }

  *#leafDigests(table: TableId, tree: MerkleTree, leaf: number): Generator<Digest> {
    for (const { digest } of this.#leafRows(table, tree, leaf)) yield digest
  }

  *#leafRows(table: TableId, tree: MerkleTree, leaf: number): Generator<{ key: ByteString; digest: Digest }> {
    const range = tree.leafRange(leaf)
    const { from, to } = tokenRange(table, range.from, range.to)
    for (const [key, value] of this.#store.scan(from, to)) {
      if (value !== DAMAGED) yield { key, digest: digestCell(key, value) }
    }
  }

  /** Keys and digests of a leaf, in key order, after `after`. */
  leafRows(
    table: TableId,
    index: number,
    leaf: number,
    after: ByteString,
    limit: number,
  ): { key: ByteString; digest: Digest }[] {
    const trees = this.#tables.get(table)
    const out: { key: ByteString; digest: Digest }[] = []
    if (trees === undefined) return out
    for (const row of this.#leafRows(table, this.#tree(trees, index), leaf)) {
      if (row.key <= after) continue
      if (out.length >= limit) break
      out.push(row)
    }
    return out
  }

  node(table: TableId, index: number, level: number, position: number): TreeNode {
    return this.#tables.get(table)?.trees[index]?.node(level, position) ?? emptyNode
  }

  /** Levels below the root of one partition's tree: a very narrow partition has fewer than the others. */
  depth(table: TableId, index: number): number {
    const trees = this.#tables.get(table)
    const leafCount = trees?.map.partitions[index] === undefined ? FAN_OUT : this.#leaves(trees, index)
    return Math.round(Math.log2(leafCount) / 4)
  }

  rows(table: TableId): number {
    let rows = 0
    for (const tree of this.#tables.get(table)?.trees ?? []) rows += tree?.root.rows ?? 0
    return rows
  }

  #tree(table: TableTrees, index: number): MerkleTree {
    const partition = table.map.partitions[index]!
    table.trees[index] ??= new MerkleTree(partition.start, partition.end, this.#leaves(table, index))
    return table.trees[index]!
  }

  #leaves(table: TableTrees, index: number): number {
    const { start, end } = table.map.partitions[index]!
    let leaves = table.leafCount
    while (leaves > FAN_OUT && leaves > end - start) leaves /= FAN_OUT
    return leaves
  }

  #isHome(table: TableTrees, index: number): boolean {
    return table.map.partitions[index]!.replicas.includes(this.#self)
  }

  #pageKey(table: TableTrees, index: number, page: number): ByteString {
    const { start } = table.map.partitions[index]!
    return (this.#tablePrefix(table) + u32ToString(start) + u32ToString(page)) as ByteString
  }

  #tablePrefix(table: TableTrees): string {
    const { map } = table
    return keyspaces.tree + u32ToString(map.table) + u32ToString(map.version) + u32ToString(table.leafCount)
  }

  /** Pages changed since the last call, for the checkpoint that is being made. */
  takePages(): TableWrite[] {
    const writes: TableWrite[] = []
    for (const table of this.#tables.values()) {
      for (const dirty of table.dirtyPages) {
        const index = Math.floor(dirty / PAGES_MAX)
        const page = dirty % PAGES_MAX
        const tree = table.trees[index]
        if (tree === undefined) continue
        const to = Math.min((page + 1) * PAGE_LEAVES, tree.leafCount)
        writes.push({ key: this.#pageKey(table, index, page), value: tree.leafPage(page * PAGE_LEAVES, to) })
      }
      table.dirtyPages.clear()
      writes.push({ key: this.#tablePrefix(table) as ByteString, value: new Uint8Array([1]) })
    }
    return writes
  }

  /** False when this table's pages cannot be trusted and the rows must be counted. */
  #loadPages(table: TableTrees): boolean {
    const prefix = this.#tablePrefix(table) as ByteString
    if (this.#store.get(prefix) === undefined) return false
    for (const [key, value] of this.#store.scan(prefix, prefixEnd(prefix))) {
      if (key === prefix) continue
      if (value === DAMAGED) return false
      const at = prefix.length
      const start = stringToU32(key, at)
      const { index } = table.map.locate(start as never)
      this.#tree(table, index).loadLeafPage(stringToU32(key, at + 4) * PAGE_LEAVES, value)
    }
    return true
  }

  /** Leaves of which not every change is known are counted last: the rows they are counted from have all changes. */
  #replay(table: TableTrees, changes: readonly ReplayedChange[]): void {
    const unknown = new Set<ByteString>()
    for (const { key, before, after } of changes) {
      if (before === DAMAGED) unknown.add(key)
      else this.applied(table.map.table, key, before, after)
    }
    for (const key of unknown) this.recount(table.map.table, key)
  }

  #countAll(table: TableTrees): void {
    table.trees.fill(undefined)
    for (const partition of table.map.partitions) {
      if (!this.#isHome(table, partition.index)) continue
      const { from, to } = tokenRange(table.map.table, partition.start, partition.end)
      for (const [key, value] of this.#store.scan(from, to)) {
        if (value !== DAMAGED) this.applied(table.map.table, key, undefined, digestCell(key, value))
      }
    }
  }
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
