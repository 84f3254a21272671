/**
 * Applies a discarded write once more: what the ledger kept of it is written to its row, under an operation that is named
 * by the entry. So an entry is restored once, whichever node's copy of it is named; a second time finds the first.
 *
 * Invariant: written before marked. A node that dies between the two leaves an entry that may be asked for again, and
 * whose operation is then found to be done.
 */

import { hexToString, u64ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { OperationId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { ledOf, type TableDescriptor } from '../catalog/table-descriptor.ts'
import { decodeDocument } from '../cells/document.ts'
import { encodeStatement } from '../leader/change-input.ts'
import type { Statement } from '../leader/log-body.ts'
import type { LedgerEntry } from '../leaderless/ledger.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { rowKeyParts } from '../partitioning/row-key.ts'
import { durable } from '../store/store-face.ts'
import type { Update } from '../updates/update.ts'
import { changeMessage } from '../wire/led-messages.ts'
import { writeMessage } from '../wire/messages.ts'

export interface Restored {
  readonly entry: LedgerEntry
  /** The write was there already: by another copy of the entry, or since its writer tried again. */
  readonly repeated: boolean
}

/** Throws NOT_FOUND for an entry that is not on this node, CONFLICT for one that was restored. */
export async function restoreEntry(node: NodeContext, id: string): Promise<Restored> {
  const entry = node.ledger.find(id)
  if (entry === undefined)
    throw new QuorateError('NOT_FOUND', `the ledger of ${node.self} has no entry ${id}`)
  if (entry.restored) throw again(id)
  const repeated = await write(node, entry)
  await durable(node.store, node.ledger.markRestored(id))
  if (repeated) throw again(id)
  return { entry, repeated }
}

const again = (id: string): QuorateError =>
  new QuorateError('CONFLICT', `entry ${id} has been restored already; nothing was changed`, { data: { id } })

async function write(node: NodeContext, entry: LedgerEntry): Promise<boolean> {
  const view = node.catalog.view(entry.table)
  const { partitionKey, sortKey } = rowKeyParts(entry.rowKey)
  const { version } = view.map.locate(entry.rowKey)
  const operation = (u64ToString(entry.dot.stamp) + hexToString(entry.dot.actor)) as string as OperationId
  const row = { table: entry.table as number, mapVersion: version, partitionKey, sortKey, level: 0, hops: 0 }
  const self = node.self as string as PeerId
  const common = { ...row, operation, context: undefined, session: undefined }
  if (ledOf(view.descriptor) === undefined) {
    const request = { ...common, value: entry.value, strict: false }
    return (await node.rpc.request(self, writeMessage, request, limits.requestTimeoutMs)).repeated
  }
  const statement = encodeStatement(statementOf(entry, view.descriptor))
  const request = { ...common, statement, condition: undefined, ack: undefined }
  return (await node.rpc.request(self, changeMessage, request, limits.requestTimeoutMs)).repeated
}

/** Of a log that ships statements the ledger has the statement; the fields of the key are set again where it is ordered. */
function statementOf({ value, isStatement }: LedgerEntry, { key }: TableDescriptor): Statement {
  if (value === undefined) return { delete: true }
  if (!isStatement) return { put: value }
  const { update } = decodeDocument(value) as unknown as { update: Update }
  return { update: update.filter(({ path }) => path[0] !== key.partition && path[0] !== key.sort) }
}
