/**
 * One replica of a partition that has a leader: takes entries from whoever leads, and carries out what is committed.
 *
 * Problem: entries come late, twice, from leaders that are none any more, and behind entries that this replica has
 * never seen or has others in the place of. Mechanism: entries are taken only from an epoch not older than the fence,
 * and only behind an entry that is here. What is here already is passed over; from the first that is another one the
 * log is cut, and never because a message is short: it may be an old one of the same leader. Rows change only by
 * committed entries, in the batch that says how far they have been carried out.
 *
 * A leader that acknowledged by itself (ack `none`) has carried out entries that no successor knows. When they are
 * cut, what each did is undone, last first, from what was kept when it was done; and they are handed to `onCut`, whose
 * records are written in the same batch: nothing is thrown away silently.
 *
 * Invariants: carried out <= committed <= last; rows are those of the entries up to `carriedOut`, in every batch; an
 * answer names a position only when everything up to it is durable, and the same as the leader's.
 * References: Raft (2014), §5.3, rules for followers; PacificA (2008); Kafka KIP-101.
 */

import { assert } from '../base/assert.ts'
import { u32ToString, u64ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { epochAt, type LogPoint, type LogShape } from './epoch-history.ts'
import { decodeBody, effectOf } from './log-body.ts'
import { type LogEntry, PartitionLog } from './partition-log.ts'

/** What a leader sends: entries behind `before`, and how far its log is committed. None: a heartbeat. */
export interface AppendRequest {
  readonly epoch: number
  readonly before: LogPoint
  readonly entries: readonly Omit<LogEntry, 'position'>[]
  readonly committed: number
}

export type AppendAnswer =
  /** Everything up to here is as the leader has it. */
  | { readonly kind: 'matched'; readonly position: number }
  /** `before` is not here: the leader finds where the logs part. */
  | { readonly kind: 'behind'; readonly shape: LogShape; readonly first: number }

/** What was on this replica alone, and whether it had been carried out here: acknowledged then, perhaps. */
export interface CutEntry extends LogEntry {
  readonly wasCarriedOut: boolean
}

export interface ReplicaOptions {
  readonly store: Store
  readonly table: TableId
  readonly partition: number
  /** Records to write with the cut of an entry, such as a ledger's. */
  readonly onCut: (entry: CutEntry) => readonly TableWrite[]
}

/** Bytes of bodies in one batch of what is carried out. */
const BATCH_BYTES = 256 * 1024

export class Replica {
  readonly log: PartitionLog
  readonly #options: ReplicaOptions
  readonly #place: string
  #carriedOut: number
  #committed: number

  constructor(options: ReplicaOptions) {
    const { store, table, partition } = options
    this.#options = options
    this.#place = u32ToString(table) + u32ToString(partition)
    this.log = new PartitionLog(store, table, partition)
    const stored = store.get(this.#carriedOutKey)
    if (stored === DAMAGED)
      throw new QuorateError(
        'STORE_DAMAGED',
        'it cannot be read how far the log of a partition was carried out',
      )
    this.#carriedOut = stored === undefined ? 0 : new ByteReader(stored).varint()
    this.#committed = this.#carriedOut
  }

  /** The last entry whose effect is in the rows. */
  get carriedOut(): number {
    return this.#carriedOut
  }

  get committed(): number {
    return this.#committed
  }

  row(key: ByteString): Uint8Array | undefined {
    const stored = this.#options.store.get(key)
    if (stored === DAMAGED)
      throw new QuorateError('DAMAGED_CELL', 'a row that an entry changes is damaged here')
    return stored
  }

  /** What a leader has sent. The answer is true when `position` of the store is durable. Throws FENCED. */
  append(request: AppendRequest): { readonly answer: AppendAnswer; readonly position: Position } {
    const { epoch, before, entries, committed } = request
    const { log } = this
    let position = log.raiseFence(epoch)
    if (epoch < log.fence)
      throw new QuorateError('FENCED', `epoch ${epoch} leads no more: ${log.fence} was promised to`, {
        data: { epoch, fence: log.fence },
      })
    if (!log.has(before)) return { answer: { kind: 'behind', shape: log.shape, first: log.first }, position }
    const known = this.#known(before.position, entries)
    const fresh = entries.slice(known)
    if (fresh.length > 0) {
      const from = before.position + known
      // What was trimmed cannot be undone any more: a snapshot takes its place.
      if (from < log.first - 1)
        return { answer: { kind: 'behind', shape: log.shape, first: log.first }, position }
      if (from < log.shape.last) this.#cut(from)
      position = log.append(epoch, log.end, fresh)
    }
    const matched = before.position + entries.length
    position = Math.max(position, this.commit(Math.min(committed, matched)))
    return { answer: { kind: 'matched', position: matched }, position }
  }

  /** How many of the entries are here already. */
  #known(behind: number, entries: AppendRequest['entries']): number {
    const { shape } = this.log
    let known = 0
    while (known < entries.length) {
      const at = behind + known + 1
      if (at > shape.last || epochAt(shape, at) !== entries[known]!.epoch) break
      known++
    }
    return known
  }

  /** Carries out what is committed up to here. The position to wait for before anyone is told. */
  commit(to: number): Position {
    assert(to <= this.log.shape.last, 'what is committed is here', { to, last: this.log.shape.last })
    let position: Position = 0
    while (this.#carriedOut < to)
      position = this.#carryOut(this.log.read(this.#carriedOut + 1, BATCH_BYTES), to)
    this.#committed = Math.max(this.#committed, to)
    return position
  }

  #carryOut(entries: readonly LogEntry[], to: number): Position {
    /** Rows as the entries of this batch leave them. */
    const now = new Map<ByteString, Uint8Array | undefined>()
    const rowAt = (key: ByteString): Uint8Array | undefined => (now.has(key) ? now.get(key) : this.row(key))
    const batch: TableWrite[] = []
    let last = this.#carriedOut
    for (const { position, body } of entries) {
      if (position > to) break
      const effects = effectOf(decodeBody(body), rowAt)
      if (effects.length > 0)
        batch.push({
          key: this.#undoKey(position),
          value: encodeUndo(effects.map(({ key }) => ({ key, value: rowAt(key) }))),
        })
      for (const { key, value } of effects) now.set(key, value)
      last = position
    }
    for (const [key, value] of now) batch.push({ key, value })
    batch.push(this.#carriedOutRecord(last))
    const position = this.#options.store.commit(batch)
    this.#carriedOut = last
    return position
  }

  /** Removes what is behind a position and undoes what was carried out of it. */
  #cut(to: number): void {
    const { store, onCut } = this.#options
    try {
      this.log.cut(to, entry => {
        const wasCarriedOut = entry.position <= this.#carriedOut
        const batch = [...onCut({ ...entry, wasCarriedOut })]
        if (!wasCarriedOut) return batch
        const key = this.#undoKey(entry.position)
        const undo = store.get(key)
        if (undo === DAMAGED)
          throw new QuorateError('STORE_DAMAGED', `what undoes entry ${entry.position} is damaged`)
        // Of several entries of one row the first one's, which comes last, is what stays.
        if (undo !== undefined) batch.push(...decodeUndo(undo), { key, value: undefined })
        batch.push(this.#carriedOutRecord(entry.position - 1))
        return batch
      })
    } finally {
      // Of batches that were taken: a full store may have refused the next one.
      this.#carriedOut = Math.min(this.#carriedOut, this.log.shape.last)
      this.#committed = Math.min(this.#committed, this.log.shape.last)
    }
  }

  /** Forgets entries that nobody reads any more, and what would undo them. */
  trim(upTo: number): Position {
    assert(upTo <= this.#carriedOut, 'only what was carried out', { upTo, carriedOut: this.#carriedOut })
    const batch: TableWrite[] = []
    for (let at = this.log.first; at <= upTo; at++) batch.push({ key: this.#undoKey(at), value: undefined })
    if (batch.length > 0) this.#options.store.commit(batch)
    return this.log.trim(upTo)
  }

  get #carriedOutKey(): ByteString {
    return `${keyspaces.undo}${this.#place}` as ByteString
  }

  #carriedOutRecord(position: number): TableWrite {
    const writer = new ByteWriter(16)
    writer.varint(position)
    return { key: this.#carriedOutKey, value: writer.take() }
  }

  #undoKey(position: number): ByteString {
    return `${keyspaces.undo}${this.#place}${u64ToString(position)}` as ByteString
  }
}

const EFFECTS_MAX = 16

function encodeUndo(rows: readonly TableWrite[]): Uint8Array {
  const writer = new ByteWriter(256)
  writer.varint(rows.length)
  for (const { key, value } of rows) {
    writer.byteString(key)
    writer.u8(value === undefined ? 0 : 1)
    if (value !== undefined) writer.bytes(value)
  }
  return writer.take()
}

function decodeUndo(bytes: Uint8Array): TableWrite[] {
  const reader = new ByteReader(bytes)
  const count = reader.count(EFFECTS_MAX)
  return Array.from({ length: count }, () => {
    const key = reader.byteString(2 * limits.keyBytesMax + 16)
    return { key, value: reader.u8() === 0 ? undefined : reader.bytes(limits.cellBytesMax) }
  })
}
