/** Messages of tables with one leader per partition: of clients, and between its replicas. */

import type { ByteString, Incarnation, OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { ACKNOWLEDGEMENTS } from '../leadership/acknowledgement.ts'
import { message, receiptSchema, rowAddress } from './messages.ts'
import * as s from './schema.ts'

const rowKey = s.byteString<ByteString>(2 * limits.keyBytesMax + 16)
const token = s.bytes(1 * 1024 * 1024)
const point = s.record({ epoch: s.count, position: s.count })
const shape = s.record({
  epochs: s.list(s.record({ epoch: s.count, from: s.count }), limits.epochsMax),
  last: s.count,
})
const place = { table: s.u32, partition: s.count, epoch: s.count } as const

/** A write that its leader orders: what is to be done, and under which condition. */
export const changeMessage = message(
  'change',
  9,
  s.record({
    ...rowAddress,
    operation: s.fixed<OperationId>(16),
    /** A document: `{put}`, `{delete}` or `{update}` (leader/log-body.ts). */
    statement: s.bytes(2 * limits.valueBytesMax),
    /** A document: the condition on the row as it is (updates/condition.ts). */
    condition: s.optional(s.bytes(limits.valueBytesMax)),
    /** From a read: the row must still be what was read. */
    context: s.optional(token),
    /** More copies than the table's own acknowledgement asks for. */
    ack: s.optional(s.oneOf(ACKNOWLEDGEMENTS)),
    /** An earlier try of it may still be on its way. */
    again: s.flag,
  }),
  s.record({
    receipt: receiptSchema,
    context: token,
    repeated: s.flag,
    /** False: a condition did not hold, and nothing has changed. */
    applied: s.flag,
    /** Then: the row as it is; absent: there is none. */
    current: s.optional(s.bytes(limits.valueBytesMax)),
    session: s.optional(token),
  }),
)
export type ChangeRequest = s.Shaped<typeof changeMessage.request>
export type ChangeReply = s.Shaped<typeof changeMessage.reply>

/** What a log says of itself when what stands before is not in it. */
const behind = s.record({ shape, first: s.count })
/** `store`: what it keeps the log in; what another one acknowledged is not there. */
const answerFields = {
  store: s.fixed<Incarnation>(8),
  matched: s.count,
  behind: s.optional(behind),
} as const
const answer = s.record(answerFields)

const progress = {
  before: point,
  committed: s.count,
  /** End of the leader's log, and the version of the partition that it acts under. */
  last: s.count,
  mapVersion: s.count,
  /** Every replica has the log up to here: what lies behind it may be on one disk alone, and is kept. */
  everywhere: s.count,
  /** Clock of the leader: everything that was committed then is at or before `committed`. */
  asOf: s.stamp,
  /** The last epoch that began by an unclean election. */
  unclean: s.count,
  /** Of the leader's store: bytes of another one are of no use to a follower of a physical log. */
  storeFormat: s.count,
} as const

export const logAppendMessage = message(
  'log-append',
  70,
  s.record({
    ...place,
    ...progress,
    entries: s.list(s.record({ epoch: s.count, body: s.bytes(limits.logBodyBytesMax) }), 100_000),
  }),
  answer,
)
export type LogAppend = s.Shaped<typeof logAppendMessage.request>

/** Of all partitions that the sender leads and the receiver follows. */
export const logBeatMessage = message(
  'log-beat',
  71,
  s.record({
    beats: s.list(
      s.record({
        ...place,
        ...progress,
        /** The log does not reach back to what this replica lacks: it is to be filled anew. */
        load: s.flag,
      }),
      100_000,
    ),
  }),
  s.record({
    answers: s.list(
      s.record({
        ...answerFields,
        /** The epoch that was promised to, when it is newer than the sender's; 0: accepted. */
        fence: s.count,
        /** Not kept here: nothing was promised, and nothing is known. */
        unknown: s.flag,
        /** The promise is renewed; what is here is still on its way to the disk, and told of another time. */
        pending: s.flag,
      }),
      100_000,
    ),
  }),
)
export type LogBeat = s.Shaped<typeof logBeatMessage.request>['beats'][number]
export type LogBeatAnswer = s.Shaped<typeof logBeatMessage.reply>['answers'][number]

/** Asks for votes. `dry`: whether one would be given; nothing is promised. */
export const logVoteMessage = message(
  'log-vote',
  72,
  s.record({ candidate: s.node, dry: s.flag, partitions: s.list(s.record(place), 100_000) }),
  s.record({
    votes: s.list(
      s.record({
        granted: s.flag,
        /** Empty when it was. */
        why: s.text(200),
        /** The epoch promised to. */
        fence: s.count,
        end: point,
        /** The furthest end of a leader's log that it has been told of. */
        told: point,
        /** It was emptied: its log is not what it once had. */
        emptied: s.flag,
        /** It leads the partition itself, and is sure of that. */
        leads: s.flag,
      }),
      100_000,
    ),
  }),
)
export type LogVote = s.Shaped<typeof logVoteMessage.reply>['votes'][number]

/** The next rows of a partition, as its leader has them now. */
export const logRowsMessage = message(
  'log-rows',
  73,
  s.record({ ...place, after: rowKey, bytes: s.count }),
  s.record({
    rows: s.list(s.record({ key: rowKey, cell: s.bytes(limits.cellBytesMax) }), 100_000),
    more: s.flag,
    /** The log of the leader as far as its rows stand for it, the last entry that it keeps no more, and its end. */
    shape,
    gone: s.count,
    last: s.count,
  }),
)

/** This piece of a map has changed: whoever keeps its partitions looks at once. */
export const mapChangedMessage = message(
  'map-changed',
  74,
  s.record({ table: s.u32, index: s.count }),
  s.record({}),
)

/** An operator's wish, at any node: another replica leads. Answered when it does. */
export const moveLeaderMessage = message(
  'move-leader',
  75,
  s.record({ ...place, to: s.node }),
  s.record({ epoch: s.count }),
)

/** One row of another replica, for one whose own is damaged. */
export const logRowMessage = message(
  'log-row',
  76,
  s.record({ table: s.u32, partition: s.count, key: rowKey }),
  s.record({ carriedOut: point, cell: s.optional(s.bytes(limits.cellBytesMax)) }),
)

/** What was committed in a partition behind a place that a reader has read up to; without one, where it ends now. */
export const changesMessage = message(
  'changes',
  10,
  s.record({
    table: s.u32,
    partition: s.count,
    /** How often it was handed on. */
    hops: s.u8,
    after: s.optional(point),
    bytes: s.count,
    /** How long to wait for something to tell. */
    waitMs: s.count,
  }),
  s.record({
    entries: s.list(
      s.record({
        epoch: s.count,
        position: s.count,
        stamp: s.stamp,
        operation: s.fixed<OperationId>(16),
        key: rowKey,
        before: s.optional(s.bytes(limits.valueBytesMax)),
        after: s.optional(s.bytes(limits.valueBytesMax)),
      }),
      100_000,
    ),
    /** The place to go on from. */
    next: point,
    /** The log was rolled back to here: what was told behind it is gone. */
    truncatedTo: s.optional(point),
  }),
)
export type ChangesRequest = s.Shaped<typeof changesMessage.request>
export type ChangesReply = s.Shaped<typeof changesMessage.reply>

const readerName = s.text(limits.feedReaderNameMax)
const readerPlaces = s.list(s.record({ partition: s.count, point }), limits.registerBytesMax)

/** Readers of a table's feed that are known by name, also as the register keeps them. */
export const feedReaders = s.list(
  s.record({ name: readerName, atMs: s.count, places: readerPlaces }),
  limits.feedReadersMax,
)

export const feedReadersMessage = message(
  'feed-readers',
  11,
  s.record({ table: s.u32 }),
  s.record({ readers: feedReaders }),
)

/** A reader has had everything up to these places; or it is to be forgotten. `known`: it was there before. */
export const saveFeedReaderMessage = message(
  'save-feed-reader',
  12,
  s.record({ table: s.u32, name: readerName, places: readerPlaces, forget: s.flag }),
  s.record({ known: s.flag }),
)
