/**
 * Every message of the protocol: type number, request and reply. Numbers are never reused; a changed
 * shape needs a new protocol version (see `protocol-version.ts` and its test).
 */

import type { ByteString, Incarnation, OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Digest } from '../cells/cell-codec.ts'
import {
  acceptorReplySchema,
  acceptorRequestSchema,
  genesisMessageSchema,
  gossipSchema,
} from './coordination-schemas.ts'
import * as s from './schema.ts'

export interface Message<Request, Reply> {
  readonly name: string
  readonly type: number
  readonly request: s.Schema<Request>
  readonly reply: s.Schema<Reply>
}

/** Types from here on are between members; a stranger that sends them is refused. */
export const MEMBER_MESSAGES_FROM = 20

export const allMessages: Message<never, never>[] = []

function message<Request, Reply>(
  name: string,
  type: number,
  request: s.Schema<Request>,
  reply: s.Schema<Reply>,
): Message<Request, Reply> {
  const made = { name, type, request, reply }
  allMessages.push(made as unknown as Message<never, never>)
  return made
}

const keyPart = s.byteString<ByteString>(limits.keyBytesMax)
const rowKey = s.byteString<ByteString>(2 * limits.keyBytesMax + 16)
const cell = s.bytes(limits.cellBytesMax)
const token = s.bytes(1 * 1024 * 1024)
const document = s.bytes(limits.registerBytesMax)
const empty = s.record({})

export const digest: s.Schema<Digest> = {
  shape: 'digest',
  write: (w, v) => {
    for (let lane = 0; lane < 4; lane++) w.u32(v[lane]!)
  },
  read: r => [r.u32(), r.u32(), r.u32(), r.u32()],
}

/** How many answers: 0 the table's own, 250 one, 251 quorum, 252 all, otherwise that many. */
export const LEVEL_TABLE = 0
export const LEVEL_ONE = 250
export const LEVEL_QUORUM = 251
export const LEVEL_ALL = 252

export const receiptSchema = s.record({
  coordinator: s.node,
  mapVersion: s.count,
  /** Asked for: W or R. */
  needed: s.count,
  replicas: s.count,
  homes: s.list(s.node, 100),
  /** Nodes that stood in for homes (sloppy), each with the home it stands for. */
  fallbacks: s.list(s.record({ node: s.node, for: s.node }), 100),
  /** Homes that got a hint instead of the write, or were repaired after a read. */
  hinted: s.list(s.node, 100),
  repaired: s.list(s.node, 100),
  forwarded: s.flag,
  hedged: s.flag,
})
export type WireReceipt = s.Shaped<typeof receiptSchema>

const rowAddress = {
  table: s.u32,
  mapVersion: s.count,
  partitionKey: keyPart,
  sortKey: keyPart,
  level: s.u8,
  /** Times this request has been handed on; a request handed on twice is refused. */
  hops: s.u8,
} as const

export const writeMessage = message(
  'write',
  1,
  s.record({
    ...rowAddress,
    operation: s.fixed<OperationId>(16),
    /** Absent: delete. */
    value: s.optional(s.bytes(limits.valueBytesMax)),
    context: s.optional(token),
    strict: s.flag,
  }),
  s.record({ receipt: receiptSchema, context: token, repeated: s.flag }),
)
export type WriteRequest = s.Shaped<typeof writeMessage.request>
export type WriteReply = s.Shaped<typeof writeMessage.reply>

export const readMessage = message(
  'read',
  2,
  s.record(rowAddress),
  s.record({ receipt: receiptSchema, values: s.list(s.bytes(limits.valueBytesMax), 65_536), context: token }),
)
export type ReadRequest = s.Shaped<typeof readMessage.request>
export type ReadReply = s.Shaped<typeof readMessage.reply>

/** A page of rows of one partition: of one partition key between sort keys, or of the whole partition. */
export const rangeMessage = message(
  'range',
  3,
  s.record({
    table: s.u32,
    mapVersion: s.count,
    level: s.u8,
    hops: s.u8,
    /** Any token of the partition meant. */
    token: s.u32,
    from: rowKey,
    to: rowKey,
    reverse: s.flag,
    limit: s.count,
  }),
  s.record({
    receipt: receiptSchema,
    rows: s.list(
      s.record({ key: rowKey, values: s.list(s.bytes(limits.valueBytesMax), 65_536), context: token }),
      limits.pageRowsMax,
    ),
    /** Where the next page starts (or ends, in reverse); absent when there is none. */
    resume: s.optional(rowKey),
  }),
)
export type RangeRequest = s.Shaped<typeof rangeMessage.request>
export type RangeReply = s.Shaped<typeof rangeMessage.reply>

/** Members, tables and versions: what a client needs to route. The body is the documents of the registers. */
export const clusterMessage = message(
  'cluster',
  4,
  s.record({ knownMembers: s.count, knownTables: s.count }),
  s.record({ clusterId: s.text(64), members: document, tables: document }),
)

export const createTableMessage = message(
  'create-table',
  5,
  s.record({ operation: s.fixed<OperationId>(16), descriptor: document }),
  s.record({ descriptor: document, created: s.flag }),
)

/** What every replica knows of one row, for `explain`: read-only, no repair. */
export const inspectMessage = message(
  'inspect',
  6,
  s.record({ table: s.u32, key: rowKey }),
  s.record({ cell: s.optional(cell), damaged: s.flag, ready: s.flag, hints: s.list(s.node, 100) }),
)

export const REPLICA_WRITE_KINDS = ['write', 'repair', 'hint', 'sweep'] as const
export type ReplicaWriteKind = (typeof REPLICA_WRITE_KINDS)[number]

export const replicaWriteMessage = message(
  'replica-write',
  20,
  s.record({
    table: s.u32,
    mapVersion: s.count,
    kind: s.oneOf<ReplicaWriteKind>(REPLICA_WRITE_KINDS),
    key: rowKey,
    cell,
    /** When the cell was read from a store: collection fences compare against it. */
    asOf: s.stamp,
  }),
  empty,
)
export type ReplicaWrite = s.Shaped<typeof replicaWriteMessage.request>

export const replicaReadMessage = message(
  'replica-read',
  21,
  s.record({ table: s.u32, mapVersion: s.count, key: rowKey, fallback: s.flag }),
  s.record({ cell: s.optional(cell), asOf: s.stamp }),
)
export type ReplicaRead = s.Shaped<typeof replicaReadMessage.request>

export const replicaRangeMessage = message(
  'replica-range',
  22,
  s.record({ table: s.u32, mapVersion: s.count, from: rowKey, to: rowKey, reverse: s.flag, limit: s.count }),
  s.record({
    rows: s.list(s.record({ key: rowKey, cell }), limits.pageRowsMax),
    more: s.flag,
    asOf: s.stamp,
  }),
)

export const storeHintMessage = message(
  'store-hint',
  23,
  s.record({ table: s.u32, mapVersion: s.count, target: s.node, key: rowKey, cell, asOf: s.stamp }),
  empty,
)

const treeNode = s.record({ index: s.count, digest, rows: s.count })

/** Roots of all partitions shared by two replicas; the answer names those that differ. */
export const sweepRootsMessage = message(
  'sweep-roots',
  30,
  s.record({ table: s.u32, mapVersion: s.count, partitions: s.list(treeNode, 100_000) }),
  s.record({ ready: s.flag, differing: s.list(s.count, 100_000) }),
)

/** Children of one tree node. */
export const sweepChildrenMessage = message(
  'sweep-children',
  31,
  s.record({
    table: s.u32,
    mapVersion: s.count,
    partition: s.count,
    level: s.count,
    indexes: s.list(s.count, 4096),
  }),
  s.record({ children: s.list(treeNode, 65_536) }),
)

/** Keys and digests of one leaf. */
export const sweepLeafMessage = message(
  'sweep-leaf',
  32,
  s.record({ table: s.u32, mapVersion: s.count, partition: s.count, leaf: s.count, after: rowKey }),
  s.record({ rows: s.list(s.record({ key: rowKey, digest }), 10_000), more: s.flag }),
)

export const sweepFetchMessage = message(
  'sweep-fetch',
  33,
  s.record({ table: s.u32, mapVersion: s.count, keys: s.list(rowKey, 1_000) }),
  s.record({
    asOf: s.stamp,
    cells: s.list(s.record({ key: rowKey, cell: s.optional(cell) }), 1_000),
    more: s.flag,
  }),
)

/** Collection: refuse from now on what was read at or before `cut` (0: nothing), say what holds older writes, tell the clock. */
export const collectFenceMessage = message(
  'collect-fence',
  40,
  s.record({ table: s.u32, mapVersion: s.count, partition: s.count, cut: s.stamp }),
  s.record({ hints: s.count, ready: s.flag, clock: s.stamp }),
)

/** Collection: which of the candidates are tombstones here, and exactly which. */
export const collectReportMessage = message(
  'collect-report',
  41,
  s.record({ table: s.u32, mapVersion: s.count, partition: s.count, candidates: s.list(rowKey, 10_000) }),
  s.record({ rows: s.list(s.record({ key: rowKey, digest }), 10_000) }),
)

/** Collection, last step: drop these, where they still are exactly so; remember the cut as watermark. */
export const collectDropMessage = message(
  'collect-drop',
  42,
  s.record({
    table: s.u32,
    mapVersion: s.count,
    partition: s.count,
    cut: s.stamp,
    rows: s.list(s.record({ key: rowKey, digest }), 10_000),
  }),
  s.record({ dropped: s.count }),
)

export const gossipMessage = message('gossip', 50, s.record({ body: gossipSchema }), empty)
export const registerMessage = message(
  'register',
  51,
  s.record({ body: acceptorRequestSchema }),
  s.record({ body: acceptorReplySchema }),
)
export const genesisMessage = message('genesis', 52, s.record({ body: genesisMessageSchema }), empty)

/** First frame on a connection, both ways; not an RPC. */
export const helloSchema = s.record({
  protocol: s.count,
  /** Empty for a client. */
  node: s.node,
  incarnation: s.byteString<Incarnation>(8),
  cluster: s.text(64),
})
export type Hello = s.Shaped<typeof helloSchema>
