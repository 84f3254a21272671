/**
 * One request of a session at its coordinator: what its token demands of the rows it touches, and the token that its
 * reply carries (sessions/SPEC.md).
 *
 * A read must show what the session has seen of the row; of a table with settled rows it asks a quorum of homes, which
 * meets every write quorum. What is read is joined to what the session has seen, the causes of every value with it. A
 * write is caused by all that its session knows; when that is more than may be stored with a value, the oldest rows are
 * settled first, while nothing is written yet.
 *
 * To settle a row is to read it at the level of a settled table, from homes alone, with a repair that is waited for:
 * then a write quorum of homes has all that the session saw. So fallbacks do not matter, and sloppy tables are no
 * exception.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import { leaderlessOf } from '../catalog/table-descriptor.ts'
import { type Context, contextCovers } from '../causality/context.ts'
import type { Cell } from '../cells/cell.ts'
import { rowTable } from '../partitioning/row-key.ts'
import {
  causesOf,
  contextOf,
  excessRows,
  fits,
  isSettled,
  mergeSessions,
  type RowEntry,
  readSession,
  type SessionState,
  settle,
  withRow,
} from '../sessions/session-state.ts'
import { openSession, type SessionSeal, sealSession } from '../sessions/session-token.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import type { WireReceipt } from '../wire/messages.ts'
import type { NodeContext } from './node-context.ts'
import type { ReadDemand } from './read-demand.ts'

/** Room for further rows that settling leaves, so that not every request settles one. */
const LEFT_SHARE = 0.75
/** Rows settled at once. */
const AT_ONCE = 16

/** One read at this node, with all that a read flow does. */
export type SessionRead = (
  view: TableView,
  key: ByteString,
  needed: number,
  demand: ReadDemand,
) => Promise<{ readonly cell: Cell | undefined; readonly receipt: WireReceipt }>

/** Copies of a settled row that are sure, among `n` homes of a table with this `w`. */
export const settledCopies = (n: number, w: number): number => Math.max(Math.floor(n / 2) + 1, Math.min(w, n))

export class SessionCall {
  readonly #node: NodeContext
  readonly #seal: SessionSeal
  readonly #read: SessionRead
  /** Rows that this call found on as many homes as settling calls for. */
  readonly #firm = new Set<ByteString>()
  #state: SessionState

  /** Throws BAD_SESSION or NOT_READY. */
  constructor(node: NodeContext, bundle: Uint8Array, read: SessionRead) {
    this.#node = node
    this.#read = read
    this.#seal = node.sealOfSessions()
    this.#state = openSession(bundle, this.#seal)
  }

  get state(): SessionState {
    return this.#state
  }

  /** What the session has seen of a row. */
  seenOf(key: ByteString): Context {
    return contextOf(this.#state, key)
  }

  demand(view: TableView, key: ByteString): ReadDemand {
    const homesOnly = isSettled(this.#state, view.descriptor.id)
    return { context: this.seenOf(key), homesOnly, repairs: false }
  }

  /** How many homes must answer, when so many were asked for. */
  needed(view: TableView, key: ByteString, asked: number): number {
    if (!isSettled(this.#state, view.descriptor.id)) return asked
    const n = view.map.locate(key).replicas.length
    return Math.max(asked, n - settledCopies(n, leaderlessOf(view.descriptor).w) + 1)
  }

  /** Does this show all that the session has seen of the row? */
  isShownBy(key: ByteString, cell: Cell | undefined): boolean {
    return contextCovers(cell?.context ?? [], this.seenOf(key))
  }

  saw(key: ByteString, cell: Cell | undefined, isFirm = false): void {
    if (cell === undefined) return
    this.#state = withRow(this.#state, key, cell.context)
    if (isFirm) this.#firm.add(key)
    for (const { causes } of cell.values)
      if (causes !== undefined) this.#state = mergeSessions(this.#state, readSession(new ByteReader(causes)))
  }

  /** The same of a read that met what was demanded: what it does not show has been collected, and nobody will. */
  met(key: ByteString, cell: Cell | undefined): void {
    if (!this.isShownBy(key, cell))
      this.#state = { ...this.#state, rows: this.#state.rows.filter(row => row.key !== key) }
    this.saw(key, cell)
  }

  wrote(key: ByteString, context: Context): void {
    this.#state = withRow(this.#state, key, context)
  }

  join(other: SessionState): void {
    this.#state = mergeSessions(this.#state, other)
  }

  /** To be stored with a value that the session writes to this row. */
  causes(key: ByteString): Uint8Array | undefined {
    return causesOf(this.#state, key)
  }

  /** Settles what is too much to be stored with a value. Throws SESSION_FULL; nothing is written then. */
  fitCauses(): Promise<void> {
    return this.#fit(limits.causesMax, limits.causesBytesMax)
  }

  /** The token of the reply. Rejects with SESSION_FULL when it would not fit and cannot be made to. */
  async token(): Promise<Uint8Array> {
    await this.#fit(limits.sessionRowsMax, limits.sessionBytesMax)
    return this.tokenNow()
  }

  /** The same, for a call that has added one row to what fitted. */
  tokenNow(): Uint8Array {
    return sealSession(this.#state, this.#seal)
  }

  async #fit(rowsMax: number, bytesMax: number): Promise<void> {
    if (fits(this.#state, rowsMax, bytesMax)) return
    const rows = excessRows(this.#state, rowsMax * LEFT_SHARE, bytesMax * LEFT_SHARE)
    const open = rows.filter(({ key }) => !this.#firm.has(key))
    for (let at = 0; at < open.length; at += AT_ONCE)
      await Promise.all(open.slice(at, at + AT_ONCE).map(row => settleRow(this.#node, this.#read, row)))
    this.#state = settle(this.#state, rows)
    this.#node.counters.sessionRowsSettled += rows.length
    if (!fits(this.#state, rowsMax, bytesMax))
      throw new QuorateError('SESSION_FULL', 'the session has seen too many partitions with leaders')
  }
}

/** Makes sure that a write quorum of homes has what was seen of a row. Throws SESSION_FULL. */
export async function settleRow(
  node: NodeContext,
  read: SessionRead,
  { key, context }: RowEntry,
): Promise<void> {
  try {
    const view = node.catalog.view(rowTable(key))
    const n = view.map.locate(key).replicas.length
    const copies = settledCopies(n, leaderlessOf(view.descriptor).w)
    await read(view, key, copies, { context, homesOnly: true, repairs: true })
  } catch (error) {
    if (!isQuorateError(error)) throw error
    throw new QuorateError(
      'SESSION_FULL',
      `the session remembers more than fits, and what it saw of an older row cannot be made sure now: ${error.message}`,
      { data: { cause: error.code }, attempts: error.attempts, cause: error },
    )
  }
}
