/**
 * Requests of clients about tables with a leader for each partition: served here when this node may, otherwise handed
 * to the leader once. Whoever knows no leader, or one that does not answer, says so at once: the client tries again
 * under the same operation id, and the log tells a retry.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import { emptyCell } from '../cells/cell.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import { encodeContextToken } from '../cells/context-token.ts'
import { seenOf } from '../cells/superseded.ts'
import type { ChangeInput } from '../leader/change-input.ts'
import type { Admission } from '../leaderless/admission.ts'
import { handedOn } from '../leaderless/handed-on.ts'
import type { LedRequests } from '../leaderless/led-requests.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { guarded, type Routed } from '../leaderless/partition-doors.ts'
import { localPage } from '../leaderless/range-flow.ts'
import { epochAt } from '../leadership/epoch-history.ts'
import type { RowEntry } from '../sessions/session-state.ts'
import type { ChangeReply } from '../wire/led-messages.ts'
import {
  LEVEL_ONE,
  type Message,
  type RangeReply,
  type RangeRequest,
  type ReadReply,
  type ReadRequest,
  rangeMessage,
  readMessage,
  type WireReceipt,
} from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import type { Leading } from './leading.ts'
import type { Held, LedPartitions } from './led-partitions.ts'
import { LedSession } from './led-session.ts'
import { ledReceipt, orderWrite } from './ordered-write.ts'

export interface LedTablesOptions {
  readonly node: NodeContext
  readonly partitions: LedPartitions
  readonly admission: Admission
  /** See `OrderedWriteOptions`. */
  readonly settle: (row: RowEntry, deadline: number) => Promise<void>
}

/** Makes the reply of what is here now. */
type Answer = (held: Held, receipt: WireReceipt, session: LedSession | undefined) => void

/** The session's token after a read that shows these rows. */
function told(
  session: LedSession | undefined,
  { log }: WireReceipt,
  cells: readonly (Uint8Array | undefined)[],
): Uint8Array | undefined {
  session?.saw(log!.epoch, log!.position, cells)
  return session?.token()
}

/** A request is handed on once. */
const HOPS_MAX = 1

export class LedTables implements LedRequests {
  readonly #options: LedTablesOptions

  constructor(options: LedTablesOptions) {
    this.#options = options
  }

  /** `message` and `request`: as they came, to be handed on; their reply is made of the change's by `reply`. */
  change<Request extends { readonly hops: number }, Reply extends { receipt: WireReceipt }>(
    message: Message<Request, Reply>,
    request: Request,
    { view, partition }: Routed,
    key: ByteString,
    input: ChangeInput,
    reply: (of: ChangeReply) => Reply,
    respond: Respond<Reply>,
    deadline: number,
  ): void {
    const held = this.#leadingHere(view, partition.id)
    if (held === undefined) return this.#handOn(message, request, { view, partition }, respond, deadline)
    const { node } = this.#options
    this.#admitted(onDone =>
      orderWrite({
        node,
        ...held,
        key,
        input,
        respond: {
          ok: done => guarded(respond, () => respond.ok(reply(done))),
          fail: error => respond.fail(error),
        },
        deadline,
        settle: this.#options.settle,
        onDone,
      }),
    )
  }

  read(
    { view, partition }: Routed,
    key: ByteString,
    request: ReadRequest,
    respond: Respond<ReadReply>,
    deadline: number,
  ): void {
    const { node } = this.#options
    this.#serve(readMessage, { view, partition }, request, respond, deadline, (held, receipt, session) => {
      node.hot.noteRead(view.descriptor.id, partition.id, key, node.clock.monotonicMs())
      node.counters.reads++
      const stored = node.rows.read(key)
      const cell = stored === undefined ? emptyCell : decodeCell(stored)
      const reply = {
        receipt,
        values: held.view.rule.read(cell),
        context: encodeContextToken(seenOf(cell), key),
        session: told(session, receipt, [stored]),
      }
      // A follower's rows may be ahead of its disk: a crash would make later reads go back.
      if (receipt.log!.byLeader) respond.ok(reply)
      else node.store.whenDurable(node.store.handed, () => respond.ok(reply))
    })
  }

  range(
    { view, partition }: Routed,
    request: RangeRequest,
    respond: Respond<RangeReply>,
    deadline: number,
  ): void {
    const { node } = this.#options
    this.#serve(rangeMessage, { view, partition }, request, respond, deadline, (held, receipt, session) => {
      node.counters.ranges++
      const { from, to, reverse } = request
      const limit = Math.max(1, Math.min(request.limit, limits.pageRowsMax))
      const { rows, more } = localPage(node, from, to, reverse, limit)
      const last = rows.at(-1)?.key
      const reply = {
        receipt,
        rows: rows.map(({ key, cell: bytes }) => {
          const cell = decodeCell(bytes)
          return { key, values: held.view.rule.read(cell), context: encodeContextToken(seenOf(cell), key) }
        }),
        resume: more && last !== undefined ? (reverse ? last : ((last + '\0') as ByteString)) : undefined,
        session: told(
          session,
          receipt,
          rows.map(({ cell }) => cell),
        ),
      }
      if (receipt.log!.byLeader) respond.ok(reply)
      else node.store.whenDurable(node.store.handed, () => respond.ok(reply))
    })
  }

  /** Finds who answers a read: the leader under its lease, or with `any` this follower, if it is recent enough. */
  #serve<Request extends ReadRequest | RangeRequest, Reply extends { receipt: WireReceipt }>(
    message: Message<Request, Reply>,
    routed: Routed,
    request: Request,
    respond: Respond<Reply>,
    deadline: number,
    answer: Answer,
  ): void {
    const { view, partition } = routed
    const held = this.#options.partitions.find(view.descriptor.id, partition.id)
    const leading = held?.seat.leading
    // Any replica may answer: a leader that is not sure to lead any more is one.
    if (leading?.isServing !== true && request.level === LEVEL_ONE && held?.seat.isReadable === true) {
      const session = LedSession.open(this.#options.node, held.seat.place, request.session)
      const isRecent = request.staleMs === 0 || held.seat.staleMs() <= request.staleMs
      if (isRecent && session?.isShownBy(held.seat.replica) !== false) {
        this.#admitted(leave => {
          try {
            answer(held, this.#followerReceipt(held, request.hops), session)
          } finally {
            leave()
          }
        })
        return
      }
    }
    if (held !== undefined && leading !== undefined)
      return this.#asLeader(held, leading, request, respond, deadline, answer)
    // Not here, or not yet: the leader has everything.
    this.#handOn(message, request, routed, respond, deadline)
  }

  #asLeader<Reply>(
    held: Held,
    leading: Leading,
    request: { readonly hops: number; readonly session: Uint8Array | undefined },
    respond: Respond<Reply>,
    deadline: number,
    answer: Answer,
  ): void {
    const session = LedSession.open(this.#options.node, held.seat.place, request.session)
    this.#admitted(leave =>
      leading.whenServing({
        deadline,
        run: () => {
          try {
            session?.refuseRolledBack(held.seat.replica, true)
            answer(held, this.#leaderReceipt(held, leading, request.hops), session)
          } catch (error) {
            respond.fail(error)
          }
          leave()
        },
        failed: error => {
          respond.fail(error)
          leave()
        },
      }),
    )
  }

  #leaderReceipt({ partition, seat }: Held, leading: Leading, hops: number): WireReceipt {
    const { self } = this.#options.node
    const position = seat.replica.carriedOut
    const log = {
      leader: self,
      epoch: leading.epochOf(position),
      position,
      byLeader: true,
      staleMs: 0,
      unclean: partition.lead?.unclean ?? 0,
    }
    return ledReceipt(self, partition, hops, [self], 1, log)
  }

  #followerReceipt({ partition, seat }: Held, hops: number): WireReceipt {
    const { self } = this.#options.node
    const position = seat.replica.carriedOut
    const epoch = epochAt(seat.replica.log.shape, position)
    const leader = partition.lead?.leader ?? self
    const log = {
      leader,
      epoch,
      position,
      byLeader: false,
      staleMs: Math.round(seat.staleMs()),
      unclean: partition.lead?.unclean ?? 0,
    }
    return ledReceipt(self, partition, hops, [self], 1, log)
  }

  #leadingHere(view: TableView, partition: number): (Held & { leading: Leading }) | undefined {
    const held = this.#options.partitions.find(view.descriptor.id, partition)
    const leading = held?.seat.leading
    return held === undefined || leading === undefined ? undefined : { ...held, leading }
  }

  #handOn<Request extends { readonly hops: number }, Reply extends { receipt: WireReceipt }>(
    message: Message<Request, Reply>,
    request: Request,
    { view, partition }: Routed,
    respond: Respond<Reply>,
    deadline: number,
  ): void {
    const { node } = this.#options
    const leader = partition.lead?.leader
    if (leader === undefined || leader === node.self || request.hops >= HOPS_MAX)
      throw this.#noLeader(view, partition.id, leader)
    if (this.#options.partitions.find(view.descriptor.id, partition.id)?.seat.isForsaken === true)
      throw this.#silent(view, partition.id, leader, 'has not been heard of for a while')
    const leftMs = deadline - node.clock.monotonicMs()
    node.counters.forwarded++
    node.rpc.call(
      [leader as string as PeerId],
      message,
      { ...request, hops: request.hops + 1 },
      leftMs,
      (peer, reply, error) => {
        if (error === undefined) return respond.ok(handedOn(reply as Reply, node.self))
        if (error.code === 'UNREACHABLE' || error.code === 'DEADLINE')
          return respond.fail(
            this.#silent(
              view,
              partition.id,
              leader,
              error.code === 'DEADLINE' ? 'does not answer' : 'cannot be reached',
              error,
            ),
          )
        if (error.code !== 'STALE_MAP') return respond.fail(error)
        // The leader knows better who leads: so does this node, before its client asks again.
        void node.catchUp(view.descriptor.id, partition.chunk, peer).then(() => respond.fail(error))
      },
    )
  }

  /** It is the leader that is in trouble, not the node that was asked. What became of the request is as it was told. */
  #silent(
    { descriptor }: TableView,
    partition: number,
    leader: NodeId,
    what: string,
    cause?: QuorateError,
  ): QuorateError {
    const { self } = this.#options.node
    return new QuorateError(
      'NOT_LEADER',
      `partition ${partition} of "${descriptor.name}": ${leader}, which leads it as far as ${self} knows, ${what}, and no other leads it yet`,
      { outcome: cause?.outcome ?? 'not-applied', data: { retryAfterMs: 20 }, cause },
    )
  }

  #noLeader(view: TableView, partition: number, leader: NodeId | undefined): QuorateError {
    const { self } = this.#options.node
    const who =
      leader === self
        ? `${self} is to lead it and does not yet`
        : leader === undefined
          ? 'nobody leads it'
          : `${leader} leads it, and the request was handed on already`
    return new QuorateError('NOT_LEADER', `partition ${partition} of "${view.descriptor.name}": ${who}`, {
      data: { retryAfterMs: 20 },
    })
  }

  #admitted(run: (leave: () => void) => void): void {
    const { admission } = this.#options
    admission.enter()
    let left = false
    const leave = (): void => {
      if (!left) admission.leave()
      left = true
    }
    try {
      run(leave)
    } catch (error) {
      leave()
      throw error
    }
  }
}
