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
 * A replica that is too far behind is filled anew: its rows go, those of another come page by page while that one's
 * rows change on, and the entries since the first page follow. An entry whose row came in a later state is passed over
 * by its stamp; until the last page's state is reached (`wholeFrom`) rows are of no one moment, and nobody is answered.
 * When a newer epoch writes other entries before that, rows may have come in states that were given up: it is filled again.
 *
 * Invariants: carried out <= committed <= last; rows are those of the entries up to `carriedOut`, in every batch; an
 * answer names a position only when everything up to it is durable, and the same as the leader's.
 * References: Raft (2014), §5.3, rules for followers; PacificA (2008); Kafka KIP-101.
 */

import { assert } from '../base/assert.ts'
import { u32ToString, u64ToString } from '../base/bytes.ts'
import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import { epochAt, type LogPoint, type LogShape } from '../leadership/epoch-history.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'
import type { CallSource } from '../updates/apply-update.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { decodeBody, documentOf, effectOf, type LogBody, type RowEffect } from './log-body.ts'
import { type LogEntry, PartitionLog } from './partition-log.ts'
import { decodeProgress, encodeProgress, type Progress } from './replica-progress.ts'

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

/** A row that is another one now, as stored; undefined: none. */
export interface RowChange {
  readonly key: ByteString
  readonly before: Uint8Array | undefined
  readonly after: Uint8Array | undefined
}

export interface ReplicaOptions {
  readonly store: Store
  readonly table: TableId
  readonly partition: number
  /** Records to write with the cut of an entry, such as a ledger's. */
  readonly onCut: (entry: CutEntry) => readonly TableWrite[]
  /** A row was found damaged. */
  readonly onDamaged?: (key: ByteString) => void
  /** Told in the turn in which the store shows other rows. */
  readonly onRows?: (changes: readonly RowChange[]) => void
  /** What calls answer here that a table wants shipped unfrozen. */
  readonly calls?: CallSource
}

/** Bytes of bodies in one batch of what is carried out. */
const BATCH_BYTES = 256 * 1024
/** Rows in one batch of those that go. */
const ROWS_PER_BATCH = 500
/** No position is so high: of a log whose rows cannot be undone, since they are of no one moment. */
const NOWHERE = Number.MAX_SAFE_INTEGER

export class Replica {
  readonly log: PartitionLog
  readonly #options: ReplicaOptions
  readonly #place: string
  #progress: Progress
  #committed: number

  constructor(options: ReplicaOptions) {
    const { store, table, partition } = options
    this.#options = options
    this.#place = u32ToString(table) + u32ToString(partition)
    this.log = new PartitionLog(store, table, partition)
    const stored = store.get(this.#progressKey)
    if (stored === DAMAGED)
      throw new QuorateError(
        'STORE_DAMAGED',
        'it cannot be read how far the log of a partition was carried out',
      )
    this.#progress = decodeProgress(stored)
    this.#committed = this.#progress.carriedOut
  }

  /** The last entry whose effect is in the rows. */
  get carriedOut(): number {
    return this.#progress.carriedOut
  }

  get committed(): number {
    return this.#committed
  }

  /** Is it being filled: are its rows of no one moment, and its log not what it once told others? */
  get isLoading(): boolean {
    return this.#progress.isLoading
  }

  /** Are the rows those of the entries up to `carriedOut`? */
  get isWhole(): boolean {
    const { isLoading, carriedOut, wholeFrom } = this.#progress
    return !isLoading && carriedOut >= wholeFrom
  }

  /** The document in a row, as of what has been carried out. */
  row(key: ByteString): Uint8Array | undefined {
    return documentOf(this.cell(key))
  }

  /** A row as stored, as of what has been carried out. Throws DAMAGED_CELL. */
  cell(key: ByteString): Uint8Array | undefined {
    const stored = this.#options.store.get(key)
    if (stored !== DAMAGED) return stored
    this.#options.onDamaged?.(key)
    throw new QuorateError('DAMAGED_CELL', 'a row that an entry changes is damaged here')
  }

  /** As stored, where that can be told. */
  #wholeCell(key: ByteString): Uint8Array | undefined {
    const stored = this.#options.store.get(key)
    return stored === DAMAGED ? undefined : stored
  }

  /** What a leader has sent. The answer is true when `position` of the store is durable. Throws FENCED. */
  append(request: AppendRequest): { readonly answer: AppendAnswer; readonly position: Position } {
    const { epoch, before, entries, committed } = request
    const { log } = this
    const { store } = this.#options
    let position = log.raiseFence(epoch)
    if (epoch < log.fence)
      throw new QuorateError('FENCED', `epoch ${epoch} leads no more: ${log.fence} was promised to`, {
        data: { epoch, fence: log.fence },
      })
    if (this.isLoading || !log.has(before)) return { answer: this.#behind(), position }
    const known = this.#known(before.position, entries)
    const fresh = entries.slice(known)
    if (fresh.length > 0) {
      const from = before.position + known
      // What was trimmed, or carried out on rows of no one moment, cannot be undone any more: it is filled anew.
      if (from < log.shape.last && from < this.#undoFrom) return { answer: this.#behind(), position }
      if (from < log.shape.last) this.#cut(from)
      position = log.append(epoch, log.end, fresh)
      if (this.#isOvertaken()) {
        this.giveUpRows()
        return { answer: this.#behind(), position: store.handed }
      }
    }
    const matched = before.position + entries.length
    position = Math.max(position, this.commit(Math.min(committed, matched)))
    return { answer: { kind: 'matched', position: matched }, position }
  }

  /** What calls answer here, of a table that ships them. */
  get calls(): CallSource | undefined {
    return this.#options.calls
  }

  /** Its rows cannot be trusted any more: it waits to be filled anew. */
  giveUpRows(): void {
    const progress = { ...this.#progress, isLoading: true }
    this.#options.store.commit([this.#record(progress)])
    this.#progress = progress
  }

  /** Does the log go on otherwise than that of whom it was filled from, before it has come to where that one was? */
  #isOvertaken(): boolean {
    const { wholeFrom, wholeEpoch } = this.#progress
    return this.log.shape.epochs.some(({ epoch, from }) => epoch > wholeEpoch && from <= wholeFrom)
  }

  #behind(): AppendAnswer {
    const { shape, first } = this.log
    if (this.isLoading) return { kind: 'behind', shape, first: NOWHERE }
    return { kind: 'behind', shape, first: Math.max(first, this.#undoFrom + 1) }
  }

  /** Entries behind this one can be undone. */
  get #undoFrom(): number {
    return Math.max(this.log.first - 1, this.#progress.wholeFrom)
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
    while (this.carriedOut < to)
      position = this.#carryOut(this.log.read(this.carriedOut + 1, BATCH_BYTES), to)
    this.#committed = Math.max(this.#committed, to)
    return position
  }

  #carryOut(entries: readonly LogEntry[], to: number): Position {
    /** Rows as they were, and as the entries of this batch leave them. */
    const before = new Map<ByteString, Uint8Array | undefined>()
    const now = new Map<ByteString, Uint8Array | undefined>()
    const cellAt = (key: ByteString): Uint8Array | undefined => {
      if (now.has(key)) return now.get(key)
      const cell = this.cell(key)
      before.set(key, cell)
      return cell
    }
    const batch: TableWrite[] = []
    let last = this.carriedOut
    for (const { position, body } of entries) {
      if (position > to) break
      const effects = this.#effects(decodeBody(body), position, cellAt)
      if (effects.length > 0)
        batch.push({
          key: this.#undoKey(position),
          value: encodeUndo(effects.map(({ key }) => ({ key, value: cellAt(key) }))),
        })
      for (const { key, cell } of effects) now.set(key, cell)
      last = position
    }
    for (const [key, value] of now) batch.push({ key, value })
    const progress = { ...this.#progress, carriedOut: last }
    batch.push(this.#record(progress))
    const position = this.#options.store.commit(batch)
    this.#progress = progress
    this.#options.onRows?.([...now].map(([key, after]) => ({ key, before: before.get(key), after })))
    return position
  }

  #effects(
    body: LogBody,
    position: number,
    cellAt: (key: ByteString) => Uint8Array | undefined,
  ): readonly RowEffect[] {
    const rowAt = (key: ByteString): Uint8Array | undefined => documentOf(cellAt(key))
    const { calls } = this.#options
    if (position > this.#progress.wholeFrom) return effectOf(body, rowAt, calls)
    // The row may have come in a state in which the entry is in it already, or one that it was never meant for.
    try {
      return effectOf(body, rowAt, calls).filter(({ key }) => !isLater(cellAt(key), body))
    } catch (error) {
      if (!isQuorateError(error) || error.code !== 'BAD_REQUEST') throw error
      return []
    }
  }

  /** Removes what is behind a position and undoes what was carried out of it. */
  #cut(to: number): void {
    const { store, onCut, onRows } = this.#options
    const changes = new Map<ByteString, RowChange>()
    try {
      this.log.cut(to, entry => {
        const wasCarriedOut = entry.position <= this.carriedOut
        const batch = [...onCut({ ...entry, wasCarriedOut })]
        if (!wasCarriedOut) return batch
        const key = this.#undoKey(entry.position)
        const undo = store.get(key)
        if (undo === DAMAGED)
          throw new QuorateError('STORE_DAMAGED', `what undoes entry ${entry.position} is damaged`)
        // Of several entries of one row the first one's, which comes last, is what stays.
        if (undo !== undefined) {
          const rows = decodeUndo(undo)
          for (const { key: row, value: after } of rows) {
            const known = changes.get(row)
            changes.set(row, {
              key: row,
              before: known === undefined ? this.#wholeCell(row) : known.before,
              after,
            })
          }
          batch.push(...rows, { key, value: undefined })
        }
        batch.push(this.#record({ ...this.#progress, carriedOut: entry.position - 1 }))
        return batch
      })
    } finally {
      // Of batches that were taken: a full store may have refused the next one.
      const { last } = this.log.shape
      this.#progress = { ...this.#progress, carriedOut: Math.min(this.carriedOut, last) }
      this.#committed = Math.min(this.#committed, last)
      onRows?.([...changes.values()])
    }
  }

  /** Forgets entries that nobody reads any more, and what would undo them. */
  trim(upTo: number): Position {
    assert(upTo <= this.carriedOut, 'only what was carried out', { upTo, carriedOut: this.carriedOut })
    return this.log.trim(upTo, position => [{ key: this.#undoKey(position), value: undefined }])
  }

  /**
   * Begins to be filled: the log and the rows go. What lies behind `shared` was here alone and is told to `onCut`.
   * From here on this replica votes for nobody: what it told others that it had is not here any more.
   */
  beginLoading(shared: number, from: ByteString, to: ByteString): Position {
    const { store, onCut } = this.#options
    const { carriedOut } = this
    // What had been carried out is remembered until the log is gone: a process may die in the middle.
    if (!this.isLoading) this.giveUpRows()
    this.log.cut(this.log.first - 1, entry => {
      const undo = { key: this.#undoKey(entry.position), value: undefined }
      const isShared = entry.position <= shared
      return isShared ? [undo] : [undo, ...onCut({ ...entry, wasCarriedOut: entry.position <= carriedOut })]
    })
    const progress = { carriedOut: 0, wholeFrom: NOWHERE, wholeEpoch: 0, isLoading: true }
    store.commit([this.#record(progress)])
    this.#progress = progress
    this.#committed = 0
    return this.#dropRows(from, to)
  }

  #dropRows(from: ByteString, to: ByteString): Position {
    const { store, onRows } = this.#options
    for (;;) {
      const rows = [...store.scan(from, to, { limit: ROWS_PER_BATCH })]
      if (rows.length === 0) return store.handed
      store.commit(rows.map(([key]) => ({ key, value: undefined })))
      onRows?.(
        rows.map(([key, stored]) => ({
          key,
          before: stored === DAMAGED ? undefined : stored,
          after: undefined,
        })),
      )
    }
  }

  /** Rows of another replica, as stored there. */
  load(rows: readonly { readonly key: ByteString; readonly cell: Uint8Array }[]): Position {
    assert(this.isLoading, 'only while it is being filled')
    const { store, onRows } = this.#options
    const changes = rows.map(({ key, cell }) => ({ key, before: this.#wholeCell(key), after: cell }))
    const position = store.commit(changes.map(({ key, after }) => ({ key, value: after })))
    onRows?.(changes)
    return position
  }

  /**
   * All rows are here, each in some state between the first page's and the last page's: `shape` is the log that they
   * were read behind first, `wholeFrom` the last entry that any of them may have in it, or that this replica may once
   * have had; the leader of `epoch` wrote it.
   */
  endLoading(shape: LogShape, wholeFrom: number, epoch: number): Position {
    assert(this.isLoading, 'only while it is being filled')
    const progress = { carriedOut: shape.last, wholeFrom, wholeEpoch: epoch, isLoading: false }
    const position = this.log.startBehind(shape, epoch, [this.#record(progress)])
    this.#progress = progress
    this.#committed = shape.last
    return position
  }

  get #progressKey(): ByteString {
    return `${keyspaces.undo}${this.#place}` as ByteString
  }

  #record(progress: Progress): TableWrite {
    return { key: this.#progressKey, value: encodeProgress(progress) }
  }

  #undoKey(position: number): ByteString {
    return `${keyspaces.undo}${this.#place}${u64ToString(position)}` as ByteString
  }
}

/** Has the row come in a state in which this entry, or a later one, is in it? */
function isLater(cell: Uint8Array | undefined, body: LogBody): boolean {
  if (cell === undefined) return false
  return (decodeCell(cell).values[0]?.stamp ?? 0) >= body.stamp
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
