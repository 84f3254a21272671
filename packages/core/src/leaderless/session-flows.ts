/**
 * Requests of sessions at their coordinator: the steps that others do not take (leaderless/session-call.ts says why).
 *
 * Before a write: what it is caused by is made to fit; and the coordinator's copy is made to show what the session has
 * seen of the row, by a read that repairs it, so that wherever the write is seen the session's earlier ones are too. Under
 * `lww` that is not needed: there the later stamp replaces them wherever they are (cells/lww.ts), and the write goes
 * through though they cannot be reached.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { contextCovers } from '../causality/context.ts'
import type { Cell } from '../cells/cell.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import { emptySession, mergeSessions } from '../sessions/session-state.ts'
import { openSession, sealSession } from '../sessions/session-token.ts'
import type { Respond } from '../wire/rpc.ts'
import type { LatencyTracker } from './latency-tracker.ts'
import type { NodeContext } from './node-context.ts'
import { ReadFlow } from './read-flow.ts'
import { SessionCall, type SessionRead } from './session-call.ts'

export class SessionFlows {
  readonly #node: NodeContext
  readonly #latency: LatencyTracker

  constructor(node: NodeContext, latency: LatencyTracker) {
    this.#node = node
    this.#latency = latency
  }

  /** Undefined without a session. Throws BAD_SESSION or NOT_READY: nothing has been done then. */
  open(bundle: Uint8Array | undefined, deadline: number): SessionCall | undefined {
    return bundle === undefined ? undefined : new SessionCall(this.#node, bundle, this.reads(deadline))
  }

  reads(deadline: number): SessionRead {
    return (view, key, needed, demand) =>
      new Promise((resolve, reject) =>
        new ReadFlow({
          context: this.#node,
          view,
          key,
          needed,
          hops: 0,
          deadline,
          latency: this.#latency,
          demand,
          onResult: (cell, receipt) => resolve({ cell, receipt }),
          onError: reject,
          onDone: () => {},
        }).start(),
      )
  }

  /** Answers, with the token of the session when there is one. */
  reply<Reply>(
    session: SessionCall | undefined,
    respond: Respond<Reply>,
    make: (token: Uint8Array | undefined) => Reply,
  ): void {
    if (session === undefined) return respond.ok(make(undefined))
    session.token().then(
      token => respond.ok(make(token)),
      (error: unknown) => respond.fail(error),
    )
  }

  /** Opens the session of a write, and does what must be done before it; what it rejects with was not applied. */
  async beforeWrite(
    view: TableView,
    key: ByteString,
    bundle: Uint8Array,
    deadline: number,
  ): Promise<SessionCall> {
    try {
      const session = new SessionCall(this.#node, bundle, this.reads(deadline))
      await session.fitCauses()
      if (view.rule.kind !== 'lww') await this.#fetch(session, view, key, deadline)
      return session
    } catch (error) {
      if (!isQuorateError(error) || error.outcome === 'not-applied') throw error
      const { code, message, data, attempts } = error
      throw new QuorateError(code, message, { data, attempts, cause: error })
    }
  }

  /** Makes this node's copy show what the session has seen of the row. */
  async #fetch(session: SessionCall, view: TableView, key: ByteString, deadline: number): Promise<void> {
    const seen = session.seenOf(key)
    if (contextCovers(this.#stored(key)?.context ?? [], seen)) return
    const { cell } = await this.reads(deadline)(view, key, 1, session.demand(view, key))
    if (contextCovers(this.#stored(key)?.context ?? [], cell?.context ?? [])) return
    const { self } = this.#node
    throw new QuorateError(
      'SESSION_NOT_REACHED',
      `${self} would coordinate the write, and its copy could not be brought to what this session has seen of the row`,
      { data: { node: self } },
    )
  }

  #stored(key: ByteString): Cell | undefined {
    const stored = this.#node.rows.read(key)
    return stored === undefined ? undefined : decodeCell(stored)
  }

  /** One token for what several parts of one request gave. */
  readonly joined = (bundles: readonly (Uint8Array | undefined)[]): Uint8Array | undefined => {
    const given = bundles.filter(bundle => bundle !== undefined)
    if (given.length === 0) return undefined
    const seal = this.#node.sealOfSessions()
    const states = given.map(bundle => openSession(bundle, seal))
    return sealSession(states.reduce(mergeSessions, emptySession), seal)
  }
}
