/**
 * Group commit: many batches, one append, one sync.
 *
 * Problem: a sync costs a thousand times what a batch costs. Mechanism: batches gather in a buffer;
 * the first of a burst schedules a write at the end of the turn. While that write runs the next group
 * forms in a second buffer, to the end of the turn in which the write is found done: what that turn
 * brings costs no sync of its own. One group is in flight at a time, so an unsynced tail is never more
 * than one record, which is what lets recovery tell a torn write from damage (`segment-judge.ts`).
 *
 * A segment comes into being with its first record: header and record are one append. When nothing
 * waits to be written but a new segment is due, its first record is empty.
 *
 * Full disk: the group is kept and tried again, every second, in a new file. When the segment being
 * written holds a record, that is the next segment, whose header says where the records of this one
 * end; otherwise the file is removed and its number used again. A file whose append failed is never
 * written to or synced again.
 *
 * Invariants: durable positions grow in order; nothing is reported durable before the sync of the file
 * that holds it; after a failure that is not "full" nothing is reported ever again.
 */

import { assert } from '../base/assert.ts'
import type { Incarnation } from '../base/ids.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import type { TableWrite } from '../ports/table.ts'
import { GROUP_PAYLOAD_AT, GroupBuffer } from './group-buffer.ts'
import {
  RECORD_HEADER_BYTES,
  recordBinding,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION,
  sealRecord,
  segmentName,
  writeSegmentHeader,
} from './segment-format.ts'
import { isDiskFull, isNotFound } from './store-errors.ts'
import type { Position } from './store-face.ts'

export const FULL_RETRY_MS = 1_000

export interface ClosedSegment {
  readonly number: number
  readonly validEnd: number
}

export interface LogWriterOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly incarnation: Incarnation
  /** Number of the segment to begin, and where the records of the one before it end. */
  readonly segment: number
  readonly previousEnd: number
  /** A file of that number is in the way: the rest of a first write that did not finish. */
  readonly leftover: boolean
  /** Segments already there, still needed. */
  readonly closed: readonly ClosedSegment[]
  /** The group up to `position` is being sealed. True asks for a new segment after it. */
  onSeal(position: Position, segmentBytes: number): boolean
  /** The group up to `position` is durable. The next write, if one is due, starts at the end of this turn. */
  onDurable(position: Position): void
  /** The place for callbacks: what they write joins the next group. */
  onReleased(): void
  /** The segment asked for begins with this number; it is not on disk yet. */
  onRotate(segment: number): void
  onFull(full: boolean): void
  onFail(what: string, cause: unknown): void
}

export class LogWriter {
  readonly #options: LogWriterOptions
  #forming = new GroupBuffer()
  #writing = new GroupBuffer()
  #handed: Position = 0
  #scheduled = false
  #busy = false
  #stopped = false
  #file: DiskFile | undefined
  #segment: number
  #previousEnd: number
  /** End of the durable records of the segment being written; 0 while it has none. */
  #end = 0
  #leftover: boolean
  #closed: ClosedSegment[]
  /** A segment is due even when there is nothing to write: at opening and after a rotation. */
  #opening = true
  #syncs = 0
  #retry: { timer: Timer; resume: () => void } | undefined
  #waiting: { until: () => boolean; resolve: () => void }[] = []

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#segment = options.segment
    this.#previousEnd = options.previousEnd
    this.#leftover = options.leftover
    this.#closed = [...options.closed]
  }

  get inFlightBytes(): number {
    return this.#forming.payloadBytes + (this.#busy ? this.#writing.payloadBytes : 0)
  }

  get syncs(): number {
    return this.#syncs
  }

  get closed(): readonly ClosedSegment[] {
    return this.#closed
  }

  /** Durable bytes of the segment being written. */
  get segmentBytes(): number {
    return this.#end
  }

  get segmentCount(): number {
    return this.#closed.length + (this.#end > 0 ? 1 : 0)
  }

  get logBytes(): number {
    let bytes = this.#end
    for (const segment of this.#closed) bytes += segment.validEnd
    return bytes
  }

  add(batch: readonly TableWrite[], position: Position): void {
    this.#forming.add(batch)
    this.#handed = position
    this.#schedule()
  }

  /** The payload of a record to be written again, as the first record of the first segment. */
  addPayload(payload: Uint8Array): void {
    assert(this.#forming.payloadBytes === 0 && !this.#busy, 'a carried record comes first')
    this.#forming.addPayload(payload)
  }

  /** Starts a write even when nothing waits, so that `onSeal` is asked. */
  kick(): void {
    this.#opening = true
    this.#schedule()
  }

  /** Starts a write now, without waiting for the end of the tick. */
  begin(): void {
    this.#pump()
  }

  /** Resolves when `segment` exists durably; never, when the writer stops before. */
  begun(segment: number): Promise<void> {
    return this.#when(() => this.#segment > segment || (this.#segment === segment && this.#end > 0))
  }

  /** Resolves when nothing is being written or waits to be. */
  idle(): Promise<void> {
    return this.#when(() => !this.#busy && this.#forming.payloadBytes === 0 && !this.#opening)
  }

  /** Forgets closed segments before `first`, which the table holds now; the caller removes the files. */
  release(first: number): ClosedSegment[] {
    const gone = this.#closed.filter(segment => segment.number < first)
    this.#closed = this.#closed.filter(segment => segment.number >= first)
    return gone
  }

  /** Ends all writing; what is in flight is never reported. */
  stop(): void {
    this.#stopped = true
    const retry = this.#retry
    this.#retry = undefined
    retry?.timer.cancel()
    retry?.resume()
  }

  async close(): Promise<void> {
    this.stop()
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  #schedule(): void {
    if (this.#scheduled || this.#busy || this.#stopped) return
    this.#scheduled = true
    this.#options.clock.defer(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#busy || this.#stopped) return
    if (this.#forming.payloadBytes === 0 && !this.#opening) return
    const group = this.#forming
    this.#forming = this.#writing
    this.#forming.reset()
    this.#writing = group
    this.#busy = true
    this.#opening = false
    const position = this.#handed
    const rotate = this.#options.onSeal(position, this.#end + group.payloadBytes)
    this.#write(group, position, rotate).catch((error: unknown) => {
      this.stop()
      this.#options.onFail('the log writer', error)
    })
  }

  async #write(group: GroupBuffer, position: Position, rotate: boolean): Promise<void> {
    let what = ''
    try {
      for (;;) {
        what = `writing ${segmentName(this.#segment)}`
        if (await this.#attempt(group)) break
        if (this.#stopped) return
        this.#options.onFull(true)
        await this.#pause()
        if (this.#stopped) return
      }
      if (this.#stopped) return
      if (rotate) await this.#endSegment()
    } catch (error) {
      if (this.#stopped) return
      this.stop()
      this.#options.onFail(what, error)
      return
    }
    if (this.#stopped) return
    this.#options.onFull(false)
    if (rotate) {
      this.#opening = true
      this.#options.onRotate(this.#segment)
    }
    this.#busy = false
    this.#options.onDurable(position)
    this.#schedule()
    this.#wake()
    this.#options.onReleased()
  }

  /** One try to make the group durable; false when the disk is full. */
  async #attempt(group: GroupBuffer): Promise<boolean> {
    const fresh = this.#end === 0
    const offset = fresh ? SEGMENT_HEADER_BYTES : this.#end
    const recordAt = GROUP_PAYLOAD_AT - RECORD_HEADER_BYTES
    let recordEnd = 0
    try {
      if (fresh) await this.#openSegment(group)
      const file = this.#file
      assert(file !== undefined, 'a segment that has records is open')
      const binding = recordBinding(this.#options.incarnation, this.#segment, offset)
      recordEnd = sealRecord(group.bytes, recordAt, group.end, binding, offset)
      await file.append(group.bytes.subarray(fresh ? 0 : recordAt, recordEnd))
    } catch (error) {
      if (!isDiskFull(error)) throw error
      await this.#abandon()
      return false
    }
    await this.#file?.sync()
    this.#syncs++
    this.#end = offset + (recordEnd - recordAt)
    return true
  }

  async #openSegment(group: GroupBuffer): Promise<void> {
    const { disk, incarnation } = this.#options
    const name = segmentName(this.#segment)
    if (this.#leftover) {
      await disk.remove(name).catch((error: unknown) => {
        if (!isNotFound(error)) throw error
      })
      this.#leftover = false
    }
    this.#leftover = true
    this.#file = await disk.open(name)
    assert(this.#file.size() === 0, 'a new segment is empty', name)
    writeSegmentHeader(group.bytes, 0, {
      version: SEGMENT_VERSION,
      incarnation,
      number: this.#segment,
      previousEnd: this.#previousEnd,
      emptyBefore: emptyAtEnd(this.#closed),
    })
  }

  /** After an append that found no room: this file is done with. */
  async #abandon(): Promise<void> {
    if (this.#end > 0) await this.#endSegment()
    else {
      const file = this.#file
      this.#file = undefined
      await file?.close()
    }
  }

  async #endSegment(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.#closed.push({ number: this.#segment, validEnd: this.#end })
    this.#previousEnd = this.#end
    this.#segment++
    this.#end = 0
    this.#leftover = false
    await file?.close()
  }

  #pause(): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#options.clock.setTimer(FULL_RETRY_MS, resolve)
      this.#retry = { timer, resume: resolve }
    })
  }

  #when(until: () => boolean): Promise<void> {
    if (until()) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push({ until, resolve }))
  }

  #wake(): void {
    if (this.#waiting.length === 0) return
    const due = this.#waiting.filter(waiter => waiter.until())
    if (due.length === 0) return
    this.#waiting = this.#waiting.filter(waiter => !due.includes(waiter))
    for (const waiter of due) waiter.resolve()
  }
}

/** Closed segments since the last one with a record that counts: all they held was carried over. */
function emptyAtEnd(closed: readonly ClosedSegment[]): number {
  const full = closed.findLastIndex(segment => segment.validEnd > SEGMENT_HEADER_BYTES)
  return closed.length - 1 - full
}
