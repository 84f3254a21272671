/** The doors to the catalog: what a client needs to route, and the creation of tables. */

import { QuorateError } from '../base/errors.ts'
import { type OperationId, type PeerId, tableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import {
  encodeChunk,
  encodeMembers,
  encodeTables,
  type TablesState,
  tableDocument,
} from '../catalog/cluster-state.ts'
import { refuseMissingFunction } from '../catalog/conflict-rules.ts'
import { firstPartitions } from '../catalog/first-map.ts'
import { describeTable, refuseTooManyTables, type TableDescriptor } from '../catalog/table-descriptor.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { firstChunks } from '../partitioning/map-chunks.ts'
import { alterTableMessage, clusterMessage, createTableMessage, joinMessage } from '../wire/messages.ts'
import type * as s from '../wire/schema.ts'
import type { Coordination } from './coordination.ts'

const SPREAD_MS = 1_000
/** Of the time a client waits, for the change itself; the rest is for the way back. */
const ANSWER_SHARE = 0.8

export function serveCatalog(node: NodeContext, coordination: Coordination): void {
  const { rpc, catalog } = node

  rpc.handle(clusterMessage, (request, respond) => {
    const answer = (): void =>
      respond.ok({
        clusterId: coordination.clusterId,
        members: encodeMembers(catalog.members),
        tables: encodeTables(catalog.tables),
        voters: coordination.voters(),
        maps: catalog
          .chunks()
          .map(({ table, index, chunk }) => ({ table, index, chunk: encodeChunk(chunk) })),
      })
    const behind =
      request.knownTables > catalog.tables.version || request.knownMembers > catalog.members.version
    if (behind) void coordination.refresh().then(answer)
    else answer()
  })

  rpc.handle(joinMessage, (request, respond) => {
    void coordination.admit(request).then(
      reply => respond.ok({ clusterId: coordination.clusterId, ...reply }),
      (error: unknown) => respond.fail(error),
    )
  })

  rpc.handle(createTableMessage, (request, respond, _, deadline) => {
    // Less than the client waits: it is to hear why, not that nobody answered.
    const timeoutMs = Math.max(1, (deadline - node.clock.monotonicMs()) * ANSWER_SHARE)
    const given = decodeDocument(request.descriptor)
    void createTable(node, coordination, given, request.operation, timeoutMs).then(
      ({ descriptor, created }) =>
        respond.ok({ descriptor: encodeDocument(tableDocument(descriptor)), created }),
      (error: unknown) => respond.fail(error),
    )
  })

  rpc.handle(alterTableMessage, (request, respond, _, deadline) => {
    const timeoutMs = Math.max(1, (deadline - node.clock.monotonicMs()) * ANSWER_SHARE)
    void alterTable(node, coordination, request, timeoutMs).then(
      descriptor => respond.ok({ descriptor: encodeDocument(tableDocument(descriptor)) }),
      (error: unknown) => respond.fail(error),
    )
  })
}

/** What can be changed of a table that exists: what is measured of it. */
async function alterTable(
  node: NodeContext,
  coordination: Coordination,
  { name, shadow, operation }: s.Shaped<typeof alterTableMessage.request>,
  timeoutMs: number,
): Promise<TableDescriptor> {
  const { descriptor } = node.catalog.named(name)
  const altered = (table: TableDescriptor): TableDescriptor => {
    const { shadow: _, ...rest } = tableDocument(table)
    return describeTable(table.id, shadow === undefined ? rest : { ...rest, shadow })
  }
  // Refused before anything is asked of the registers.
  altered(descriptor)
  const after = await coordination.changeTables(
    before =>
      before.tables.some(table => table.id === descriptor.id)
        ? {
            ...before,
            version: before.version + 1,
            tables: before.tables.map(table => (table.id === descriptor.id ? altered(table) : table)),
          }
        : `there is no table "${name}"`,
    operation,
    timeoutMs,
  )
  await spread(node, after.version)
  return after.tables.find(table => table.id === descriptor.id)!
}

/** The same name with the same settings is success; with others it is TABLE_EXISTS. */
export async function createTable(
  node: NodeContext,
  coordination: Coordination,
  given: unknown,
  operation: OperationId,
  timeoutMs: number = limits.requestTimeoutMs,
): Promise<{ descriptor: TableDescriptor; created: boolean }> {
  const wanted = describeTable(0, given)
  refuseImpossible(node, wanted)
  refuseMissingFunction(wanted.conflict.kind, node.catalog.modules)
  const deadline = node.clock.monotonicMs() + timeoutMs
  const left = (): number => Math.max(1, deadline - node.clock.monotonicMs())
  const known = await coordination.readTables(left())
  let existed = known.tables.some(table => table.name === wanted.name)
  // The map comes first, under an id of its own: a table that can be seen has one.
  const made = existed ? undefined : await makeMap(node, coordination, wanted, left)
  const after = await coordination.changeTables(
    (before: TablesState) => {
      existed = false
      const same = before.tables.find(table => table.name === wanted.name)
      if (same !== undefined) {
        const differing = differences(same, wanted)
        if (differing.length > 0)
          return `table "${wanted.name}" exists with other settings: ${differing.join('; ')}`
        existed = true
        return before
      }
      if (made === undefined) return `table "${wanted.name}" was dropped meanwhile`
      refuseTooManyTables(before.tables.length)
      return { ...before, version: before.version + 1, tables: [...before.tables, made] }
    },
    operation,
    left(),
  )
  const descriptor = after.tables.find(table => table.name === wanted.name)
  if (descriptor === undefined)
    throw new QuorateError('INTERNAL', 'the table was created and then removed', { outcome: 'unknown' })
  await spread(node, after.version)
  return { descriptor, created: !existed }
}

/** Takes an id for a table and writes the pieces of its map; nobody sees it before it is in the list of tables. */
async function makeMap(
  node: NodeContext,
  coordination: Coordination,
  wanted: TableDescriptor,
  left: () => number,
): Promise<TableDescriptor> {
  const reserve = coordination.operation()
  let id = 0
  await coordination.changeTables(
    before => {
      refuseTooManyTables(before.tables.length)
      id = before.nextId
      return { ...before, version: before.version + 1, nextId: before.nextId + 1 }
    },
    reserve,
    left(),
  )
  const pieces = firstChunks(firstPartitions(wanted, node.catalog.members.members))
  for (const [index, piece] of pieces.entries()) {
    const outcome = await coordination.maps.change(
      tableId(id),
      index,
      current => (current === undefined ? piece : 'exists'),
      coordination.operation(),
      left(),
    )
    if (outcome.kind === 'committed') continue
    throw new QuorateError(
      'UNAVAILABLE',
      `the map of "${wanted.name}" could not be written: ${outcome.reason}`,
    )
  }
  return describeTable(id, { ...(tableDocument(wanted) as object), id, chunks: pieces.length })
}

function refuseImpossible(node: NodeContext, wanted: TableDescriptor): void {
  const members = node.catalog.members.members.filter(member => member.state === 'active').length
  if (members === 0)
    throw new QuorateError('NOT_READY', `${node.self} has not heard of the members of the cluster yet`)
  const { n } = wanted.replication
  if (members > 0 && n > members) {
    throw new QuorateError(
      'BAD_TABLE',
      `replication.n: ${n} replicas were asked for, but the cluster has ${members} members`,
      {
        data: { field: 'replication.n', n, members },
      },
    )
  }
}

/** Settings in which a table that exists is not the one that was asked for, in words. */
export function differences(existing: TableDescriptor, wanted: TableDescriptor): string[] {
  const is = settingsOf(existing)
  return [...settingsOf(wanted)]
    .filter(([field, value]) => is.get(field) !== value)
    .map(([field, value]) => `${field} is ${is.get(field) ?? 'not set'}, not ${value ?? 'unset'}`)
}

function settingsOf({
  key,
  partitioning,
  replication,
  conflict,
  hotKeys,
}: TableDescriptor): Map<string, string | undefined> {
  const { kind, ...numbers } = replication
  const text = (value: unknown): string | undefined => (value === undefined ? undefined : String(value))
  return new Map([
    ['key.partition', key.partition],
    ['key.sort', key.sort],
    ...Object.entries(partitioning).map(([field, value]) => [`partitioning.${field}`, text(value)] as const),
    ['replication.kind', kind],
    ...Object.entries(numbers).map(([field, value]) => [`replication.${field}`, text(value)] as const),
    ['conflict.kind', conflict.kind],
    ['conflict.fields', conflict.fields === undefined ? undefined : JSON.stringify(conflict.fields)],
    ['hotKeys.writeParts', text(hotKeys?.writeParts)],
  ])
}

/** Lets the live members see the change before its maker goes on; those that do not answer follow by gossip. */
async function spread(node: NodeContext, version: number): Promise<void> {
  const request = { knownMembers: 0, knownTables: version }
  await Promise.all(
    node.catalog.members.members
      .filter(member => member.id !== node.self && !node.isSuspected(member.id))
      .map(member =>
        node.rpc.request(member.id as string as PeerId, clusterMessage, request, SPREAD_MS).then(
          () => undefined,
          () => undefined,
        ),
      ),
  )
}
