/**
 * Admission at the coordinator: refuses early what would only queue.
 *
 * Signals: requests being coordinated, bytes waiting for a sync, and how late the event loop runs. A
 * refused request has cost one decode; the client is told when to come back.
 */

import { QuorateError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Store } from '../store/store-face.ts'
import type { Counters } from './counters.ts'

const LOOP_LATE_MAX_MS = 2_000

export class Admission {
  readonly #store: Store
  readonly #counters: Counters
  /** Lateness of the event loop, as local health measures it. */
  readonly #loopLateMs: () => number
  /** What makes most of the work, in words; undefined: nothing does. */
  readonly #culprit: () => string | undefined
  #coordinating = 0

  constructor(
    store: Store,
    counters: Counters,
    loopLateMs: () => number,
    culprit: () => string | undefined = () => undefined,
  ) {
    this.#culprit = culprit
    this.#store = store
    this.#counters = counters
    this.#loopLateMs = loopLateMs
  }

  get coordinating(): number {
    return this.#coordinating
  }

  /** Throws OVERLOADED (nothing done). Every `enter` has one `leave`. */
  enter(): void {
    const lateMs = this.#loopLateMs()
    const full = this.#coordinating >= limits.coordinatingMax
    if (!full && lateMs <= LOOP_LATE_MAX_MS && this.#store.inFlightBytes <= limits.storeInFlightBytesMax) {
      this.#coordinating++
      return
    }
    this.#counters.overloaded++
    const retryAfterMs = Math.min(1_000, 50 + Math.round(lateMs))
    const hot = this.#culprit()
    const because = hot === undefined ? '' : `, and ${hot}`
    throw new QuorateError(
      'OVERLOADED',
      `this node has all the work it can do${because}; try again in ${retryAfterMs} ms`,
      {
        data: { retryAfterMs, coordinating: this.#coordinating, ...(hot === undefined ? {} : { hot }) },
      },
    )
  }

  leave(): void {
    this.#coordinating--
  }
}
