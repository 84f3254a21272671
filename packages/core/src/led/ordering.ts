/**
 * The rows of a partition as its leader has ordered them: what is carried out, and on top what is on its way.
 *
 * Problem: conditions and updates must see the writes before them, which are ordered but not committed yet; readers
 * must not. Mechanism: rows change in the store when entries are committed; here stands what entries behind that will
 * make of them, and which operations the log has, so that a retry is found. It is built from the log when a leader
 * begins, and is gone when it ends.
 *
 * Invariants: for each row the effect of the last entry that is not carried out, and nothing else; what is answered
 * from here is told only when the entry that it rests on is committed (`positionOf`).
 */

import type { ByteString, OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { decodeBody, documentOf, effectOf, type LogBody } from '../leader/log-body.ts'
import type { Replica } from '../leader/replica.ts'
import type { CallSource } from '../updates/apply-update.ts'

interface Ordered {
  readonly cell: Uint8Array | undefined
  readonly position: number
}

export class Ordering {
  readonly #replica: Replica
  readonly #calls: CallSource | undefined
  /** By the position of the entry, ascending. */
  readonly #rows = new Map<ByteString, Ordered>()
  readonly #operations = new Map<OperationId, number>()
  readonly #refused = new Set<OperationId>()

  constructor(replica: Replica, calls: CallSource | undefined) {
    this.#replica = replica
    this.#calls = calls
    const { log, carriedOut } = replica
    const from = Math.max(log.first, Math.min(carriedOut + 1, log.shape.last - limits.logOperationsMax + 1))
    for (let at = from; at <= log.shape.last; at++) {
      const body = decodeBody(log.entry(at).body)
      if (at > carriedOut) this.#take(at, body)
      else this.#remember(body, at)
    }
  }

  /** An entry that the leader has just added. */
  ordered(position: number, body: LogBody): void {
    this.#take(position, body)
    // What is carried out has reached the store; the first ones here are the oldest.
    for (const [key, { position: at }] of this.#rows) {
      if (at > this.#replica.carriedOut) break
      this.#rows.delete(key)
    }
  }

  #take(position: number, body: LogBody): void {
    const rowAt = (key: ByteString): Uint8Array | undefined => documentOf(this.cell(key))
    for (const { key, cell } of effectOf(body, rowAt, this.#calls)) {
      // To the end of the map, which stands in the order of positions.
      this.#rows.delete(key)
      this.#rows.set(key, { cell, position })
    }
    this.#remember(body, position)
  }

  #remember(body: LogBody, position: number): void {
    if (body.kind === 'epoch') return
    this.#operations.set(body.operation, position)
    if (body.kind === 'refused') this.#refused.add(body.operation)
    if (this.#operations.size <= limits.logOperationsMax) return
    for (const oldest of this.#operations.keys()) {
      this.#operations.delete(oldest)
      this.#refused.delete(oldest)
      return
    }
  }

  /** The row as the next entry will find it, as stored. Throws DAMAGED_CELL. */
  cell(key: ByteString): Uint8Array | undefined {
    const ordered = this.#rows.get(key)
    return ordered !== undefined && ordered.position > this.#replica.carriedOut
      ? ordered.cell
      : this.#replica.cell(key)
  }

  /** The entry that made the row what `cell` says; 0: it has been carried out. */
  positionOf(key: ByteString): number {
    const position = this.#rows.get(key)?.position ?? 0
    return position > this.#replica.carriedOut ? position : 0
  }

  /** The entry of an operation, if the log has it. */
  find(operation: OperationId): number | undefined {
    return this.#operations.get(operation)
  }

  /** Does the log say of it that it is not applied, whatever holds now? */
  isRefused(operation: OperationId): boolean {
    return this.#refused.has(operation)
  }
}
