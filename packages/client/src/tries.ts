/**
 * The tries of one call: one deadline over all of them, jittered back-off between them, and what they have
 * told so far. `unknown` is remembered: once a try may have been applied, the call cannot end as not applied.
 */

import {
  type Clock,
  isQuorateError,
  limits,
  type PeerId,
  QuorateError,
  type Random,
  randomUnit,
} from '@quorate/core'
import { Attempts } from './attempts.ts'
import type { CallOptions } from './client.ts'

const BACKOFF_MIN_MS = 10
const BACKOFF_MAX_MS = 500
/** A share of the deadline is kept back so that a second coordinator can be tried. */
const ATTEMPT_MS = 2_000
/** Where the one node that can do it may be replaced meanwhile, and the same request through another is the same. */
const ATTEMPT_LED_MS = 1_500
/** With a full disk: another home may have room, which is worth a few tries and not the whole deadline. */
const TRIES_ELSEWHERE_MAX = 3

/** Milliseconds before try `attempt` is made again. */
export function backoffMs(random: Random, attempt: number): number {
  const cap = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(attempt, 10))
  return cap * (0.5 + randomUnit(random) / 2)
}

export class Tries {
  readonly options: CallOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #isWrite: boolean
  readonly #timeoutMs: number
  readonly #deadline: number
  readonly #attempts = new Attempts()
  /** Who was asked last; undefined when nobody could be. */
  peer: PeerId | undefined
  /** Fetches what the node that answered STALE_MAP knows. */
  onStaleMap: ((informant: PeerId) => Promise<void>) | undefined
  /** The partition has a leader: one that does not answer is soon replaced, and a log knows what it has already. */
  isLed = false
  #count = 0
  #maybeApplied = false
  /** What a node said tells more than that another could not be reached. */
  #best: QuorateError | undefined

  constructor(clock: Clock, random: Random, options: CallOptions, isWrite: boolean) {
    this.options = options
    this.#clock = clock
    this.#random = random
    this.#isWrite = isWrite
    this.#timeoutMs = Math.min(options.timeoutMs ?? limits.requestTimeoutMs, limits.requestTimeoutMaxMs)
    this.#deadline = clock.monotonicMs() + this.#timeoutMs
  }

  /** How long the next try may take. Throws CANCELLED when the caller has given up. */
  nextMs(): number {
    if (this.options.signal?.aborted === true) {
      const outcome = this.#maybeApplied ? 'unknown' : 'not-applied'
      throw this.#sumUp(new QuorateError('CANCELLED', 'the call was aborted', { outcome }), outcome)
    }
    const leftMs = this.#deadline - this.#clock.monotonicMs()
    const tryMs = this.isLed ? ATTEMPT_LED_MS : Math.max(ATTEMPT_MS, this.#timeoutMs / 2)
    return Math.max(1, Math.min(leftMs, tryMs))
  }

  /** Whom to ask now, as `choose` says. */
  next(choose: () => PeerId): PeerId {
    this.peer = undefined
    this.peer = choose()
    return this.peer
  }

  /** A try failed. Throws when there can be no other. */
  failed(error: unknown): QuorateError {
    if (!isQuorateError(error)) throw error
    this.#attempts.add(this.peer, error)
    if (this.#isWrite && error.outcome === 'unknown') this.#maybeApplied = true
    if (error.code !== 'UNREACHABLE') this.#best = error
    if (error.code === 'CANCELLED') throw this.#final(error, error)
    return error
  }

  /** Something else that went wrong meanwhile. */
  note(error: unknown): void {
    this.#attempts.add(undefined, error)
  }

  /** How long to wait after `error`. Throws what the call ends with when trying again is of no use, or too late. */
  waitMs(error: QuorateError): number {
    const attempt = this.#count++
    const { code } = error
    // The newer map is here now: there is nothing to wait for.
    const backOffMs = code === 'STALE_MAP' && attempt < 3 ? 0 : backoffMs(this.#random, attempt)
    const waitMs = Math.max(backOffMs, Number(error.data.retryAfterMs ?? 0))
    // Who is asked is asked for a table that this client knows: a node that does not is behind, and will hear of it.
    const isBehind = code === 'UNKNOWN_TABLE' && this.peer !== undefined
    const isFull = code === 'STORE_FULL' && attempt < TRIES_ELSEWHERE_MAX
    const worthIt = error.retryable || isBehind || isFull
    if (worthIt && this.#clock.monotonicMs() + waitMs < this.#deadline) return waitMs
    throw this.#final(this.#best ?? error, error)
  }

  #final(error: QuorateError, last: QuorateError): QuorateError {
    const outcome = this.#maybeApplied ? 'unknown' : this.#isWrite ? last.outcome : 'not-applied'
    return this.#sumUp(error, outcome)
  }

  #sumUp(error: QuorateError, outcome: QuorateError['outcome']): QuorateError {
    if (this.#attempts.count === 1 && error.outcome === 'not-applied') return error
    const { code, message, data } = error
    const attempts = this.#attempts.lines(error)
    return new QuorateError(code, message, { outcome, data, attempts, cause: error })
  }
}
