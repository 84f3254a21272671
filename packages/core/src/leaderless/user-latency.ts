/**
 * How long user requests take at this coordinator: a log-linear histogram over the last few seconds, two
 * windows deep so that it neither forgets all at once nor remembers for ever. Movement slows down by it.
 */

import type { Clock } from '../ports/clock.ts'

/** Short: what has been slowed down must show soon, or it is slowed down again for what is over. */
const WINDOW_MS = 2_000
/** Bucket i ends at 0.1 ms × 1.2^i: 20 % wide, up to some minutes. */
const BUCKETS = 80
const FIRST_MS = 0.1
const GROWTH = 1.2
/** Fewer than so many say nothing about a p99. */
const COUNT_MIN = 50

export class UserLatency {
  readonly #clock: Clock
  #current = new Uint32Array(BUCKETS)
  #last = new Uint32Array(BUCKETS)
  #startedMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
  }

  record(ms: number): void {
    const bucket = ms <= FIRST_MS ? 0 : Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH))
    this.#turn()
    const at = Math.min(BUCKETS - 1, bucket)
    this.#current[at] = this.#current[at]! + 1
  }

  #turn(): void {
    const now = this.#clock.monotonicMs()
    const windows = Math.floor((now - this.#startedMs) / WINDOW_MS)
    if (windows < 1) return
    this.#last = windows === 1 ? this.#current : new Uint32Array(BUCKETS)
    this.#current = new Uint32Array(BUCKETS)
    this.#startedMs += windows * WINDOW_MS
  }

  /** Milliseconds, within 20 %; undefined when too few requests were seen. */
  p99(): number | undefined {
    this.#turn()
    const count = this.#current.reduce((sum, n) => sum + n, 0) + this.#last.reduce((sum, n) => sum + n, 0)
    if (count < COUNT_MIN) return undefined
    let above = count * 0.01
    for (let at = BUCKETS - 1; at >= 0; at--) {
      above -= this.#current[at]! + this.#last[at]!
      if (above < 0) return FIRST_MS * GROWTH ** at
    }
    return FIRST_MS
  }
}
