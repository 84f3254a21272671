/**
 * What this process knows of the cluster: members, tables and the partition maps that follow. Only newer
 * versions replace older ones. Used alike by nodes and by clients.
 */

import { QuorateError } from '../base/errors.ts'
import type { NodeId, TableId } from '../base/ids.ts'
import type { ConflictRule } from '../cells/conflict-rule.ts'
import { conflictRule } from '../cells/rules.ts'
import type { PartitionMap } from '../partitioning/partition-map.ts'
import { ringMap } from '../partitioning/ring.ts'
import { type Member, type MembersState, noMembers, noTables, type TablesState } from './cluster-state.ts'
import type { TableDescriptor } from './table-descriptor.ts'

export interface TableView {
  readonly descriptor: TableDescriptor
  readonly rule: ConflictRule
  readonly map: PartitionMap
}

export class Catalog {
  #members: MembersState = noMembers
  #tables: TablesState = noTables
  readonly #views = new Map<TableId, TableView>()
  readonly #byName = new Map<string, TableId>()
  readonly #listeners: (() => void)[] = []

  get members(): MembersState {
    return this.#members
  }

  get tables(): TablesState {
    return this.#tables
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Takes what is newer of the two; older states change nothing. */
  learn(members: MembersState, tables: TablesState): void {
    const moved = members.version > this.#members.version
    const defined = tables.version > this.#tables.version
    if (!moved && !defined) return
    const ringMoved = moved && members.ringVersion !== this.#members.ringVersion
    if (moved) this.#members = members
    if (defined) this.#tables = tables
    if (ringMoved) this.#views.clear()
    for (const table of this.#tables.tables) {
      this.#byName.set(table.name, table.id)
      if (!this.#views.has(table.id) && this.#members.members.length > 0)
        this.#views.set(table.id, this.#view(table))
    }
    for (const listener of this.#listeners) listener()
  }

  #view(descriptor: TableDescriptor): TableView {
    const { ringVersion, members } = this.#members
    const map = ringMap(descriptor.id, ringVersion, members, descriptor.replication.n)
    return { descriptor, rule: conflictRule(descriptor.conflict.kind), map }
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

  views(): readonly TableView[] {
    return [...this.#views.values()]
  }
}
