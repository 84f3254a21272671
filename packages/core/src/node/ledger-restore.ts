/**
 * Applies a discarded write once more: what the ledger kept of it is written to its row, under an operation that is named
 * by the entry. So an entry is restored once, whichever node's copy of it is named; a second time finds the first.
 *
 * Of a table with leaders that is the operation of the write itself: when its writer has tried again since, which is what
 * clients do when a leader dies, the log says that it is done. A row is put back only where nothing has been written since,
 * judged by its leader; a statement only while the log reaches back to when it was tried, since afterwards nobody could
 * tell. Both may be overruled.
 *
 * Invariant: written before marked. A node that dies between the two leaves an entry that may be asked for again, and
 * whose operation is then found to be done.
 */

import { hexToString, u64ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { OperationId, PeerId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { placeOfField, type TableView } from '../catalog/catalog.ts'
import { fieldsOf, ledOf, type TableDescriptor } from '../catalog/table-descriptor.ts'
import { contextMax } from '../causality/context.ts'
import { decodeTokenOfRow } from '../cells/context-token.ts'
import { type Document, decodeDocument } from '../cells/document.ts'
import { decodeAtom } from '../crdt/atom.ts'
import { encodeFieldStep } from '../crdt/steps.ts'
import { encodeStatement } from '../leader/change-input.ts'
import type { Statement } from '../leader/log-body.ts'
import type { LedgerEntry } from '../leaderless/ledger.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { rowKeyParts } from '../partitioning/row-key.ts'
import { durable } from '../store/store-face.ts'
import type { Update } from '../updates/update.ts'
import { changeMessage } from '../wire/led-messages.ts'
import {
  type MergeRequest,
  mergeMessage,
  type ReadRequest,
  readMessage,
  writeMessage,
} from '../wire/messages.ts'

export interface Restored {
  readonly entry: LedgerEntry
  /** The write was there already: by another copy of the entry, or since its writer tried again. */
  readonly repeated: boolean
}

export interface RestoreOptions {
  /** Also where it may be done twice, or in the place of something newer. */
  readonly force?: boolean
  /** Of tables with leaders; undefined: nothing is known here. */
  readonly logSince: (entry: LedgerEntry, stamp: Stamp) => LogSince | undefined
}

/** What a log tells of the time behind a stamp. */
export interface LogSince {
  /** Does it have all of that time, and is it known which operations it has? */
  readonly reachesBack: boolean
  /** Does an entry of that time change the row? */
  readonly changed: boolean
  /** The last entry that was looked at. */
  readonly carriedOut: number
}

/** Throws NOT_FOUND for an entry that is not on this node, CONFLICT for one that was restored, or must not be. */
export async function restoreEntry(
  node: NodeContext,
  id: string,
  options: RestoreOptions,
): Promise<Restored> {
  const entry = node.ledger.find(id)
  if (entry === undefined)
    throw new QuorateError('NOT_FOUND', `the ledger of ${node.self} has no entry ${id}`)
  if (entry.restored) throw again(id)
  const repeated = await write(node, entry, options)
  await durable(node.store, node.ledger.markRestored(id))
  if (repeated) throw again(id)
  return { entry, repeated }
}

const again = (id: string): QuorateError =>
  new QuorateError(
    'CONFLICT',
    `entry ${id} has been restored already, or its writer has tried again with success; nothing was changed`,
    { data: { id } },
  )

const refused = (id: string, why: string): QuorateError =>
  new QuorateError('CONFLICT', `entry ${id}: ${why}; nothing was changed, and --force does it all the same`, {
    data: { id },
  })

async function write(node: NodeContext, entry: LedgerEntry, options: RestoreOptions): Promise<boolean> {
  const view = node.catalog.view(entry.table)
  const { partitionKey, sortKey } = rowKeyParts(entry.rowKey)
  const { version } = view.map.locate(entry.rowKey)
  const row = { table: entry.table as number, mapVersion: version, partitionKey, sortKey, level: 0, hops: 0 }
  const self = node.self as string as PeerId
  if (ledOf(view.descriptor) === undefined) {
    const operation = (u64ToString(entry.dot.stamp) + hexToString(entry.dot.actor)) as string as OperationId
    const write = { ...row, operation, context: undefined, session: undefined, strict: false }
    if (fieldsOf(view.descriptor) !== undefined) return restoreField(node, view, entry, write)
    const request = { ...write, value: entry.value }
    return (await node.rpc.request(self, writeMessage, request, limits.requestTimeoutMs)).repeated
  }
  const isForced = options.force === true
  if (entry.isStatement && !isForced) refuseUntellable(entry, options)
  const context = entry.isStatement || isForced ? undefined : await contextOfOlder(node, entry, row, options)
  const request = {
    ...row,
    operation: hexToString(entry.operation) as string as OperationId,
    statement: encodeStatement(statementOf(entry, view.descriptor)),
    condition: undefined,
    context,
    ack: undefined,
    // A refusal is of now, and not for good.
    again: false,
    session: undefined,
  }
  const { applied, repeated } = await node.rpc.request(self, changeMessage, request, limits.requestTimeoutMs)
  if (!applied) throw refused(entry.id, 'the row was written just now')
  return repeated
}

/** Only values of last-write-wins fields are ever discarded: set once more. */
async function restoreField(
  node: NodeContext,
  view: TableView,
  entry: LedgerEntry,
  write: Omit<MergeRequest, 'value' | 'field'>,
): Promise<boolean> {
  const { row, field } = placeOfField(view, entry.rowKey)
  const { sortKey } = rowKeyParts(row)
  const value = encodeFieldStep({ op: 'set', to: valueOfEntry(view, entry) ?? null })
  const request = { ...write, sortKey, field, value }
  const self = node.self as string as PeerId
  return (await node.rpc.request(self, mergeMessage, request, limits.requestTimeoutMs)).repeated
}

/** What was lost, or what it lost to, as its user wrote it; undefined: a deletion. */
export function valueOfEntry(view: TableView, { value }: Pick<LedgerEntry, 'value'>): Document | undefined {
  if (value === undefined) return undefined
  if (fieldsOf(view.descriptor) === undefined) return decodeDocument(value)
  const atom = decodeAtom(value)
  return atom.kind === 'value' ? atom.value : undefined
}

function refuseUntellable(entry: LedgerEntry, { logSince }: RestoreOptions): void {
  const { id, dot } = entry
  if (logSince(entry, dot.stamp)?.reachesBack !== true)
    throw refused(
      id,
      'the log reaches back no further than after it, and cannot tell whether it was tried again',
    )
}

/** A token of the row as its leader has it, which the write must find unchanged. Throws when the row is newer. */
async function contextOfOlder(
  node: NodeContext,
  entry: LedgerEntry,
  row: Omit<ReadRequest, 'session' | 'staleMs'>,
  options: RestoreOptions,
): Promise<Uint8Array> {
  const { id, rowKey, dot } = entry
  const request = { ...row, session: undefined, staleMs: 0 }
  const self = node.self as string as PeerId
  const { context, receipt } = await node.rpc.request(self, readMessage, request, limits.requestTimeoutMs)
  const seen = decodeTokenOfRow(context, rowKey).context
  if (contextMax(seen) > dot.stamp) throw refused(id, 'the row has been written since')
  if (seen.length > 0) return context
  // No row: there never was one, or it was deleted, of which only the log tells.
  const since = options.logSince(entry, dot.stamp)
  if (since?.changed === true) throw refused(id, 'the row has been deleted since')
  if (since?.reachesBack !== true || since.carriedOut < (receipt.log?.position ?? 0))
    throw refused(id, 'there is no such row, and the log here cannot tell whether it was deleted since')
  return context
}

/** Of a log that ships statements the ledger has the statement; the fields of the key are set again where it is ordered. */
function statementOf({ value, isStatement }: LedgerEntry, { key }: TableDescriptor): Statement {
  if (value === undefined) return { delete: true }
  if (!isStatement) return { put: value }
  const { update } = decodeDocument(value) as unknown as { update: Update }
  return { update: update.filter(({ path }) => path[0] !== key.partition && path[0] !== key.sort) }
}
