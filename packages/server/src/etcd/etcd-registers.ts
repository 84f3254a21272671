/**
 * Registers held in etcd instead of on the nodes: the same contract (`Registers` in core), proved by the same
 * conformance suite.
 *
 * Parts: `etcd-gateway.ts` asks etcd and knows what may have happened; `etcd-cells.ts` are the
 * transactions; `etcd-cell.ts` the stored value; `etcd-changes.ts` the meaning of outcomes; `etcd-watch.ts` the
 * stream. Here they become one object, and listeners hear each newer version once, from whatever source it
 * comes first: the stream, an own call, or a notice.
 *
 * Demands on etcd: version 3.4 or newer with its JSON gateway on, and that its revisions never go back. An
 * etcd restored from a snapshot goes back; it must be restored with a revision bump (docs/COORDINATION.md).
 */

import {
  type ByteString,
  boundedChange,
  type ChangeFunction,
  type ChangeOutcome,
  type Clock,
  compareAndSetFunction,
  deleteFunction,
  isQuorateError,
  limits,
  type MakeRegisters,
  type OpenRegisters,
  type OperationId,
  type Random,
  type RegisterCallOptions,
  type RegisterListener,
  type Timer,
  type Versioned,
} from '@quorate/core'
import type { EtcdSetting } from './coordination-setting.ts'
import { EtcdCells } from './etcd-cells.ts'
import { changeInEtcd, collectFromEtcd, type EtcdWorld, readFromEtcd } from './etcd-changes.ts'
import { EtcdGateway, type Fetch } from './etcd-gateway.ts'
import { EtcdWatch } from './etcd-watch.ts'

export interface EtcdRegistersOptions {
  readonly endpoints: readonly string[]
  /** Name of the cluster: keys start with `quorate/<name>/`. */
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly fetch?: Fetch
  readonly attemptTimeoutMs?: number
  /** See `EmbeddedRegistersOptions`. */
  readonly collectDelayMs?: number
  readonly recheckMs?: number
}

interface Watch {
  readonly listeners: Set<RegisterListener>
  /** Version the listeners heard last, and whether it was one with a value. */
  delivered: number
  present: boolean
  /** Newest mod_revision known; above `delivered` when a value was rewritten as it was. */
  revision: number
  wanted: number
  reading: boolean
}

/** The factory that a world hands to its node. */
export const etcdRegisters =
  (setting: EtcdSetting): MakeRegisters =>
  ({ clock, random }) =>
    new EtcdRegisters({ endpoints: setting.endpoints, name: setting.name, clock, random })

export class EtcdRegisters implements OpenRegisters {
  readonly #options: EtcdRegistersOptions
  readonly #world: EtcdWorld
  readonly #gateway: EtcdGateway
  readonly #watches = new Map<ByteString, Watch>()
  readonly #collections = new Set<Timer>()
  #stream: EtcdWatch | undefined
  #closed = false

  constructor(options: EtcdRegistersOptions) {
    this.#options = options
    this.#gateway = new EtcdGateway(options)
    const { clock, random, name } = options
    const cells = new EtcdCells(this.#gateway, name)
    this.#world = { cells, clock, random, isClosed: () => this.#closed }
  }

  async read(key: ByteString, options?: RegisterCallOptions): Promise<Versioned> {
    const { revision, version, value } = await readFromEtcd(this.#world, key, this.#deadline(options))
    const current = { version, value }
    this.#know(key, current, revision)
    return current
  }

  async change(
    key: ByteString,
    fn: ChangeFunction,
    operationId: OperationId,
    options?: RegisterCallOptions,
  ): Promise<ChangeOutcome> {
    const deadlineMs = this.#deadline(options)
    const outcome = await changeInEtcd(this.#world, {
      key,
      change: boundedChange(fn),
      operationId,
      deadlineMs,
    })
    if (outcome.kind === 'committed' || outcome.kind === 'rejected')
      this.#know(key, outcome.current, outcome.current.version)
    return outcome
  }

  compareAndSet(
    key: ByteString,
    expectedVersion: number,
    value: Uint8Array,
    operationId: OperationId,
    options?: RegisterCallOptions,
  ): Promise<ChangeOutcome> {
    return this.change(key, compareAndSetFunction(expectedVersion, value), operationId, options)
  }

  async delete(
    key: ByteString,
    operationId: OperationId,
    options?: RegisterCallOptions,
  ): Promise<ChangeOutcome> {
    const outcome = await this.change(key, deleteFunction, operationId, options)
    if (outcome.kind === 'committed') this.#collectLater(key, outcome.version)
    return outcome
  }

  watch(key: ByteString, listener: RegisterListener): () => void {
    let watch = this.#watches.get(key)
    if (watch === undefined) {
      watch = {
        listeners: new Set(),
        delivered: 0,
        present: false,
        revision: 0,
        wanted: 0,
        reading: false,
      }
      this.#watches.set(key, watch)
    }
    const { listeners } = watch
    listeners.add(listener)
    this.#openStream()
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#watches.get(key)?.listeners === listeners) this.#watches.delete(key)
    }
  }

  noticed(key: ByteString, version: number): void {
    const watch = this.#watches.get(key)
    if (watch === undefined || version <= watch.wanted || this.#closed) return
    watch.wanted = version
    if (!watch.reading) void this.#catchUp(key, watch)
  }

  /** Calls under way end as if their deadline had come; listeners hear nothing more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#stream?.close()
    for (const timer of this.#collections) timer.cancel()
    this.#watches.clear()
  }

  #openStream(): void {
    if (this.#stream !== undefined || this.#closed) return
    const { clock, random, recheckMs } = this.#options
    this.#stream = new EtcdWatch({
      gateway: this.#gateway,
      cells: this.#world.cells,
      clock,
      random,
      ...(recheckMs === undefined ? {} : { recheckMs }),
      onChange: (key, cell, revision) => {
        if (cell === undefined) this.#gone(key, revision)
        else this.#know(key, cell.register, cell.revision)
      },
      recheck: () => this.#recheck(),
    })
  }

  async #recheck(): Promise<'same' | 'newer' | 'failed'> {
    const { cells, clock } = this.#world
    const answer = await cells.revisions(clock.monotonicMs() + limits.requestTimeoutMs)
    if (answer.kind === 'failed') return 'failed'
    const { at, of } = answer.body
    let found: 'same' | 'newer' = 'same'
    for (const [key, watch] of [...this.#watches]) {
      const revision = of.get(key)
      if (revision === undefined) this.#gone(key, at)
      else if (revision > watch.revision) {
        found = 'newer'
        if (!(await this.#readKnown(key))) return 'failed'
      }
    }
    return found
  }

  async #catchUp(key: ByteString, watch: Watch): Promise<void> {
    watch.reading = true
    const asked = watch.wanted
    const known = await this.#readKnown(key)
    watch.reading = false
    // Not readable now: forget the notice, so that the next one tries again.
    if (!known) watch.wanted = watch.delivered
    if (watch.wanted > asked && !this.#closed) void this.#catchUp(key, watch)
  }

  /** False: not readable now. */
  async #readKnown(key: ByteString): Promise<boolean> {
    try {
      await this.read(key)
      return true
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return false
    }
  }

  #know(key: ByteString, current: Versioned, revision: number): void {
    const watch = this.#watches.get(key)
    if (watch === undefined || this.#closed) return
    watch.revision = Math.max(watch.revision, revision)
    if (current.version <= watch.delivered) return
    watch.delivered = current.version
    watch.present = current.value !== undefined
    watch.wanted = Math.max(watch.wanted, current.version)
    const { version, value } = current
    for (const listener of [...watch.listeners]) listener({ version, value })
  }

  /**
   * The key is not there at etcd's `revision`. Usually it was collected, after its deletion had been heard; who
   * missed the deletion hears of it now, under the revision at which it is known.
   */
  #gone(key: ByteString, revision: number): void {
    if (this.#watches.get(key)?.present === true)
      this.#know(key, { version: revision, value: undefined }, revision)
  }

  #collectLater(key: ByteString, version: number): void {
    const { clock } = this.#world
    const delayMs = this.#options.collectDelayMs ?? limits.requestTimeoutMaxMs
    const timer = clock.setTimer(delayMs, () => {
      this.#collections.delete(timer)
      const deadlineMs = clock.monotonicMs() + limits.requestTimeoutMs
      void collectFromEtcd(this.#world, key, version, deadlineMs).then(settled => {
        if (!settled && !this.#closed) this.#collectLater(key, version)
      })
    })
    this.#collections.add(timer)
  }

  #deadline(options: RegisterCallOptions | undefined): number {
    const timeoutMs = Math.min(options?.timeoutMs ?? limits.requestTimeoutMs, limits.requestTimeoutMaxMs)
    return this.#world.clock.monotonicMs() + timeoutMs
  }
}
