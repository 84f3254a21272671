/**
 * Requests of clients about tables whose rows are agreed on: any node proposes, whether it is a home of the row or not.
 *
 * A range is read at quorums. Rows that all replicas asked show alike were chosen; of the others each is read by itself.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { leaderlessOf } from '../catalog/table-descriptor.ts'
import type { ChangeInput } from '../leader/change-input.ts'
import type { Admission } from '../leaderless/admission.ts'
import { LatencyTracker } from '../leaderless/latency-tracker.ts'
import type { LedRequests } from '../leaderless/led-requests.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { guarded, type Routed } from '../leaderless/partition-doors.ts'
import { replyOfPage, runRange } from '../leaderless/range-flow.ts'
import { SessionFlows } from '../leaderless/session-flows.ts'
import { localCalls } from '../led/calls.ts'
import { majorityOf } from '../quorum/quorum-tally.ts'
import type { ChangeReply } from '../wire/led-messages.ts'
import type {
  Message,
  RangeReply,
  RangeRequest,
  ReadReply,
  ReadRequest,
  WireReceipt,
} from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import { carriedOut, contextOfRow, documentIn, isApplied, mayApply, withValue } from './row-change.ts'
import { type Agreed, RowProposer } from './row-proposer.ts'
import { RowSettler } from './row-settler.ts'

export class ConsensusTables implements LedRequests {
  readonly #node: NodeContext
  readonly #admission: Admission
  readonly #proposer: RowProposer
  readonly #sessions: SessionFlows
  readonly #latency = new LatencyTracker()
  readonly settler: RowSettler

  constructor(node: NodeContext, admission: Admission) {
    this.#node = node
    this.#admission = admission
    this.#proposer = new RowProposer(node)
    this.settler = new RowSettler(node, this.#proposer)
    this.#sessions = new SessionFlows(node, this.#latency)
  }

  change<Request extends { readonly hops: number }, Reply extends { receipt: WireReceipt }>(
    _message: Message<Request, Reply>,
    _request: Request,
    { view }: Routed,
    key: ByteString,
    input: ChangeInput,
    reply: (of: ChangeReply) => Reply,
    respond: Respond<Reply>,
    deadline: number,
  ): void {
    if (input.ack !== undefined)
      throw new QuorateError(
        'BAD_REQUEST',
        `ack: more than half of the homes agree on each write of "${view.descriptor.name}"`,
        {
          data: { field: 'ack' },
        },
      )
    this.#serve(respond, async () => {
      const session = this.#sessions.joined([input.session])
      let [applied, repeated] = [true, false]
      let isOwn = false
      let current: Uint8Array | undefined
      const agreed = await this.#proposer.change(
        view,
        key,
        (row, ballot) => {
          // Of this round alone: an earlier one may have found the row otherwise.
          ;[applied, repeated, current] = [true, false, undefined]
          if (isApplied(row, input.operation)) {
            // By an earlier ballot of this very try, perhaps.
            repeated = !isOwn
            return undefined
          }
          applied = mayApply(row, input, key)
          if (!applied) {
            current = documentIn(row)
            return undefined
          }
          const value = carriedOut(row, input.statement, this.#calls())
          isOwn = true
          return withValue(row, input.operation, value, ballot)
        },
        deadline,
      )
      this.#node.counters.writes++
      const { cell } = agreed
      const receipt = this.#receipt(view, agreed, input.hops)
      return reply({ receipt, context: contextOfRow(cell, key), repeated, applied, current, session })
    })
  }

  /** There is nobody who gives out ascending numbers. */
  #calls() {
    return {
      ...localCalls(this.#node),
      id: (): never => {
        throw new QuorateError(
          'BAD_REQUEST',
          'id() is given out by a leader, and this table has none: use uuid()',
        )
      },
    }
  }

  read(
    { view }: Routed,
    key: ByteString,
    request: ReadRequest,
    respond: Respond<ReadReply>,
    deadline: number,
  ): void {
    this.#serve(respond, async () => {
      const session = this.#sessions.joined([request.session])
      const agreed = await this.#proposer.read(view, key, deadline)
      this.#node.counters.reads++
      const { cell } = agreed
      const receipt = this.#receipt(view, agreed, request.hops)
      return { receipt, values: view.rule.read(cell), context: contextOfRow(cell, key), session }
    })
  }

  range(
    { view, partition }: Routed,
    request: RangeRequest,
    respond: Respond<RangeReply>,
    deadline: number,
  ): void {
    this.#serve(respond, async () => {
      const session = this.#sessions.joined([request.session])
      const needed = leaderlessOf(view.descriptor).r
      const options = {
        context: this.#node,
        view,
        partition,
        request,
        needed,
        deadline,
        latency: this.#latency,
      }
      const page = await runRange(options)
      const rows = await Promise.all(
        page.rows.map(async row =>
          row.stale.length === 0
            ? row
            : { ...row, cell: (await this.#proposer.read(view, row.key, deadline)).cell },
        ),
      )
      return replyOfPage(options, { ...page, rows }, session)
    })
  }

  #serve<Reply>(respond: Respond<Reply>, work: () => Promise<Reply>): void {
    this.#admission.enter()
    work()
      .then(
        reply => guarded(respond, () => respond.ok(reply)),
        (error: unknown) => {
          respond.fail(error)
          if (!isQuorateError(error)) throw error
        },
      )
      .finally(() => this.#admission.leave())
  }

  #receipt({ descriptor }: TableView, { homes, partition }: Agreed, hops: number): WireReceipt {
    return {
      coordinator: this.#node.self,
      mapVersion: partition.version,
      needed: majorityOf(descriptor.replication.n),
      replicas: partition.replicas.length,
      homes: homes.filter(home => partition.replicas.includes(home)),
      fallbacks: [],
      hinted: [],
      repaired: [],
      forwarded: hops > 0,
      via: [],
      hedged: false,
      log: undefined,
    }
  }
}
