/**
 * What this process knows of the cluster: members, tables and the partition maps that follow. Only newer
 * versions replace older ones. Used alike by nodes and by clients.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, OperationId, TableId } from '../base/ids.ts'
import { assertEncodedKey, decodeKeyAt } from '../base/key-encoding.ts'
import type { ConflictRule } from '../cells/conflict-rule.ts'
import type { MergeModules } from '../cells/merge-modules.ts'
import { assertFieldKey } from '../crdt/field-key.ts'
import { rendezvousOrder, ringWalk } from '../partitioning/fallback-order.ts'
import { splitPartOf } from '../partitioning/key-split.ts'
import {
  ChunkedMap,
  type FallbackOrder,
  type MapChunk,
  type PartitionMap,
} from '../partitioning/partition-map.ts'
import {
  assertRowKey,
  partRowKey,
  placeOf,
  type RowOrder,
  rowKey,
  rowKeyParts,
  wholeRowKey,
} from '../partitioning/row-key.ts'
import { type Member, type MembersState, noMembers, noTables, type TablesState } from './cluster-state.ts'
import { ruleNamed } from './conflict-rules.ts'
import { type TableDescriptor, writePartsOf } from './table-descriptor.ts'

export interface TableView {
  readonly descriptor: TableDescriptor
  readonly rule: ConflictRule
  readonly order: RowOrder
  readonly map: PartitionMap
}

/** A piece of a table's map as the registers have it. */
export interface KnownChunk {
  readonly table: TableId
  readonly index: number
  readonly chunk: MapChunk
}

export interface CatalogNews {
  readonly members?: MembersState
  readonly tables?: TablesState
  readonly chunks?: readonly KnownChunk[]
}

export class Catalog {
  /** Merge functions that this process has beside those that are built in. */
  readonly modules: MergeModules | undefined
  #members: MembersState = noMembers
  #tables: TablesState = noTables
  readonly #chunks = new Map<TableId, (MapChunk | undefined)[]>()
  readonly #views = new Map<TableId, TableView>()
  readonly #maps = new Map<TableId, ChunkedMap>()
  readonly #byName = new Map<string, TableId>()
  readonly #listeners: (() => void)[] = []
  #ringOrder: FallbackOrder = () => []
  #spreadOrder: FallbackOrder = () => []

  constructor(modules?: MergeModules) {
    this.modules = modules
  }

  get members(): MembersState {
    return this.#members
  }

  get tables(): TablesState {
    return this.#tables
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Takes what is newer; what is older changes nothing. A table is in view when its whole map is known. */
  learn({ members = this.#members, tables = this.#tables, chunks = [] }: CatalogNews): void {
    const moved = members.version > this.#members.version
    const defined = tables.version > this.#tables.version
    if (moved) this.#takeMembers(members)
    if (defined) {
      this.#tables = tables
      for (const { name, id } of tables.tables) this.#byName.set(name, id)
    }
    const changed = new Set<TableId>()
    for (const known of chunks) if (this.#takeChunk(known)) changed.add(known.table)
    for (const table of this.#tables.tables) {
      const view = this.#views.get(table.id)
      const isAltered = view !== undefined && view.descriptor.shadow !== table.shadow
      if (moved || changed.has(table.id) || view === undefined || isAltered) this.#look(table)
    }
    if (moved || defined || changed.size > 0) for (const listener of this.#listeners) listener()
  }

  #takeMembers(members: MembersState): void {
    this.#members = members
    const active = members.members.filter(member => member.state !== 'staged')
    this.#ringOrder = ringWalk(active)
    this.#spreadOrder = rendezvousOrder(active)
  }

  #takeChunk({ table, index, chunk }: KnownChunk): boolean {
    const known = this.#chunks.get(table) ?? []
    if (chunk.version <= (known[index]?.version ?? 0)) return false
    const after = [...known]
    after[index] = chunk
    this.#chunks.set(table, after)
    return true
  }

  #look(descriptor: TableDescriptor): void {
    const { id, chunks: count } = descriptor
    const known = this.#chunks.get(id) ?? []
    const chunks = Array.from({ length: count }, (_, index) => known[index]).filter(
      chunk => chunk !== undefined,
    )
    if (chunks.length < count || count === 0) return
    const order: RowOrder = descriptor.partitioning.kind === 'range' ? 'ordered' : 'hashed'
    const fallbacks: FallbackOrder = partition =>
      descriptor.partitioning.kind === 'ring' ? this.#ringOrder(partition) : this.#spreadOrder(partition)
    const map = new ChunkedMap(id, order === 'hashed', chunks, fallbacks, this.#maps.get(id))
    this.#maps.set(id, map)
    this.#views.set(id, { descriptor, rule: ruleNamed(descriptor.conflict.kind, this.modules), order, map })
  }

  /** A chunk of a table's map, as far as it is known here. */
  chunk(table: TableId, index: number): MapChunk | undefined {
    return this.#chunks.get(table)?.[index]
  }

  /** Every chunk known here. */
  chunks(): KnownChunk[] {
    return [...this.#chunks].flatMap(([table, known]) =>
      known.flatMap((chunk, index) => (chunk === undefined ? [] : [{ table, index, chunk }])),
    )
  }

  member(id: NodeId): Member | undefined {
    return this.#members.members.find(member => member.id === id)
  }

  find(id: number): TableView | undefined {
    return this.#views.get(id as TableId)
  }

  view(id: number): TableView {
    const found = this.#views.get(id as TableId)
    if (found === undefined) {
      throw new QuorateError('UNKNOWN_TABLE', `there is no table with id ${id} here`, {
        data: { tableId: id },
      })
    }
    return found
  }

  findNamed(name: string): TableView | undefined {
    const id = this.#byName.get(name)
    return id === undefined ? undefined : this.#views.get(id)
  }

  named(name: string): TableView {
    const found = this.findNamed(name)
    if (found === undefined) {
      throw new QuorateError('UNKNOWN_TABLE', `there is no table "${name}"`, { data: { table: name } })
    }
    return found
  }

  /** Is the map of every table known? */
  get isComplete(): boolean {
    return this.#tables.tables.every(table => this.#views.has(table.id))
  }

  views(): readonly TableView[] {
    return [...this.#views.values()]
  }
}

/** The store key of a row of this table. */
export function keyOfRow(view: TableView, partitionKey: ByteString, sortKey: ByteString): ByteString {
  return rowKey(view.descriptor.id, placeOf(view.order, partitionKey), partitionKey, sortKey)
}

export interface RowWrite {
  readonly partitionKey: ByteString
  readonly sortKey: ByteString
  readonly operation: OperationId
  /** Absent: delete. */
  readonly value?: Uint8Array | undefined
  readonly context?: Uint8Array | undefined
}

/** The part of its row that a write goes to; undefined when it concerns all of them. */
export function partOfWrite({ descriptor }: TableView, write: RowWrite): number | undefined {
  const parts = writePartsOf(descriptor)
  if (parts === 1) return 0
  if (write.value === undefined || write.context !== undefined) return undefined
  return splitPartOf(write.operation, parts)
}

/** The store key by which a write is routed: of its part where it goes to one alone. */
export function keyOfWrite(view: TableView, write: RowWrite): ByteString {
  return placeOfPart(view, write, partOfWrite(view, write) ?? 0).key
}

/** A row, or one part of a row whose writes are split. */
export interface RowPlace {
  /** Where it is in the store. */
  readonly key: ByteString
  /** The key of the row that it is a part of; the same in a row that is one piece, and for part 0. */
  readonly row: ByteString
  readonly part: number
}

export function placeOfPart(
  view: TableView,
  { partitionKey, sortKey }: { readonly partitionKey: ByteString; readonly sortKey: ByteString },
  part: number,
): RowPlace {
  const row = keyOfRow(view, partitionKey, sortKey)
  const key = part === 0 ? row : partRowKey(view.descriptor.id, partitionKey, part, sortKey)
  return { key, row, part }
}

/** A place in the store as the row, or the part of a row, that it is. */
export function placeOfKey({ descriptor }: TableView, key: ByteString): RowPlace {
  if (writePartsOf(descriptor) === 1) return { key, row: key, part: 0 }
  return { key, row: wholeRowKey(key), part: rowKeyParts(key).part }
}

/** The cell of a field behind its row, in a table whose rows merge by themselves. */
export interface FieldPlace {
  readonly key: ByteString
  /** Where the row begins: all its fields have this before them. */
  readonly row: ByteString
  readonly field: ByteString
}

export function placeOfField(view: TableView, key: ByteString): FieldPlace {
  const { partitionKey, sortKey } = rowKeyParts(key)
  const [, end] = view.descriptor.key.sort === undefined ? [undefined, 0] : decodeKeyAt(sortKey, 0)
  const own = sortKey.slice(0, end) as ByteString
  return {
    key,
    row: keyOfRow(view, partitionKey, own),
    field: sortKey.slice(end) as ByteString,
  }
}

/** Refuses bytes that are not the key of a row, or of a field of one, of this table: for what comes from a peer. */
export function assertKeyOf(view: TableView, key: ByteString): void {
  const { id, conflict } = view.descriptor
  const sortKey = assertRowKey(id, view.order, writePartsOf(view.descriptor), key)
  if (conflict.fields !== undefined) assertFieldKey(conflict.fields, placeOfField(view, key).field)
  else if (sortKey !== '') assertEncodedKey(sortKey, 'sort key')
}
