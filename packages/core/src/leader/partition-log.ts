/**
 * The log of one partition on one replica, in the node's store.
 *
 * Problem: a log that is a file of its own is durable at another moment than the rows it is of, and someone must put
 * the two together after a crash. Mechanism: entries are records of the one store, under the partition and their
 * position, so that an entry, what it does to rows, and the fence it was taken under change in one batch. A header
 * record keeps what entries do not say: the highest epoch promised (the fence), the epoch history, and the first
 * position still here.
 *
 * Invariants: positions from `first` to `last` are all here; entries are added at the end only, by an epoch not
 * older than the fence, and behind exactly the entry that the sender says is before them; cutting goes backwards
 * from the end in batches, each of which leaves a whole log; the fence never goes down. Nothing is said of an entry
 * to others before its batch is durable: `append` gives the position to wait for.
 * References: PacificA (2008), prepared lists; Kafka KIP-101; `epoch-history.ts`.
 */

import { assert } from '../base/assert.ts'
import { prefixEnd, stringToU64, u32ToString, u64ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, TableId } from '../base/ids.ts'
import {
  appended,
  assertShape,
  emptyLog,
  endOf,
  hasPoint,
  type LogPoint,
  type LogShape,
  truncated,
} from '../leadership/epoch-history.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'

export interface LogEntry extends LogPoint {
  readonly body: Uint8Array
}

/** Of one batch that cuts or trims: bounded, so that a long log does not stop the node. */
const ENTRIES_PER_BATCH = 500

export class PartitionLog {
  readonly #store: Store
  readonly #prefix: ByteString
  #shape: LogShape = emptyLog
  #first = 1
  #fence = 0
  /** Of the bodies of all entries ever added here, cut ones not counted: entries carry what it was behind them. */
  #bytes = 0
  /** The last batch that changed anything: what is said of the log rests on it, also after a call that had nothing to do. */
  #written: Position = 0

  constructor(store: Store, table: TableId, partition: number) {
    this.#store = store
    this.#prefix = (keyspaces.log + u32ToString(table) + u32ToString(partition)) as ByteString
    const header = store.get(this.#prefix)
    if (header === undefined) return
    if (header === DAMAGED) throw this.#damaged('its header')
    const { fence, first, base, epochs } = decodeHeader(header)
    this.#fence = fence
    this.#first = first
    this.#shape = { epochs, last: this.#lastStored() ?? base }
    assertShape(this.#shape)
    this.#bytes = this.#bytesUpTo(this.#shape.last)
  }

  /** Which epoch wrote what, from the first entry ever: also of what was trimmed. */
  get shape(): LogShape {
    return this.#shape
  }

  get end(): LogPoint {
    return endOf(this.#shape)
  }

  /** First position that is still here; `shape.last + 1` when none is. */
  get first(): number {
    return this.#first
  }

  /** The highest epoch that this replica has promised to: older ones write here no more. */
  get fence(): number {
    return this.#fence
  }

  /** Refuses older epochs from now on; to be told of only when it is durable. */
  raiseFence(epoch: number): Position {
    if (epoch <= this.#fence) return this.#written
    this.#written = this.#store.commit([this.#header({ fence: epoch })])
    this.#fence = epoch
    return this.#written
  }

  /**
   * Adds entries that one epoch sends, with what they do to rows, in one batch. `before` is the entry that they stand
   * behind. Throws FENCED for an older epoch, CONFLICT when the log ends in another entry: it must be cut first.
   */
  append(
    epoch: number,
    before: LogPoint,
    entries: readonly Omit<LogEntry, 'position'>[],
    also: readonly TableWrite[] = [],
  ): Position {
    if (epoch < this.#fence)
      throw new QuorateError('FENCED', `epoch ${epoch} writes no more here: ${this.#fence} was promised to`, {
        data: { epoch, fence: this.#fence },
      })
    const { end } = this
    if (end.epoch !== before.epoch || end.position !== before.position)
      throw new QuorateError(
        'CONFLICT',
        `the log ends at ${end.epoch}/${end.position}, not at ${before.epoch}/${before.position}`,
        { data: { epoch: end.epoch, position: end.position } },
      )
    let [shape, bytes] = [this.#shape, this.#bytes]
    const batch: TableWrite[] = [...also]
    for (const entry of entries) {
      assert(entry.epoch <= epoch, 'a leader sends what its own and older epochs wrote', { entry, epoch })
      shape = appended(shape, entry.epoch)
      bytes += entry.body.length
      batch.push({ key: this.#key(shape.last), value: encodeEntry(entry, bytes) })
    }
    const isNewEpoch = shape.epochs.length !== this.#shape.epochs.length
    if (isNewEpoch || epoch > this.#fence) batch.push(this.#header({ shape, fence: epoch }))
    this.#written = this.#store.commit(batch)
    this.#shape = shape
    this.#bytes = bytes
    this.#fence = epoch
    return this.#written
  }

  /**
   * Removes what is behind a position, last entries first; `undo` says what else to write with each of them, in the same
   * batch. A crash in the middle leaves a log that is cut less far.
   */
  cut(to: number, undo: (entry: LogEntry) => readonly TableWrite[]): Position {
    assert(to >= this.#first - 1, 'what was trimmed cannot be cut', { to, first: this.#first })
    while (this.#shape.last > to) {
      const shape = truncated(this.#shape, Math.max(to, this.#shape.last - ENTRIES_PER_BATCH))
      const batch: TableWrite[] = []
      for (let at = this.#shape.last; at > shape.last; at--)
        batch.push(...undo(this.entry(at)), { key: this.#key(at), value: undefined })
      batch.push(this.#header({ shape }))
      const bytes = this.#bytesUpTo(shape.last)
      this.#written = this.#store.commit(batch)
      this.#shape = shape
      this.#bytes = bytes
    }
    return this.#written
  }

  /**
   * Forgets entries up to a position, which a later follower gets as a snapshot. The epoch history stays. `also`: what to
   * write with each of them, in the same batch.
   */
  trim(upTo: number, also: (position: number) => readonly TableWrite[] = () => []): Position {
    assert(upTo <= this.#shape.last, 'only what is there', { upTo, last: this.#shape.last })
    while (this.#first <= upTo) {
      const first = Math.min(upTo + 1, this.#first + ENTRIES_PER_BATCH)
      const batch: TableWrite[] = [this.#header({ first })]
      for (let at = this.#first; at < first; at++)
        batch.push(...also(at), { key: this.#key(at), value: undefined })
      this.#written = this.#store.commit(batch)
      this.#first = first
    }
    return this.#written
  }

  /** Begins behind a snapshot: as after all entries of `shape`, with none of them here. The log is empty before. */
  startBehind(shape: LogShape, epoch: number, also: readonly TableWrite[] = []): Position {
    assertShape(shape)
    assert(this.#shape.last < this.#first, 'a snapshot takes the place of a whole log', this.#shape)
    if (epoch < this.#fence)
      throw new QuorateError('FENCED', `epoch ${epoch} writes no more here: ${this.#fence} was promised to`)
    const first = shape.last + 1
    this.#written = this.#store.commit([...also, this.#header({ shape, first, fence: epoch })])
    this.#shape = shape
    this.#first = first
    this.#fence = epoch
    return this.#written
  }

  /** Of the bodies of the entries that are here. */
  get bytes(): number {
    return this.bytesBehind(this.#first - 1)
  }

  /** Of those behind a position, as far as they are here. */
  bytesBehind(position: number): number {
    return this.#bytes - this.#bytesUpTo(Math.max(position, this.#first - 1))
  }

  /** Position up to which entries must go for the rest to be so many bytes at most. */
  beyond(bytesMax: number): number {
    if (this.bytes <= bytesMax) return this.#first - 1
    let [out, kept] = [this.#first - 1, this.#shape.last]
    while (kept - out > 1) {
      const middle = Math.floor((out + kept) / 2)
      if (this.#bytes - this.#bytesUpTo(middle) > bytesMax) out = middle
      else kept = middle
    }
    return kept
  }

  /** Behind an entry that is here, or the one before the first. */
  #bytesUpTo(position: number): number {
    if (position >= this.#first) return this.#stored(position).bytes
    if (this.#first > this.#shape.last) return this.#bytes
    const { bytes, body } = this.#stored(this.#first)
    return bytes - body.length
  }

  has(point: LogPoint): boolean {
    return hasPoint(this.#shape, point)
  }

  entry(position: number): LogEntry {
    const { epoch, body } = this.#stored(position)
    return { epoch, position, body }
  }

  #stored(position: number): Stored {
    assert(position >= this.#first && position <= this.#shape.last, 'an entry that is here', { position })
    const stored = this.#store.get(this.#key(position))
    if (stored === undefined || stored === DAMAGED) throw this.#damaged(`entry ${position}`)
    return decodeEntry(stored)
  }

  /** Entries from a position on, so many bytes or one more. */
  read(from: number, bytesMax: number): LogEntry[] {
    assert(from >= this.#first, 'entries that are here', { from, first: this.#first })
    const entries: LogEntry[] = []
    let bytes = 0
    for (let at = from; at <= this.#shape.last && bytes < bytesMax; at++) {
      const entry = this.entry(at)
      entries.push(entry)
      bytes += entry.body.length
    }
    return entries
  }

  #lastStored(): number | undefined {
    const from = this.#key(0)
    for (const [key] of this.#store.scan(from, prefixEnd(this.#prefix), { reverse: true, limit: 1 }))
      return stringToU64(key, this.#prefix.length)
    return undefined
  }

  #key(position: number): ByteString {
    return (this.#prefix + u64ToString(position)) as ByteString
  }

  #header(change: { shape?: LogShape; first?: number; fence?: number }): TableWrite {
    const shape = change.shape ?? this.#shape
    const writer = new ByteWriter(64)
    writer.varint(Math.max(this.#fence, change.fence ?? 0))
    writer.varint(change.first ?? this.#first)
    writer.varint(shape.last)
    writer.varint(shape.epochs.length)
    for (const { epoch, from } of shape.epochs) {
      writer.varint(epoch)
      writer.varint(from)
    }
    return { key: this.#prefix, value: writer.take() }
  }

  #damaged(what: string): QuorateError {
    return new QuorateError('STORE_DAMAGED', `the log of a partition is damaged: ${what} cannot be read`)
  }
}

const EPOCHS_MAX = 1_000_000

/** `base`: the last position when the header was written, which counts where no entry is here. */
function decodeHeader(bytes: Uint8Array): {
  fence: number
  first: number
  base: number
  epochs: LogShape['epochs']
} {
  const reader = new ByteReader(bytes)
  const [fence, first, base, count] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()]
  if (count > EPOCHS_MAX) reader.fail(`${count} epochs`)
  const epochs = Array.from({ length: count }, () => ({ epoch: reader.varint(), from: reader.varint() }))
  return { fence, first, base, epochs }
}

interface Stored extends Omit<LogEntry, 'position'> {
  readonly bytes: number
}

function encodeEntry({ epoch, body }: Omit<LogEntry, 'position'>, bytes: number): Uint8Array {
  const writer = new ByteWriter(body.length + 24)
  writer.varint(epoch)
  writer.varint(bytes)
  writer.bytes(body)
  return writer.take()
}

function decodeEntry(stored: Uint8Array): Stored {
  const reader = new ByteReader(stored)
  return { epoch: reader.varint(), bytes: reader.varint(), body: reader.bytes(stored.length) }
}
