/**
 * Writes of tables with a leader for each partition: statements with conditions, sent to whoever leads.
 *
 * A write without a condition is applied, or fails. One with a condition, or with the context of a read, may also find
 * that it does not hold: then nothing has changed, and the row as it is comes back.
 */

import {
  type Acknowledgement,
  type ChangeReply,
  type Condition,
  changeMessage,
  type Document,
  decodeDocument,
  encodeDocument,
  isAgreed,
  type OperationId,
  QuorateError,
  type Statement,
  type TableView,
} from '@quorate/core'
import type { CallOptions, Place, QuorateClient } from './client.ts'
import { makeReceipt, type Receipt } from './receipt.ts'
import type { EncodedKey } from './table.ts'

export interface ChangeOptions extends CallOptions {
  /** The write takes place only when this holds for the row as it is where its writes are ordered. */
  readonly if?: Condition | undefined
  /** Copies that exist before the reply: those the table asks for, or more. */
  readonly ack?: Acknowledgement | undefined
  readonly context?: Uint8Array | undefined
  readonly operation?: OperationId | undefined
}

export interface Changed {
  /** What the session has seen then. */
  readonly session: Uint8Array | undefined
  readonly context: Uint8Array
  readonly receipt: Receipt
  readonly repeated: boolean
  readonly applied: boolean
  /** The row that did not meet the condition; undefined: there is none, or the write was applied. */
  readonly current: Document | undefined
}

export async function sendChange(
  client: QuorateClient,
  view: TableView,
  place: () => Place,
  { partitionKey, sortKey }: EncodedKey,
  statement: Statement,
  operation: OperationId,
  options: ChangeOptions,
  session: Uint8Array | undefined,
): Promise<Changed> {
  const { id, replication } = view.descriptor
  const encoded = encodeDocument(statement as unknown as Document, 'the statement', Number.MAX_SAFE_INTEGER)
  const condition =
    options.if === undefined ? undefined : encodeDocument(options.if as unknown as Document, 'if')
  // Under a name that the caller gave it may have been tried by another process.
  let tries = options.operation === undefined ? 0 : 1
  const reply: ChangeReply = await client.send(
    changeMessage,
    place,
    partition => ({
      table: id as number,
      mapVersion: partition.version,
      partitionKey,
      sortKey,
      level: 0,
      hops: 0,
      operation,
      statement: encoded,
      condition,
      context: options.context,
      ack: options.ack,
      again: tries++ > 0,
      session,
    }),
    options,
    true,
  )
  return {
    session: reply.session,
    context: new Uint8Array(reply.context),
    receipt: makeReceipt(reply.applied ? 'write' : 'refused', reply.receipt, replication),
    repeated: reply.repeated,
    applied: reply.applied,
    current: reply.current === undefined ? undefined : decodeDocument(reply.current),
  }
}

/** What only a leader can do is refused for other tables before anything is sent. */
export function refuseUnordered(name: string, options: ChangeOptions): void {
  for (const field of ['if', 'ack'] as const)
    if (options[field] !== undefined)
      throw new QuorateError(
        'BAD_REQUEST',
        `${field}: "${name}" is leaderless; ${field === 'if' ? 'nobody orders its writes, so a condition has no one row to hold on' : 'use w, the number of acknowledgements'}`,
        { data: { field } },
      )
}

/** What only quorums understand is refused for tables with leaders. */
export function refuseQuorums(
  { descriptor }: TableView,
  options: { readonly w?: unknown; readonly strict?: unknown },
): void {
  const { name } = descriptor
  for (const field of ['w', 'strict'] as const)
    if (options[field] !== undefined)
      throw new QuorateError(
        'BAD_REQUEST',
        isAgreed(descriptor)
          ? `${field}: more than half of the homes agree on each write of "${name}", always`
          : `${field}: "${name}" has a leader for each partition; use ack: all, in-sync, majority, one or none, as many copies as the table promises or more`,
        { data: { field } },
      )
}
