/**
 * Many deadlines, one timer.
 *
 * Problem: a timer per request costs more than the request's share of everything else, and nearly all
 * are cancelled. Mechanism: deadlines go into buckets of a few milliseconds; one timer is armed for the
 * earliest bucket. What is cancelled leaves its bucket at once: kept until its time, each request of the
 * last seconds would stay in memory long enough to be moved to the old generation.
 * Invariants: `expire` runs at most once, never early, at most one bucket (and one timer) late, and never
 * after `cancel`.
 */

import type { Clock, Timer } from './clock.ts'

const BUCKET_MS = 10

export interface Expiring {
  expire(): void
}

/** One entry, at its place in a bucket. */
export class Deadline {
  readonly #bucket: Deadline[]
  readonly #who: Expiring
  /** -1: gone, run or cancelled. */
  #at: number

  constructor(bucket: Deadline[], who: Expiring) {
    this.#bucket = bucket
    this.#who = who
    this.#at = bucket.length
    bucket.push(this)
  }

  cancel(): void {
    if (this.#at < 0) return
    const last = this.#bucket.pop()!
    if (last !== this) {
      this.#bucket[this.#at] = last
      last.#at = this.#at
    }
    this.#at = -1
  }

  run(): void {
    this.cancel()
    this.#who.expire()
  }
}

export class Deadlines {
  readonly #clock: Clock
  readonly #buckets = new Map<number, Deadline[]>()
  #armedFor = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `atMs` on the monotonic clock. */
  add(atMs: number, who: Expiring): Deadline {
    const number = Math.ceil(atMs / BUCKET_MS)
    let bucket = this.#buckets.get(number)
    if (bucket === undefined) {
      bucket = []
      if (!this.#stopped) this.#open(number, bucket)
    }
    return new Deadline(bucket, who)
  }

  #open(number: number, bucket: Deadline[]): void {
    this.#buckets.set(number, bucket)
    if (number < this.#armedFor) this.#arm(number)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#buckets.clear()
  }

  #arm(number: number): void {
    this.#timer?.cancel()
    this.#armedFor = number
    const waitMs = Math.max(0, number * BUCKET_MS - this.#clock.monotonicMs())
    this.#timer = this.#clock.setTimer(waitMs, () => this.#tick())
  }

  #tick(): void {
    this.#timer = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    const now = Math.floor(this.#clock.monotonicMs() / BUCKET_MS)
    const due = [...this.#buckets.keys()].filter(number => number <= now).sort((a, b) => a - b)
    for (const number of due) {
      const bucket = this.#buckets.get(number) ?? []
      this.#buckets.delete(number)
      // One at a time from its end: what runs may cancel others of the same bucket, or stop everything.
      while (bucket.length > 0 && !this.#stopped) bucket.at(-1)!.run()
    }
    if (this.#stopped || this.#buckets.size === 0) return
    const next = Math.min(...this.#buckets.keys())
    if (next < this.#armedFor) this.#arm(next)
  }
}
