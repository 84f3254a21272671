/**
 * Registers as the rest of the node sees them: versioned values, compare-and-set, watching.
 *
 * The same interface is served by the embedded acceptors (here) and by an external coordination service.
 * Watching is driven from outside: gossip says "register X is now at version v" (`noticed`), the register
 * is then read, and listeners hear each newer version once. Gossip that is lost is repeated by gossip;
 * gossip that is wrong costs one read.
 */

import { assert } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import { type ChangeFunction, type ChangeOutcome, changeRegister, readRegister } from './changes.ts'
import { collectRegister } from './collect.ts'
import type { Proposer } from './proposer.ts'
import { configKey } from './register-config.ts'
import type { Versioned } from './register-value.ts'

export type RegisterListener = (current: Versioned) => void

export interface RegisterCallOptions {
  /** Whole life of the call; default `limits.requestTimeoutMs`. */
  readonly timeoutMs?: number
}

/**
 * Contract: every method is linearizable per key. Versions of a key strictly increase over all its
 * changes, deletions and re-creations included, and may leave gaps; 0 means "never written or deleted and
 * collected". Outcomes are values, not exceptions; only `read` rejects (with a retryable QuorateError).
 * `change` functions are pure and may run more than once. An operation id names one operation: calling
 * again with the same id after `unknown` cannot apply it twice.
 */
export interface Registers {
  read(key: ByteString, options?: RegisterCallOptions): Promise<Versioned>
  change(
    key: ByteString,
    fn: ChangeFunction,
    operationId: OperationId,
    options?: RegisterCallOptions,
  ): Promise<ChangeOutcome>
  /** Rejected with reason `version` unless the register is at `expectedVersion`; an absent one is at any. */
  compareAndSet(
    key: ByteString,
    expectedVersion: number,
    value: Uint8Array,
    operationId: OperationId,
    options?: RegisterCallOptions,
  ): Promise<ChangeOutcome>
  /** Rejected with reason `absent` when there is no value. */
  delete(key: ByteString, operationId: OperationId, options?: RegisterCallOptions): Promise<ChangeOutcome>
  /** Calls `listener` with every newer version this node comes to know of. Returns the way to stop. */
  watch(key: ByteString, listener: RegisterListener): () => void
  /** Someone says the register is at `version`. */
  noticed(key: ByteString, version: number): void
}

/** Registers held elsewhere, with connections of their own to close. */
export interface OpenRegisters extends Registers {
  close(): Promise<void>
}

/** How a world supplies registers that live outside the cluster. */
export type MakeRegisters = (ports: { readonly clock: Clock; readonly random: Random }) => OpenRegisters

/** An absent register is expected as version 0, whatever it was before: callers cannot know. */
export function compareAndSetFunction(expectedVersion: number, value: Uint8Array): ChangeFunction {
  return (current, version) => {
    const at = current === undefined ? 0 : version
    return at === expectedVersion ? { value } : { reject: 'version' }
  }
}

export const deleteFunction: ChangeFunction = current =>
  current === undefined ? { reject: 'absent' } : { value: undefined }

export interface EmbeddedRegistersOptions {
  readonly proposer: Proposer
  /**
   * How long a deleted register keeps its operation ids before it is collected. Past the longest
   * deadline a retry of a request made before the deletion can no longer come.
   */
  readonly collectDelayMs?: number
  /** Told of every version this node reads or makes: what gossip passes on. */
  readonly onVersion?: (key: ByteString, version: number) => void
}

interface Watch {
  readonly listeners: Set<RegisterListener>
  delivered: number
  wanted: number
  reading: boolean
}

export class EmbeddedRegisters implements Registers {
  readonly #proposer: Proposer
  readonly #collectDelayMs: number
  readonly #onVersion: ((key: ByteString, version: number) => void) | undefined
  readonly #watches = new Map<ByteString, Watch>()

  constructor(options: EmbeddedRegistersOptions) {
    this.#proposer = options.proposer
    this.#collectDelayMs = options.collectDelayMs ?? limits.requestTimeoutMaxMs
    this.#onVersion = options.onVersion
  }

  read(key: ByteString, options?: RegisterCallOptions): Promise<Versioned> {
    return new Promise((resolve, reject) =>
      readRegister(this.#proposer, key, this.#deadline(options), outcome => {
        if (outcome.kind === 'value') {
          this.#know(key, outcome.current)
          resolve(outcome.current)
        } else {
          reject(new QuorateError('UNAVAILABLE', `register not readable: ${outcome.reason}`))
        }
      }),
    )
  }

  change(
    key: ByteString,
    fn: ChangeFunction,
    operationId: OperationId,
    options?: RegisterCallOptions,
  ): Promise<ChangeOutcome> {
    assert(key !== configKey, 'the config register changes by ConfigChange only')
    const deadlineMs = this.#deadline(options)
    return new Promise(resolve =>
      changeRegister(this.#proposer, { key, change: boundedChange(fn), operationId, deadlineMs }, outcome => {
        if (outcome.kind === 'committed' || outcome.kind === 'rejected') this.#know(key, outcome.current)
        resolve(outcome)
      }),
    )
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
      watch = { listeners: new Set(), delivered: 0, wanted: 0, reading: false }
      this.#watches.set(key, watch)
    }
    const { listeners } = watch
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#watches.delete(key)
    }
  }

  noticed(key: ByteString, version: number): void {
    const watch = this.#watches.get(key)
    if (watch === undefined || version <= watch.wanted) return
    watch.wanted = version
    if (!watch.reading) this.#catchUp(key, watch)
  }

  #catchUp(key: ByteString, watch: Watch): void {
    watch.reading = true
    const asked = watch.wanted
    readRegister(this.#proposer, key, this.#deadline(undefined), outcome => {
      watch.reading = false
      if (outcome.kind === 'value') this.#know(key, outcome.current)
      // Not readable now: forget the notice, so that the next round of gossip tries again.
      else watch.wanted = watch.delivered
      if (watch.wanted > asked) this.#catchUp(key, watch)
    })
  }

  #know(key: ByteString, current: Versioned): void {
    if (current.version > 0) this.#onVersion?.(key, current.version)
    const watch = this.#watches.get(key)
    if (watch === undefined || current.version <= watch.delivered) return
    watch.delivered = current.version
    watch.wanted = Math.max(watch.wanted, current.version)
    for (const listener of [...watch.listeners]) listener(current)
  }

  #collectLater(key: ByteString, version: number): void {
    const { clock } = this.#proposer
    clock.setTimer(this.#collectDelayMs, () => {
      const deadlineMs = clock.monotonicMs() + limits.requestTimeoutMs
      collectRegister(this.#proposer, key, version, deadlineMs, outcome => {
        if (outcome === 'postponed') this.#collectLater(key, version)
      })
    })
  }

  #deadline(options: RegisterCallOptions | undefined): number {
    const timeoutMs = Math.min(options?.timeoutMs ?? limits.requestTimeoutMs, limits.requestTimeoutMaxMs)
    return this.#proposer.clock.monotonicMs() + timeoutMs
  }
}

/** A value past the limit is refused like any other rejection: nothing is written. */
export function boundedChange(fn: ChangeFunction): ChangeFunction {
  return (current, version) => {
    const decision = fn(current, version)
    const length = 'value' in decision ? (decision.value?.length ?? 0) : 0
    return length > limits.registerBytesMax ? { reject: 'too-large' } : decision
  }
}
