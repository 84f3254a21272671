/**
 * One write at its leader: judged on the row as the entries before have left it, ordered, answered when it is committed.
 *
 * A refused write may have been tried before, with a message that is still on its way and would be applied when it comes. So
 * its refusal is an entry of the log, too; a first try needs none.
 *
 * Invariants: an operation has one entry; a refusal that rests on entries still on their way is told when they are
 * committed, or never; what an update's calls answered is in the entry, unless the table wants otherwise.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { contextHas } from '../causality/context.ts'
import { emptyCell } from '../cells/cell.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import { decodeTokenOfRow, encodeContextToken } from '../cells/context-token.ts'
import { decodeDocument } from '../cells/document.ts'
import { seenOf } from '../cells/superseded.ts'
import type { ChangeInput } from '../leader/change-input.ts'
import {
  bodyOf,
  type Change,
  documentOf,
  execute,
  rowOf,
  type Statement,
  whyUnfrozen,
} from '../leader/log-body.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { type AckRule, copiesPromised, whyImpossible } from '../leadership/acknowledgement.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { RowEntry } from '../sessions/session-state.ts'
import { freezeUpdate } from '../updates/apply-update.ts'
import { holds } from '../updates/condition.ts'
import type { ChangeReply } from '../wire/led-messages.ts'
import type { WireReceipt } from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import { callSource } from './calls.ts'
import type { Leading } from './leading.ts'
import { LedSession } from './led-session.ts'
import type { Seat } from './seat.ts'

export interface OrderedWriteOptions {
  readonly node: NodeContext
  readonly view: TableView
  readonly partition: Partition
  readonly seat: Seat
  readonly leading: Leading
  readonly key: ByteString
  readonly input: ChangeInput
  readonly respond: Respond<ChangeReply>
  readonly deadline: number
  readonly onDone: () => void
  /** Makes sure that a write quorum of its homes has what was seen of a leaderless row. */
  readonly settle: (row: RowEntry, deadline: number) => Promise<void>
}

export function orderWrite(options: OrderedWriteOptions): void {
  new OrderedWrite(options).start()
}

class OrderedWrite {
  readonly #options: OrderedWriteOptions
  readonly #begunMs: number
  readonly #session: LedSession | undefined
  #settled: readonly RowEntry[] | undefined

  constructor(options: OrderedWriteOptions) {
    this.#options = options
    this.#begunMs = options.node.clock.monotonicMs()
    const { node, seat, input } = options
    this.#session = LedSession.open(node, seat.place, input.session)
    this.#session?.refuseRolledBack(seat.replica, options.leading.isServing)
    this.#session?.refuseFull()
  }

  /** Throws when nothing has been done. */
  start(): void {
    const { leading, key, input, node, view, partition } = this.#options
    node.hot.noteWrite(view.descriptor.id, partition.id, key, this.#begunMs)
    const rule = this.#stricterRule()
    const known = leading.ordering.find(input.operation)
    if (known !== undefined && !leading.ordering.isRefused(input.operation)) return this.#again(known, rule)
    const before = leading.ordering.cell(key)
    if (known !== undefined) return this.#refusedBefore(known, before)
    let statement: Statement
    let after: Uint8Array | undefined
    try {
      if (!this.#holds(before)) return this.#refuse(before)
      statement = this.#frozen(input.statement)
      after = execute(statement, documentOf(before), this.#options.seat.place.calls)
    } catch (error) {
      // What the row is like is part of the answer: it is told when it is so for certain, by who leads for certain.
      if (!(error instanceof QuorateError)) throw error
      return this.#settle(() => this.#fail(error))
    }
    const inherited = this.#inherited(before)
    const unsettled = this.#settled === undefined ? this.#session?.rowsToSettle(key, inherited) : undefined
    if (unsettled !== undefined && unsettled.length > 0) return this.#settleFirst(unsettled)
    const causes = this.#causes(inherited)
    const stamp = node.hybrid.mint()
    const change: Change = {
      operation: input.operation,
      actor: node.store.incarnation,
      stamp,
      key,
      statement,
      causes,
    }
    const { log } = this.#options.seat.place.settings
    const body = bodyOf(log, change, documentOf(before), after)
    const position: number = leading.order(body, {
      deadline: this.#options.deadline,
      rule,
      done: () => this.#applied(position, false),
      failed: error => this.#fail(error),
    })
  }

  /** The entry is there: whatever keeps it from being answered, it is not that nothing was done. */
  #again(known: number, rule: AckRule | undefined): void {
    try {
      this.#await(known, rule, () => this.#applied(known, true))
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      const { code, message, data } = error
      throw new QuorateError(code, message, { data, outcome: 'unknown' })
    }
  }

  /** More copies than the table asks for; fewer are never taken: others rely on the table's promise. */
  #stricterRule(): AckRule | undefined {
    const { input, leading, seat } = this.#options
    if (input.ack === undefined || input.ack === seat.place.settings.ack) return undefined
    const rule = { ...leading.rule, ack: input.ack }
    const why = whyImpossible(rule)
    if (why !== undefined) throw new QuorateError('BAD_REQUEST', `ack: ${why}`, { data: { field: 'ack' } })
    if (copiesPromised(rule) < copiesPromised(leading.rule))
      throw new QuorateError(
        'BAD_REQUEST',
        `ack: "${input.ack}" is fewer copies than the table's "${seat.place.settings.ack}", which elections rely on; a request may ask for more`,
        { data: { field: 'ack' } },
      )
    return rule
  }

  /** Where the row is made of what it was, what that was caused by. */
  #inherited(before: Uint8Array | undefined): Uint8Array | undefined {
    const { statement, condition, context } = this.#options.input
    const isMadeOfIt = 'update' in statement || condition !== undefined || context !== undefined
    return before === undefined || !isMadeOfIt ? undefined : decodeCell(before).values[0]?.causes
  }

  /** That, and what its session knows. */
  #causes(inherited: Uint8Array | undefined): Uint8Array | undefined {
    if (this.#session === undefined) return inherited
    return this.#session.causes(this.#options.key, inherited, this.#settled ?? [])
  }

  /** Then anew, with the row as it is then. Nothing has been done so far. */
  #settleFirst(rows: readonly RowEntry[]): void {
    const { settle, deadline, node } = this.#options
    Promise.all(rows.map(row => settle(row, deadline)))
      .then(() => {
        this.#settled = rows
        node.counters.sessionRowsSettled += rows.length
        this.start()
      })
      .catch((error: unknown) => {
        if (!(error instanceof QuorateError)) throw error
        const { code, message, data, attempts } = error
        this.#fail(new QuorateError(code, message, { data, attempts, cause: error }))
      })
  }

  #holds(before: Uint8Array | undefined): boolean {
    const { condition, context } = this.#options.input
    if (context !== undefined && !this.#isAsRead(before, context)) return false
    if (condition === undefined) return true
    const document = documentOf(before)
    return holds(condition, document === undefined ? undefined : rowOf(decodeDocument(document)))
  }

  /** Is the row the one that the token was read from? No row, and nothing seen, is that, too. */
  #isAsRead(before: Uint8Array | undefined, context: Uint8Array): boolean {
    const seen = decodeTokenOfRow(context, this.#options.key).context
    const value = before === undefined ? undefined : decodeCell(before).values[0]
    if (value === undefined) return seen.length === 0
    return contextHas(seen, value.actor, value.stamp)
  }

  #frozen(statement: Statement): Statement {
    if (!('update' in statement)) return statement
    const { seat, leading, node } = this.#options
    const { freeze } = seat.place.settings
    const why = freeze === true ? undefined : whyUnfrozen(statement)
    if (freeze === 'refuse' && why !== undefined)
      throw new QuorateError('BAD_REQUEST', `the table ships statements and refuses calls: ${why}`, {
        data: { field: 'update' },
      })
    if (freeze !== true) return statement
    return {
      update: freezeUpdate(
        statement.update,
        callSource(node, leading.epoch, () => leading.nextId()),
      ),
    }
  }

  #refuse(before: Uint8Array | undefined): void {
    this.#settle(position => this.#answer(position, false, false, () => before, documentOf(before)))
  }

  /** Its refusal is in the log: it stays refused when that is committed, also where its condition holds by now. */
  #refusedBefore(known: number, before: Uint8Array | undefined): void {
    const { condition, context } = this.#options.input
    const answer = (position: number): void => {
      if (condition !== undefined || context !== undefined)
        return this.#answer(position, false, false, () => before, documentOf(before))
      this.#fail(new QuorateError('BAD_REQUEST', 'the write was refused when it was tried before'))
    }
    const position = Math.max(known, this.#settledAt())
    this.#await(position, undefined, () => answer(position))
  }

  /** Tells that nothing is done, when that is so for certain and stays so. */
  #settle(tell: (position: number) => void): void {
    const { leading, input, node } = this.#options
    if (!input.again) {
      const position = this.#settledAt()
      return this.#await(position, undefined, () => tell(position))
    }
    const body = { kind: 'refused' as const, operation: input.operation, stamp: node.hybrid.mint() }
    const position: number = leading.order(body, {
      deadline: this.#options.deadline,
      done: () => tell(position),
      failed: error => this.#fail(error),
    })
  }

  /** The row is as it was judged when this is committed, and no older than what is carried out already. */
  #settledAt(): number {
    const { leading, key, seat } = this.#options
    return Math.max(leading.ordering.positionOf(key), leading.epochFrom, seat.replica.carriedOut)
  }

  #await(position: number, rule: AckRule | undefined, done: () => void): void {
    const failed = (error: QuorateError): void => this.#fail(error)
    this.#options.leading.afterCommit({ position, deadline: this.#options.deadline, rule, done, failed })
  }

  #applied(position: number, repeated: boolean): void {
    const { seat, key } = this.#options
    // The row may have been changed again since; what is told is a token of it as it is.
    this.#answer(position, true, repeated, () => seat.replica.cell(key), undefined)
  }

  #answer(
    position: number,
    applied: boolean,
    repeated: boolean,
    cellOf: () => Uint8Array | undefined,
    current: Uint8Array | undefined,
  ): void {
    const { node, respond, onDone } = this.#options
    if (applied) node.counters.writes++
    node.latency.record(node.clock.monotonicMs() - this.#begunMs)
    let reply: ChangeReply
    try {
      reply = this.#reply(position, applied, repeated, cellOf(), current)
    } catch (error) {
      // Others wait behind this one: what keeps it from being answered is its own affair.
      if (!(error instanceof QuorateError)) throw error
      return this.#fail(applied ? this.#unanswered(position, error) : error)
    }
    respond.ok(reply)
    onDone()
  }

  #unanswered(position: number, { code, message, data }: QuorateError): QuorateError {
    const text = `the write is done, as entry ${position}, and cannot be answered: ${message}`
    return new QuorateError(code, text, { data, outcome: 'unknown' })
  }

  #reply(
    position: number,
    applied: boolean,
    repeated: boolean,
    cell: Uint8Array | undefined,
    current: Uint8Array | undefined,
  ): ChangeReply {
    const context = encodeContextToken(
      seenOf(cell === undefined ? emptyCell : decodeCell(cell)),
      this.#options.key,
    )
    this.#session?.saw(this.#options.leading.epochOf(position), position, applied ? [] : [cell])
    const session = this.#session?.token()
    return { receipt: this.#receipt(position), context, repeated, applied, current, session }
  }

  #receipt(position: number): WireReceipt {
    const { leading, partition, node, input } = this.#options
    const homes = partition.replicas.filter(home => leading.replication.matchedOf(home) >= position)
    return ledReceipt(node.self, partition, input.hops, homes, copiesPromised(leading.rule), {
      leader: node.self,
      epoch: leading.epoch,
      position,
      byLeader: true,
      staleMs: 0,
      unclean: partition.lead?.unclean ?? 0,
    })
  }

  #fail(error: QuorateError): void {
    this.#options.respond.fail(error)
    this.#options.onDone()
  }
}

export function ledReceipt(
  coordinator: NodeId,
  partition: Partition,
  hops: number,
  homes: readonly NodeId[],
  needed: number,
  log: NonNullable<WireReceipt['log']>,
): WireReceipt {
  return {
    coordinator,
    mapVersion: partition.version,
    needed,
    replicas: partition.replicas.length,
    homes,
    fallbacks: [],
    hinted: [],
    repaired: [],
    forwarded: hops > 0,
    via: [],
    hedged: false,
    log,
  }
}
