/** The doors to the catalog: what a client needs to route, and the creation of tables. */

import { QuorateError } from '../base/errors.ts'
import type { OperationId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { encodeMembers, encodeTables, type TablesState, tableDocument } from '../catalog/cluster-state.ts'
import { describeTable, refuseTooManyTables, type TableDescriptor } from '../catalog/table-descriptor.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { clusterMessage, createTableMessage } from '../wire/messages.ts'
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
      })
    const behind =
      request.knownTables > catalog.tables.version || request.knownMembers > catalog.members.version
    if (behind) void coordination.refresh().then(answer)
    else answer()
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
  let existed = false
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
      refuseTooManyTables(before.tables.length)
      const table = describeTable(before.nextId, { ...(tableDocument(wanted) as object), id: before.nextId })
      return { version: before.version + 1, nextId: before.nextId + 1, tables: [...before.tables, table] }
    },
    operation,
    timeoutMs,
  )
  const descriptor = after.tables.find(table => table.name === wanted.name)
  if (descriptor === undefined)
    throw new QuorateError('INTERNAL', 'the table was created and then removed', { outcome: 'unknown' })
  await spread(node, after.version)
  return { descriptor, created: !existed }
}

function refuseImpossible(node: NodeContext, wanted: TableDescriptor): void {
  const members = node.catalog.members.members.length
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
}: TableDescriptor): Map<string, string | undefined> {
  const { kind, ...numbers } = replication
  const text = (value: unknown): string | undefined => (value === undefined ? undefined : String(value))
  return new Map([
    ['key.partition', key.partition],
    ['key.sort', key.sort],
    ['partitioning.kind', partitioning.kind],
    ['replication.kind', kind],
    ...Object.entries(numbers).map(([field, value]) => [`replication.${field}`, text(value)] as const),
    ['conflict.kind', conflict.kind],
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
