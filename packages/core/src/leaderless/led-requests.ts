/** What the doors of a node hand to whoever serves tables with leaders, in the form of the requests that came. */

import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { decodeKey } from '../base/key-encoding.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { ChangeInput, KeyFields } from '../leader/change-input.ts'
import type { ChangeReply } from '../wire/led-messages.ts'
import type {
  Message,
  RangeReply,
  RangeRequest,
  ReadReply,
  ReadRequest,
  WireReceipt,
  WriteReply,
  WriteRequest,
} from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import type { Routed } from './partition-doors.ts'

export interface LedRequests {
  /** `message` and `request`: as they came, to be handed on; their reply is made of the change's by `reply`. */
  change<Request extends { readonly hops: number }, Reply extends { receipt: WireReceipt }>(
    message: Message<Request, Reply>,
    request: Request,
    routed: Routed,
    key: ByteString,
    input: ChangeInput,
    reply: (of: ChangeReply) => Reply,
    respond: Respond<Reply>,
    deadline: number,
  ): void
  read(
    routed: Routed,
    key: ByteString,
    request: ReadRequest,
    respond: Respond<ReadReply>,
    deadline: number,
  ): void
  range(routed: Routed, request: RangeRequest, respond: Respond<RangeReply>, deadline: number): void
}

export const asIs = (reply: ChangeReply): ChangeReply => reply

/** Of a put or delete that knows no conditions but the context it was read with. */
export function asWritten({ receipt, context, repeated, applied, session }: ChangeReply): WriteReply {
  if (applied) return { receipt, context, repeated, session }
  throw new QuorateError('BAD_CONTEXT', 'the row has been changed since it was read; read it again', {
    data: { field: 'context' },
  })
}

export function plainChange({ operation, value, context, hops, session }: WriteRequest): ChangeInput {
  const statement = value === undefined ? ({ delete: true } as const) : { put: value }
  return { operation, statement, condition: undefined, context, ack: undefined, again: false, hops, session }
}

export function keyFields(
  { descriptor }: TableView,
  { partitionKey, sortKey }: { readonly partitionKey: ByteString; readonly sortKey: ByteString },
): KeyFields {
  const { partition, sort } = descriptor.key
  const first = { field: partition, value: decodeKey(partitionKey) }
  return sort === undefined ? [first] : [first, { field: sort, value: decodeKey(sortKey) }]
}

export function notOrdered({ descriptor: { name } }: TableView): QuorateError {
  return new QuorateError(
    'BAD_REQUEST',
    `table "${name}" is leaderless: nobody orders its writes, so a condition or an update expression has no one row to hold on; read the row and put it with its context, or make a table with replication.kind "single-leader"`,
  )
}
