/**
 * The logical log as a feed: what was committed in a partition, in order, from any replica that has it.
 *
 * A reader's place is the last entry that it has had, by epoch and position. A log with another epoch's entry there has
 * been rolled back by an unclean election: the reader is told up to where its log and this one are the same, and goes
 * on from there. A place that the log does not reach back to is an error that says so: nothing is passed over silently.
 *
 * Invariants: only what has been carried out is told, in the order of positions, without a gap; what a feed has told is
 * never untold but by an event that says so.
 */

import { QuorateError } from '../base/errors.ts'
import type { PeerId } from '../base/ids.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { decodeBody } from '../leader/log-body.ts'
import type { Replica } from '../leader/replica.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { beforeAll, epochAt, type LogPoint } from '../leadership/epoch-history.ts'
import { type ChangesReply, type ChangesRequest, changesMessage } from '../wire/led-messages.ts'
import type { Respond } from '../wire/rpc.ts'
import type { Held, LedPartitions } from './led-partitions.ts'

const BYTES_MAX = 1024 * 1024
/** A reader with nothing to read is answered after so long at the latest, and asks again. */
const WAIT_MAX_MS = 10_000

type Entry = ChangesReply['entries'][number]

export class ChangeFeed {
  readonly #node: NodeContext
  readonly #partitions: LedPartitions

  constructor(node: NodeContext, partitions: LedPartitions) {
    this.#node = node
    this.#partitions = partitions
    node.rpc.handle(changesMessage, (request, respond, _, deadline) => {
      const held = this.#partitions.find(request.table, request.partition)
      if (held === undefined || !held.seat.isReadable)
        throw partitions.notLeading(request.table, request.partition)
      this.#refuseOtherLogs(held)
      // Where the log ends now, only its leader knows: a follower may lack what was acknowledged long ago.
      if (request.after === undefined && held.seat.leading?.isEstablished !== true)
        return this.#askLeader(held, request, respond, deadline)
      const reply = this.#read(held, request.after, request.bytes)
      if (
        request.after === undefined ||
        reply.entries.length > 0 ||
        reply.truncatedTo !== undefined ||
        request.waitMs === 0
      )
        return node.store.whenDurable(node.store.handed, () => respond.ok(reply))
      this.#whenMore(held, request.after, request, deadline, found =>
        node.store.whenDurable(node.store.handed, () => {
          if (found instanceof QuorateError) respond.fail(found)
          else respond.ok(found)
        }),
      )
    })
  }

  #askLeader(
    { partition }: Held,
    request: ChangesRequest,
    respond: Respond<ChangesReply>,
    deadline: number,
  ): void {
    const leader = partition.lead?.leader
    const { self, rpc, clock } = this.#node
    if (leader === undefined || leader === self || request.hops > 0)
      throw this.#partitions.notLeading(request.table, request.partition)
    const leftMs = deadline - clock.monotonicMs()
    const peers = [leader as string as PeerId]
    rpc.call(peers, changesMessage, { ...request, hops: 1 }, leftMs, (_, reply, error) => {
      if (error === undefined) respond.ok(reply!)
      else respond.fail(error)
    })
  }

  #refuseOtherLogs({ view: { descriptor } }: Held): void {
    const settings = ledOf(descriptor)
    if (settings?.log === 'logical') return
    throw new QuorateError(
      'BAD_REQUEST',
      `"${descriptor.name}" ships a ${settings?.log ?? 'leaderless'} log: only a logical log says what its rows were before and after`,
      { data: { field: 'log' } },
    )
  }

  #read({ seat: { replica } }: Held, after: LogPoint | undefined, bytes: number): ChangesReply {
    const { log, carriedOut } = replica
    const end = { epoch: epochAt(log.shape, carriedOut), position: carriedOut }
    if (after === undefined) return { entries: [], next: end, truncatedTo: undefined }
    const common = commonPoint(replica, after)
    if (common.position !== after.position) return { entries: [], next: common, truncatedTo: common }
    if (after.position + 1 < log.first)
      throw new QuorateError(
        'FEED_GONE',
        `the feed was read up to entry ${after.position}, and the log begins at ${log.first} now: what lies between was not read; read the table, and begin anew from now`,
        { data: { position: after.position, first: log.first } },
      )
    const found = log
      .read(after.position + 1, Math.min(bytes, BYTES_MAX))
      .filter(entry => entry.position <= carriedOut)
    const last = found.at(-1)
    const next = last === undefined ? after : { epoch: last.epoch, position: last.position }
    const entries = found.flatMap(({ epoch, position, body }): Entry[] => {
      const change = decodeBody(body)
      if (change.kind !== 'logical') return []
      const { operation, stamp, key, before, after: now } = change
      return [{ epoch, position, operation, stamp, key, before, after: now }]
    })
    return { entries, next, truncatedTo: undefined }
  }

  /** Answers when there is more, or nothing after all. */
  #whenMore(
    held: Held,
    after: LogPoint,
    { bytes, waitMs }: { readonly bytes: number; readonly waitMs: number },
    deadline: number,
    answer: (found: ChangesReply | QuorateError) => void,
  ): void {
    const untilMs = Math.min(this.#node.clock.monotonicMs() + Math.min(waitMs, WAIT_MAX_MS), deadline - 1)
    let done = false
    const end = (): void => {
      if (done) return
      done = true
      stop()
      time.cancel()
      try {
        answer(this.#read(held, after, bytes))
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error
        answer(error)
      }
    }
    const time = this.#node.rpc.deadlines.add(untilMs, { expire: end })
    const stop = held.seat.onProgress(() => this.#node.clock.defer(end))
  }
}

/** The last entry that this log shares with the one that the reader has read up to. */
function commonPoint({ log, carriedOut }: Replica, after: LogPoint): LogPoint {
  const { shape } = log
  if (after.position > shape.last) {
    // A replica that is behind has not had it yet; what it has of a newer epoch says that it never will.
    const isBehind = shape.epochs.every(({ epoch }) => epoch <= after.epoch)
    if (isBehind)
      throw new QuorateError('NOT_READY', 'this replica has not so much of the log yet', {
        data: { retryAfterMs: 50 },
      })
  } else if (epochAt(shape, after.position) === after.epoch) return after
  const newer = shape.epochs.find(({ epoch }) => epoch > after.epoch)
  // An epoch that was rolled back whole: what stood before it in the log that was read, this log cannot tell.
  if (newer !== undefined && after.epoch > 0 && !shape.epochs.some(({ epoch }) => epoch === after.epoch))
    throw new QuorateError(
      'FEED_GONE',
      `the feed was read up to entry ${after.epoch}/${after.position}, and nothing that epoch ${after.epoch} wrote is left: elections that could not be clean have given it up, and how far back cannot be told; read the table, and begin anew from now`,
      { data: { position: after.position, first: log.first } },
    )
  if (newer === undefined || newer.from - 1 > after.position) {
    throw new QuorateError('NOT_READY', 'this replica has an older log', { data: { retryAfterMs: 50 } })
  }
  const position = Math.min(newer.from - 1, carriedOut)
  return position === 0 ? beforeAll : { epoch: epochAt(shape, position), position }
}
