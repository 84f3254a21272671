/**
 * The node's one store: log, memtable, table.
 *
 * Problem: an embedded table makes every batch durable by itself, at the price of a sync each and a
 * write of whole pages. Mechanism: a batch goes into a log shared by all (`log-writer.ts`) and at once
 * into an ordered memtable; a full memtable is frozen at the boundary of a log segment and written to
 * the table in the background (`checkpoint.ts`), after which the segments before the boundary go.
 * Opening replays the log from the boundary on (`recovery.ts`).
 *
 * Invariants and states: `SPEC.md` beside this file.
 *
 * References: Gray, Reuter, "Transaction Processing" (1993), ch. 9, group commit; O'Neil et al., "The
 * Log-Structured Merge-Tree" (1996), of which this has one level in memory and one on disk.
 */

import { assert } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, Incarnation } from '../base/ids.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import { type Disk, DiskError } from '../ports/disk.ts'
import type { Random } from '../ports/random.ts'
import type { ScanOptions, Table, TableWrite } from '../ports/table.ts'
import { sealExtras, writeCheckpoint } from './checkpoint.ts'
import { DurableQueue } from './durable-queue.ts'
import { healable, keyspaces } from './keyspace.ts'
import { FULL_RETRY_MS, LogWriter } from './log-writer.ts'
import { Memtable } from './memtable.ts'
import { mergedScan } from './merged-scan.ts'
import { type Recovered, recoverLog } from './recovery.ts'
import { replayRecord } from './replay.ts'
import { type LogDamage, type ScrubStep, scrubLog, scrubTable } from './scrub.ts'
import { openValue } from './sealed-value.ts'
import { segmentName } from './segment-format.ts'
import { failed, isDiskFull, isNotFound, promiseDamaged } from './store-errors.ts'
import {
  type Batch,
  DAMAGED,
  type Damaged,
  type Position,
  type Store,
  type Stored,
  type StoreStatus,
} from './store-face.ts'
import { openIdentity } from './store-identity.ts'
import {
  CLOSED_SEGMENTS_MAX,
  DRAINING_GROWTH_MAX,
  STORE_KEY_BYTES_MAX,
  type StoreLimits,
  storeLimits,
} from './store-limits.ts'
import { STORE_RECORD_VERSION, writeStoreRecord } from './store-record.ts'

export interface LogStoreOptions {
  readonly disk: Disk
  readonly table: Table
  readonly clock: Clock
  readonly random: Random
  /** The store has met something it must not go on from. Called at most once. The process stops. */
  onFatal(error: QuorateError): void
  /**
   * Each replayed write, in order, with the value before it. `before` is DAMAGED when that is not
   * known: the stored value is bad, or a checkpoint was cut short and may have put a newer one there.
   */
  onReplay?(key: ByteString, before: Stored, after: Uint8Array | undefined): void
  /**
   * Called at the moment a memtable is frozen; goes into the table in the same atomic batch as the
   * checkpoint position. Must be a function of what was committed so far. Not called before `open`
   * has resolved.
   */
  checkpointExtras?(): readonly TableWrite[]
  readonly limits?: Partial<StoreLimits>
}

interface Frozen {
  readonly memtable: Memtable
  readonly extras: readonly TableWrite[]
  /** The log has gone on to a new segment: what is committed now counts against that one. */
  rotated: boolean
  /** Who asked for this checkpoint. */
  readonly waiters: (() => void)[]
}

export class LogStore implements Store {
  readonly incarnation: Incarnation
  readonly #options: LogStoreOptions
  readonly #limits: StoreLimits
  readonly #table: Table
  readonly #writer: LogWriter
  readonly #waiters = new DurableQueue()
  /** Callbacks of the group that has just become durable. */
  #due: (() => void)[] = []
  #memtable: Memtable
  #frozen: Frozen | undefined
  #handed: Position = 0
  #durable: Position = 0
  #state: 'opening' | 'open' | 'failed' | 'closed' = 'opening'
  #logFull = false
  #tableFull = false
  /** Checkpoint position that stands in the table. */
  #firstSegment: number
  #checkpointWanted = false
  #checkpointWaiters: (() => void)[] = []
  /** Who stops waiting when the disk turns out to be full or the store fails. */
  #stuckWaiters: (() => void)[] = []
  #checkpoints = 0
  #damagedReads = 0
  #message: string | undefined
  #fatal: QuorateError | undefined
  #retry: { timer: Timer; resume: () => void } | undefined

  /** Rejects with STORE_DAMAGED, STORE_FULL or STORE_FAILED. */
  static async open(options: LogStoreOptions): Promise<LogStore> {
    try {
      return await LogStore.#open(options)
    } catch (error) {
      throw error instanceof DiskError ? failed('opening the store', 0, error) : error
    }
  }

  static async #open(options: LogStoreOptions): Promise<LogStore> {
    const identity = await openIdentity(options)
    const memtable = new Memtable()
    const { disk, table, onReplay } = options
    const { draining } = identity
    const recovered = await recoverLog({
      disk,
      ...identity,
      apply: payload => replayRecord({ table, memtable, draining, onReplay }, payload),
    })
    const store = new LogStore(options, identity, memtable, recovered)
    await store.#begin(identity.creating, recovered)
    return store
  }

  private constructor(
    options: LogStoreOptions,
    identity: { incarnation: Incarnation; firstSegment: number },
    memtable: Memtable,
    recovered: Recovered,
  ) {
    this.#options = options
    this.#limits = { ...storeLimits, ...options.limits }
    this.#table = options.table
    this.incarnation = identity.incarnation
    this.#firstSegment = identity.firstSegment
    this.#memtable = memtable
    this.#message = recovered.dropped
    this.#writer = new LogWriter({
      disk: options.disk,
      clock: options.clock,
      incarnation: identity.incarnation,
      segment: recovered.nextSegment,
      previousEnd: recovered.previousEnd,
      leftover: recovered.leftover,
      closed: recovered.closed,
      onSeal: (position, segmentBytes) => this.#seal(position, segmentBytes),
      onDurable: position => {
        this.#durable = position
        this.#due = this.#waiters.take()
      },
      onReleased: () => this.#runDue(),
      onRotate: segment => this.#drain(segment),
      onFull: full => {
        this.#logFull = full
        if (full) this.#unstick()
      },
      onFail: (what, cause) => this.#fail(what, cause),
    })
    if (recovered.carry !== undefined) this.#writer.addPayload(recovered.carry)
  }

  get handed(): Position {
    return this.#handed
  }

  get durable(): Position {
    return this.#durable
  }

  get(key: ByteString): Stored {
    const entry = this.#memtable.get(key) ?? this.#frozen?.memtable.get(key)
    if (entry !== undefined) return entry.value
    const sealed = this.#table.get(key)
    return sealed === undefined ? undefined : this.#openRow(key, sealed)
  }

  /** Must be finished, or left, before the next commit. */
  scan(
    from: ByteString,
    to: ByteString | undefined,
    options: ScanOptions = {},
  ): Iterable<[ByteString, Uint8Array | Damaged]> {
    const layers = {
      memtable: this.#memtable,
      frozen: this.#frozen?.memtable,
      table: this.#table,
      open: (key: ByteString, sealed: Uint8Array) => this.#openRow(key, sealed),
    }
    return mergedScan(layers, from, to, options)
  }

  /** Keeps the values, which must not be changed afterwards. Also throws OVERLOADED, with nothing applied. */
  commit(batch: Batch): Position {
    this.#refuse()
    for (const { key } of batch) {
      assert(key.length <= STORE_KEY_BYTES_MAX, 'a stored key fits the table', key.length)
      assert(!key.startsWith(keyspaces.store), 'the store writes its own record only')
    }
    const position = this.#handed + 1
    this.#writer.add(batch, position)
    this.#handed = position
    for (const { key, value } of batch) this.#memtable.set(key, value, position)
    return position
  }

  whenDurable(position: Position, run: () => void): void {
    assert(position <= this.#handed, 'only a position that was handed out can become durable', position)
    if (this.#state !== 'open') return
    if (position <= this.#durable) run()
    else this.#waiters.push(position, run)
  }

  positionOf(key: ByteString): Position {
    const entry = this.#memtable.get(key) ?? this.#frozen?.memtable.get(key)
    return entry !== undefined && entry.position > this.#durable ? entry.position : 0
  }

  get inFlightBytes(): number {
    return this.#writer.inFlightBytes
  }

  status(): StoreStatus {
    const frozen = this.#frozen?.memtable
    return {
      state: this.#state === 'opening' ? 'open' : this.#state === 'open' && this.#full ? 'full' : this.#state,
      memtableBytes: this.#memtable.bytes + (frozen?.bytes ?? 0),
      memtableEntries: this.#memtable.size + (frozen?.size ?? 0),
      logBytes: this.#writer.logBytes,
      segments: this.#writer.segmentCount,
      checkpoints: this.#checkpoints,
      syncs: this.#writer.syncs,
      inFlightBytes: this.#writer.inFlightBytes,
      damagedReads: this.#damagedReads,
      message: this.#fatal?.message ?? (this.#full ? 'the disk is full: writes are refused' : this.#message),
    }
  }

  /** Waits for a checkpoint that holds everything committed so far. Does not resolve in a store that has failed. */
  checkpoint(): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(this.#notOpen())
    const frozen = this.#frozen
    if (this.#memtable.size === 0) {
      return frozen === undefined ? Promise.resolve() : new Promise(resolve => frozen.waiters.push(resolve))
    }
    return new Promise(resolve => {
      this.#checkpointWaiters.push(resolve)
      this.#checkpointWanted = true
      this.#writer.kick()
    })
  }

  /** Re-reads up to `count` values of the table from `from` on against their checksums. */
  scrubStep(from: ByteString, count: number): ScrubStep {
    return scrubTable(this.#table, from, count)
  }

  /** Re-reads the closed log segments. A damaged one is not lost yet: a checkpoint makes it unnecessary. */
  scrubLog(): Promise<LogDamage[]> {
    return scrubLog(this.#options.disk, this.incarnation, () => this.#writer.closed)
  }

  /** Makes everything durable (unless the disk is full or the store has failed), then closes log and table. */
  async close(options: { readonly checkpoint?: boolean } = {}): Promise<void> {
    if (this.#state === 'closed') return
    if (this.#state === 'open' && !this.#full) {
      if (options.checkpoint === true) await this.#unlessStuck(this.checkpoint())
      await this.#unlessStuck(this.#writer.idle())
      const frozen = this.#frozen
      if (frozen !== undefined) {
        await this.#unlessStuck(new Promise(resolve => frozen.waiters.push(resolve)))
      }
    }
    this.#state = 'closed'
    this.#waiters.clear()
    const retry = this.#retry
    retry?.timer.cancel()
    retry?.resume()
    await this.#writer.close()
    await this.#table.close()
  }

  get #full(): boolean {
    return this.#logFull || this.#tableFull
  }

  /** First segment of this run, so that the log is known to be there, and what was carried over. */
  async #begin(creating: boolean, recovered: Recovered): Promise<void> {
    this.#writer.begin()
    await this.#unlessStuck(this.#writer.idle())
    if (this.#fatal !== undefined) throw this.#fatal
    if (this.#logFull) await this.#beginFull(creating, recovered)
    else if (this.#memtable.size === 0) await this.#skipTo(recovered.nextSegment, creating)
    this.#state = 'open'
  }

  /** No room for a first segment: what was replayed is made durable where it stands, and the store opens for reading. */
  async #beginFull(creating: boolean, recovered: Recovered): Promise<void> {
    const last = recovered.closed.at(-1)
    if (creating || last === undefined) {
      await this.#writer.close()
      throw new QuorateError('STORE_FULL', 'the disk is full: a new store needs room for its log')
    }
    const file = await this.#options.disk.open(segmentName(last.number))
    await file.sync()
    await file.close()
  }

  /** Moves the checkpoint position over segments without a batch, so that short runs leave no trail. */
  async #skipTo(firstSegment: number, creating: boolean): Promise<void> {
    if (firstSegment === this.#firstSegment && !creating) return
    const { incarnation } = this
    const record = {
      version: STORE_RECORD_VERSION,
      incarnation,
      firstSegment,
      creating: false,
      draining: false,
    }
    try {
      await this.#table.write([writeStoreRecord(record)])
    } catch (error) {
      if (!isDiskFull(error) || creating) throw error
      return
    }
    await this.#dropBefore(firstSegment)
  }

  #refuse(): void {
    if (this.#state !== 'open') throw this.#notOpen()
    if (this.#full)
      throw new QuorateError(
        'STORE_FULL',
        'the disk of this node is full: writes are refused until space returns',
      )
    const { storeInFlightBytesMax, memtableBytesMax, segmentBytesMax } = this.#limits
    if (this.#writer.inFlightBytes > storeInFlightBytesMax) {
      throw new QuorateError('OVERLOADED', 'the log cannot keep up with the writes', {
        data: { inFlightBytes: this.#writer.inFlightBytes, limitBytes: storeInFlightBytesMax },
      })
    }
    if (this.#frozen === undefined) return
    const memtableFull = this.#memtable.bytes > DRAINING_GROWTH_MAX * memtableBytesMax
    const segmentFull = this.#writer.segmentBytes > DRAINING_GROWTH_MAX * segmentBytesMax
    if (memtableFull || (segmentFull && this.#frozen.rotated)) {
      throw new QuorateError('OVERLOADED', 'the table cannot keep up with the writes', {
        data: { memtableBytes: this.#memtable.bytes, limitBytes: DRAINING_GROWTH_MAX * memtableBytesMax },
      })
    }
  }

  #notOpen(): QuorateError {
    if (this.#fatal === undefined) return new QuorateError('STORE_FAILED', 'the store is closed')
    return new QuorateError('STORE_FAILED', this.#fatal.message, { data: this.#fatal.data })
  }

  #openRow(key: ByteString, sealed: Uint8Array): Uint8Array | Damaged {
    const value = openValue(key, sealed)
    if (value !== undefined) return value
    this.#damagedReads++
    if (healable(key)) return DAMAGED
    const error = promiseDamaged(key)
    this.#stop(error)
    throw error
  }

  /** A group is being sealed: here, and only here, a memtable ends with a segment. */
  #seal(position: Position, segmentBytes: number): boolean {
    this.#waiters.seal(position)
    if (this.#state !== 'open' || this.#frozen !== undefined || this.#memtable.size === 0) return false
    const due =
      this.#checkpointWanted ||
      this.#memtable.bytes >= this.#limits.memtableBytesMax ||
      segmentBytes >= this.#limits.segmentBytesMax ||
      this.#writer.closed.length >= CLOSED_SEGMENTS_MAX
    if (!due) return false
    this.#checkpointWanted = false
    const extras = sealExtras(this.#options.checkpointExtras?.() ?? [])
    this.#frozen = { memtable: this.#memtable, extras, rotated: false, waiters: this.#checkpointWaiters }
    this.#checkpointWaiters = []
    this.#memtable = new Memtable()
    return true
  }

  #runDue(): void {
    const due = this.#due
    this.#due = []
    for (const run of due) {
      // A callback may itself have met what ends the store.
      if (this.#state === 'failed') return
      run()
    }
  }

  /** The frozen memtable ends with the segment before `segment`: drain it. */
  #drain(segment: number): void {
    this.#writeFrozen(segment).catch((error: unknown) => this.#fail('the checkpoint', error))
  }

  async #writeFrozen(segment: number): Promise<void> {
    const frozen = this.#frozen
    assert(frozen !== undefined, 'a rotation follows a freeze')
    frozen.rotated = true
    await this.#writer.begun(segment)
    const done = await writeCheckpoint({
      table: this.#table,
      incarnation: this.incarnation,
      memtable: frozen.memtable,
      extras: frozen.extras,
      firstSegment: this.#firstSegment,
      nextFirstSegment: segment,
      batchBytes: this.#limits.checkpointBatchBytes,
      write: batch => this.#writeTable(batch),
    })
    if (!done) return
    this.#frozen = undefined
    this.#checkpoints++
    await this.#dropBefore(segment)
    for (const resolve of frozen.waiters) resolve()
    if (this.#checkpointWanted) this.#writer.kick()
  }

  async #writeTable(batch: readonly TableWrite[]): Promise<boolean> {
    for (;;) {
      if (this.#state !== 'open') return false
      try {
        await this.#table.write(batch)
        this.#tableFull = false
        return this.#isOpen()
      } catch (error) {
        if (!isDiskFull(error)) throw error
      }
      this.#tableFull = true
      this.#unstick()
      await new Promise<void>(resolve => {
        this.#retry = { timer: this.#options.clock.setTimer(FULL_RETRY_MS, resolve), resume: resolve }
      })
    }
  }

  #isOpen(): boolean {
    return this.#state === 'open'
  }

  async #dropBefore(firstSegment: number): Promise<void> {
    this.#firstSegment = firstSegment
    for (const { number } of this.#writer.release(firstSegment)) {
      await this.#options.disk.remove(segmentName(number)).catch((error: unknown) => {
        // Already gone is as good; anything else means that the disk does not do what it is told.
        if (!isNotFound(error)) throw error
      })
    }
  }

  #fail(what: string, cause: unknown): void {
    this.#stop(failed(what, this.#durable, cause))
  }

  /** The end of this store: nothing is acknowledged any more. */
  #stop(error: QuorateError): void {
    if (this.#state === 'failed' || this.#state === 'closed') return
    const opening = this.#state === 'opening'
    this.#state = 'failed'
    this.#fatal = error
    this.#waiters.clear()
    this.#writer.stop()
    this.#retry?.timer.cancel()
    this.#retry?.resume()
    this.#unstick()
    // Whoever is opening the store hears it from `open`.
    if (!opening) this.#options.onFatal(error)
  }

  /** Waits for `work`, or until the disk is full or the store has failed. */
  #unlessStuck(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stuckWaiters.push(resolve)
      work.then(resolve, reject)
      if (this.#full || this.#state === 'failed') resolve()
    })
  }

  #unstick(): void {
    const waiters = this.#stuckWaiters
    this.#stuckWaiters = []
    for (const resolve of waiters) resolve()
  }
}
