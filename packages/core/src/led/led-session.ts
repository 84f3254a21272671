/**
 * A session at a partition with a leader: what its token demands of the log here, and the token that the reply carries.
 *
 * The session has seen an entry, by epoch and position. A replica shows it when it has carried out that very entry. One
 * that has another epoch's entry in its place, a newer one's, says that the log was rolled back: by an unclean election,
 * and never otherwise. A replica that is merely behind is waited for, or its leader is asked.
 *
 * Writes carry what their session knows, so that whoever reads the row knows it, too (sessions/SPEC.md).
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { contextCovers } from '../causality/context.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import type { Replica } from '../leader/replica.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { epochAt } from '../leadership/epoch-history.ts'
import {
  causesOf,
  excessRows,
  fits,
  ledEntryOf,
  mergeSessions,
  type RowEntry,
  readSession,
  type SessionState,
  settle,
  withLed,
} from '../sessions/session-state.ts'
import { openSession, type SessionSeal, sealSession } from '../sessions/session-token.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import type { Place } from './place.ts'

/** Room for further rows that settling leaves, so that not every write settles one. */
const LEFT_SHARE = 0.75

export class LedSession {
  readonly #seal: SessionSeal
  readonly #place: Place
  #state: SessionState

  /** Throws BAD_SESSION or NOT_READY. */
  static open(node: NodeContext, place: Place, token: Uint8Array | undefined): LedSession | undefined {
    if (token === undefined) return undefined
    const seal = node.sealOfSessions()
    return new LedSession(seal, place, openSession(token, seal))
  }

  private constructor(seal: SessionSeal, place: Place, state: SessionState) {
    this.#seal = seal
    this.#place = place
    this.#state = state
  }

  /** Has this replica carried out what the session has seen? Throws SESSION_ROLLED_BACK. */
  isShownBy({ log, carriedOut }: Replica): boolean {
    const seen = ledEntryOf(this.#state, this.#place.table, this.#place.partition)
    if (seen === undefined) return true
    if (seen.position > log.shape.last) return false
    const epoch = epochAt(log.shape, seen.position)
    if (epoch > seen.epoch) throw this.#rolledBack(epoch)
    return epoch === seen.epoch && carriedOut >= seen.position
  }

  /**
   * The log of a leader that may answer readers has all that was ever committed: what is not in it has been rolled back.
   * Another one's may lack it because the leader is somebody else.
   */
  refuseRolledBack({ log }: Replica, isServing: boolean): void {
    const seen = ledEntryOf(this.#state, this.#place.table, this.#place.partition)
    if (seen === undefined) return
    const epoch = seen.position > log.shape.last ? 0 : epochAt(log.shape, seen.position)
    if (epoch === seen.epoch) return
    if (isServing) throw this.#rolledBack(epoch)
    throw new QuorateError(
      'NOT_LEADER',
      'the session has seen an entry that this leader does not have: another may lead by now',
      { data: { retryAfterMs: 20 } },
    )
  }

  #rolledBack(epoch: number): QuorateError {
    const { table, partition } = this.#place
    const seen = ledEntryOf(this.#state, table, partition)!
    const now = epoch === 0 ? 'the log ends before it' : `epoch ${epoch} has another entry in its place`
    return new QuorateError(
      'SESSION_ROLLED_BACK',
      `the session has seen entry ${seen.epoch}/${seen.position} of partition ${partition}, which an unclean election has given up (${now}); what was lost is in the ledger, and a new session begins without it`,
      { data: { table, partition, epoch: seen.epoch, position: seen.position } },
    )
  }

  /** What was read or written rests on this entry; `cell`: with whatever its writer knew. */
  saw(epoch: number, position: number, cells: readonly (Uint8Array | undefined)[]): void {
    const { table, partition } = this.#place
    if (position > 0) this.#state = withLed(this.#state, { table, partition, epoch, position })
    for (const cell of cells) {
      if (cell === undefined) continue
      for (const { causes } of decodeCell(cell).values)
        if (causes !== undefined)
          this.#state = mergeSessions(this.#state, readSession(new ByteReader(causes)))
    }
  }

  /** A write's answer names its entry in the token: that there is room for it must be known before it is ordered. */
  refuseFull(): void {
    const { table, partition } = this.#place
    const isNew = ledEntryOf(this.#state, table, partition) === undefined
    if (this.#state.led.length + (isNew ? 1 : 0) > limits.sessionLedMax)
      throw new QuorateError(
        'SESSION_FULL',
        `the session knows of ${this.#state.led.length} partitions with leaders, and ${limits.sessionLedMax} fit into its token; a new session for this work knows less`,
      )
  }

  /** Rows to settle before a write of this row can be stored with what it is caused by; see `causes`. */
  rowsToSettle(key: ByteString, inherited: Uint8Array | undefined): readonly RowEntry[] {
    const state = this.#causing(key, inherited)
    const { causesMax, causesBytesMax } = limits
    if (fits(state, causesMax, causesBytesMax)) return []
    return excessRows(state, causesMax * LEFT_SHARE, causesBytesMax * LEFT_SHARE)
  }

  /** What a write of this row is caused by; `inherited`: causes of the row that it is made of; `settled`: rows that are. */
  causes(
    key: ByteString,
    inherited: Uint8Array | undefined,
    settled: readonly RowEntry[],
  ): Uint8Array | undefined {
    const state = this.#causing(key, inherited)
    const isSettled = (row: RowEntry): boolean =>
      settled.some(one => one.key === row.key && contextCovers(one.context, row.context))
    const causes = causesOf(settle(state, state.rows.filter(isSettled)), key)
    if (causes === undefined || causes.length <= limits.causesBytesMax) return causes
    throw new QuorateError(
      'SESSION_FULL',
      `the session, and the row that the write is made of, know of ${state.led.length} partitions with leaders, more than fits into ${limits.causesBytesMax} bytes beside a row; a new session for this work knows less`,
    )
  }

  #causing(key: ByteString, inherited: Uint8Array | undefined): SessionState {
    const own = { ...this.#state, rows: this.#state.rows.filter(row => row.key !== key) }
    return inherited === undefined ? own : mergeSessions(own, readSession(new ByteReader(inherited)))
  }

  token(): Uint8Array {
    return sealSession(this.#state, this.#seal)
  }
}
