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

export function message<Request, Reply>(
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
/**
 * What a session has seen (sessions/session-token.ts): several tokens one after the other with a request, one in the
 * reply; absent: no session, and then there is none in the reply either.
 */
const session = s.optional(s.bytes(limits.sessionBundleBytesMax))
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
  /** Who handed the request on before the coordinator got it: proxies and nodes, in order. */
  via: s.list(s.node, 8),
  hedged: s.flag,
  /** Of a partition with a leader: the entry that the answer rests on. */
  log: s.optional(
    s.record({
      leader: s.node,
      epoch: s.count,
      position: s.count,
      byLeader: s.flag,
      /** How old the state may be that a follower answered from, in milliseconds. */
      staleMs: s.count,
      /** The last epoch of the partition that began by an unclean election; 0: none did. */
      unclean: s.count,
    }),
  ),
})
export type WireReceipt = s.Shaped<typeof receiptSchema>

/** Of a table with leaders: how old the state may be that a follower answers from, in milliseconds; 0: no matter. */
const staleMs = s.count

export const rowAddress = {
  table: s.u32,
  /** Version of the row's partition, as the sender knows it. */
  mapVersion: s.count,
  partitionKey: keyPart,
  sortKey: keyPart,
  level: s.u8,
  /** Times this request has been handed on; a request handed on twice is refused. */
  hops: s.u8,
  session,
} as const

const writeRequest = {
  ...rowAddress,
  operation: s.fixed<OperationId>(16),
  /** Absent: delete. */
  value: s.optional(s.bytes(limits.valueBytesMax)),
  context: s.optional(token),
  strict: s.flag,
} as const
const writeReply = s.record({ receipt: receiptSchema, context: token, repeated: s.flag, session })

export const writeMessage = message('write', 1, s.record(writeRequest), writeReply)
export type WriteRequest = s.Shaped<typeof writeMessage.request>
export type WriteReply = s.Shaped<typeof writeMessage.reply>

/**
 * A step on one field of a row that merges by itself, or on one element of a set: `field` is the key of its cell behind
 * that of the row (crdt/field-key.ts), `value` the step (crdt/steps.ts).
 */
export const mergeMessage = message('merge', 13, s.record({ ...writeRequest, field: keyPart }), writeReply)
export type MergeRequest = s.Shaped<typeof mergeMessage.request>

export const readMessage = message(
  'read',
  2,
  s.record({ ...rowAddress, staleMs }),
  s.record({
    receipt: receiptSchema,
    values: s.list(s.bytes(limits.valueBytesMax), 65_536),
    context: token,
    session,
  }),
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
    from: rowKey,
    to: rowKey,
    reverse: s.flag,
    limit: s.count,
    session,
    staleMs,
  }),
  s.record({
    receipt: receiptSchema,
    rows: s.list(
      s.record({ key: rowKey, values: s.list(s.bytes(limits.valueBytesMax), 65_536), context: token }),
      limits.pageRowsMax,
    ),
    /** Where the next page starts (or ends, in reverse); absent when there is none. */
    resume: s.optional(rowKey),
    session,
  }),
)
export type RangeRequest = s.Shaped<typeof rangeMessage.request>
export type RangeReply = s.Shaped<typeof rangeMessage.reply>

const mapChunk = s.record({ table: s.u32, index: s.count, chunk: document })

/** Members, tables and their maps: what a client needs to route. The bodies are the documents of the registers. */
export const clusterMessage = message(
  'cluster',
  4,
  s.record({ knownMembers: s.count, knownTables: s.count }),
  s.record({
    clusterId: s.text(64),
    members: document,
    tables: document,
    maps: s.list(mapChunk, limits.listLengthMax),
    /** Who holds the registers; empty when that is not the nodes, or not known. */
    voters: document,
  }),
)

export const createTableMessage = message(
  'create-table',
  5,
  s.record({ operation: s.fixed<OperationId>(16), descriptor: document }),
  s.record({ descriptor: document, created: s.flag }),
)

/** `shadow` absent: nothing is measured any more. */
export const alterTableMessage = message(
  'alter-table',
  14,
  s.record({ operation: s.fixed<OperationId>(16), name: s.text(64), shadow: s.optional(s.text(64)) }),
  s.record({ descriptor: document }),
)

/** What every replica knows of one row, for `explain`: read-only, no repair. */
export const inspectMessage = message(
  'inspect',
  6,
  s.record({ table: s.u32, key: rowKey }),
  s.record({ cell: s.optional(cell), damaged: s.flag, ready: s.flag, hints: s.list(s.node, 100) }),
)

/** One piece of a table's map, as the node knows it: for whoever was told STALE_MAP. */
export const mapMessage = message(
  'map',
  7,
  s.record({ table: s.u32, index: s.count }),
  s.record({ chunk: s.optional(document) }),
)

/** A node that is no member asks to become one: it is staged, and owns nothing until a plan is committed. */
export const joinMessage = message(
  'join',
  8,
  s.record({
    operation: s.fixed<OperationId>(16),
    /** The cluster it was told to join; empty: whichever this is. */
    cluster: s.text(64),
    node: s.node,
    incarnation: s.fixed<Incarnation>(8),
    address: s.text(256),
    http: s.text(256),
    zone: s.text(64),
    region: s.text(64),
    weight: s.real,
    /** It is known that no member is in this zone yet. */
    newZone: s.flag,
  }),
  /** What the cluster was formed with, who holds its registers, and its members, the new one among them. */
  s.record({ clusterId: s.text(64), genesis: document, voters: document, members: document }),
)
export type JoinRequest = s.Shaped<typeof joinMessage.request>

/** `delta`: only what one write has added; refused where something before it is missing. */
export const REPLICA_WRITE_KINDS = ['write', 'repair', 'hint', 'sweep', 'delta'] as const
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
  /** `collected`: writes up to here may be gone for good, their tombstones collected (sweep/fences.ts). */
  s.record({ cell: s.optional(cell), asOf: s.stamp, collected: s.stamp }),
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

/** A write of one part of a row whose writes are split, handed to a home of the part (leaderless/split-write.ts). */
export const partWriteMessage = message(
  'part-write',
  24,
  s.record({ ...writeRequest, part: s.u8 }),
  writeReply,
)
export type PartWriteRequest = s.Shaped<typeof partWriteMessage.request>

export const storeHintMessage = message(
  'store-hint',
  23,
  s.record({ table: s.u32, mapVersion: s.count, target: s.node, key: rowKey, cell, asOf: s.stamp }),
  empty,
)

const treeNode = s.record({ index: s.count, digest, rows: s.count })
/** A partition by its id, in the version the sender has; where the receiver has another it refuses, or leaves it out. */
const partitionAddress = { table: s.u32, partition: s.count, mapVersion: s.count } as const

/** Roots of all partitions shared by two holders; the answer names those that differ, and those it cannot speak for. */
export const sweepRootsMessage = message(
  'sweep-roots',
  30,
  s.record({
    table: s.u32,
    partitions: s.list(s.record({ id: s.count, mapVersion: s.count, digest, rows: s.count }), 100_000),
  }),
  s.record({
    differing: s.list(s.count, 100_000),
    /** Rebuilding, damaged, or under another version of the partition: equal roots prove nothing. */
    unready: s.list(s.count, 100_000),
    /** Under another version: nothing can be compared. */
    unknown: s.list(s.count, 100_000),
  }),
)

/** Children of one tree node. */
export const sweepChildrenMessage = message(
  'sweep-children',
  31,
  s.record({
    ...partitionAddress,
    level: s.count,
    indexes: s.list(s.count, 4096),
  }),
  s.record({ children: s.list(treeNode, 65_536) }),
)

/** Keys and digests of one leaf. */
export const sweepLeafMessage = message(
  'sweep-leaf',
  32,
  s.record({ ...partitionAddress, leaf: s.count, after: rowKey }),
  s.record({ rows: s.list(s.record({ key: rowKey, digest }), 10_000), more: s.flag }),
)

export const sweepFetchMessage = message(
  'sweep-fetch',
  33,
  s.record({ ...partitionAddress, keys: s.list(rowKey, 1_000) }),
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
  s.record({ ...partitionAddress, cut: s.stamp }),
  s.record({ hints: s.count, ready: s.flag, clock: s.stamp }),
)

/** Collection: which of the candidates are tombstones here, and exactly which. */
export const collectReportMessage = message(
  'collect-report',
  41,
  s.record({ ...partitionAddress, candidates: s.list(rowKey, 10_000), upTo: s.stamp }),
  s.record({ rows: s.list(s.record({ key: rowKey, digest }), 10_000) }),
)

/** Collection, last step: drop these, where they still are exactly so; remember the cut as watermark. */
export const collectDropMessage = message(
  'collect-drop',
  42,
  s.record({
    ...partitionAddress,
    cut: s.stamp,
    rows: s.list(s.record({ key: rowKey, digest }), 10_000),
    upTo: s.stamp,
    settledTo: s.stamp,
  }),
  s.record({ dropped: s.count }),
)

/** Movement: has this node durably learned that these partitions have reached these versions? */
export const barrierMessage = message(
  'barrier',
  60,
  s.record({ partitions: s.list(s.record({ ...partitionAddress, chunk: s.count }), 10_000) }),
  s.record({ reached: s.list(s.flag, 10_000) }),
)

/** Movement: may writes of this attempt come? Only when nothing of an older one is left here. */
export const prepareMoveMessage = message(
  'prepare-move',
  61,
  s.record({
    partitions: s.list(s.record({ ...partitionAddress, chunk: s.count, session: s.count }), 10_000),
  }),
  s.record({ ready: s.list(s.flag, 10_000) }),
)

export const RECEIVE_STATES = ['unknown', 'streaming', 'verifying', 'verified', 'waiting'] as const
export type ReceiveState = (typeof RECEIVE_STATES)[number]

/** Movement: fetch the rows of this attempt, or go on; how far it is. */
export const receiveMoveMessage = message(
  'receive-move',
  62,
  s.record({ partitions: s.list(s.record({ ...partitionAddress, session: s.count }), 10_000) }),
  s.record({
    moves: s.list(
      s.record({
        state: s.oneOf<ReceiveState>(RECEIVE_STATES),
        rows: s.count,
        bytes: s.count,
        /** What it waits for, in words. */
        waitsFor: s.text(256),
      }),
      10_000,
    ),
  }),
)

/** Movement: the next rows of a partition, for an attempt that is still open. */
export const movePageMessage = message(
  'move-page',
  63,
  s.record({ ...partitionAddress, session: s.count, after: rowKey, bytes: s.count }),
  s.record({ rows: s.list(s.record({ key: rowKey, cell }), 10_000), more: s.flag, asOf: s.stamp }),
)

/** Movement: a home that is leaving gives what only it has to those that stay or come. */
export const handOverMessage = message(
  'hand-over',
  64,
  s.record({ partitions: s.list(s.record({ ...partitionAddress, session: s.count }), 10_000) }),
  s.record({ done: s.list(s.flag, 10_000) }),
)

/** What partitions weigh on this node, and the room it has: for plans. */
export const measureMessage = message(
  'measure',
  65,
  s.record({ table: s.u32, partitions: s.list(s.count, 100_000) }),
  s.record({
    partitions: s.list(s.record({ rows: s.count, bytes: s.count }), 100_000),
    /** 0: not known. */
    freeBytes: s.count,
  }),
)

const keySummary = s.record({
  total: s.real,
  floor: s.real,
  keys: s.list(s.record({ key: rowKey, count: s.real, error: s.real }), 256),
})

/** Busy partitions, by what this node coordinates; and range partitions that it leads and cannot split. */
export const hotMessage = message(
  'hot',
  66,
  s.record({ table: s.optional(s.u32), partitionsShown: s.count, leastPerSecond: s.real }),
  s.record({
    partitions: s.list(
      s.record({
        table: s.u32,
        partition: s.count,
        reads: keySummary,
        writes: keySummary,
        growingPerSecond: s.real,
      }),
      10_000,
    ),
    refusals: s.list(s.record({ table: s.u32, partition: s.count, why: s.text(1_024) }), 1_000),
  }),
)
export type HotReply = s.Shaped<typeof hotMessage.reply>

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
