/**
 * Many deadlines, one timer.
 *
 * Problem: a timer per request costs more than the request's share of everything else, and nearly all
 * are cancelled. Mechanism: deadlines go into buckets of a few milliseconds; one timer is armed for the
 * earliest bucket. Nothing is cancelled: who has been answered ignores its expiry.
 * Invariant: `expire` runs once, never early, at most one bucket (and one timer) late.
 */

import type { Clock, Timer } from './clock.ts'

const BUCKET_MS = 10

export interface Expiring {
  expire(): void
}

export class Deadlines {
  readonly #clock: Clock
  readonly #buckets = new Map<number, Expiring[]>()
  #armedFor = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `atMs` on the monotonic clock. */
  add(atMs: number, who: Expiring): void {
    if (this.#stopped) return
    const bucket = Math.ceil(atMs / BUCKET_MS)
    const waiting = this.#buckets.get(bucket)
    if (waiting !== undefined) {
      waiting.push(who)
      return
    }
    this.#buckets.set(bucket, [who])
    if (bucket < this.#armedFor) this.#arm(bucket)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#buckets.clear()
  }

  #arm(bucket: number): void {
    this.#timer?.cancel()
    this.#armedFor = bucket
    const waitMs = Math.max(0, bucket * BUCKET_MS - this.#clock.monotonicMs())
    this.#timer = this.#clock.setTimer(waitMs, () => this.#tick())
  }

  #tick(): void {
    this.#timer = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    const now = Math.floor(this.#clock.monotonicMs() / BUCKET_MS)
    const due = [...this.#buckets.keys()].filter(bucket => bucket <= now).sort((a, b) => a - b)
    for (const bucket of due) {
      const waiting = this.#buckets.get(bucket)!
      this.#buckets.delete(bucket)
      for (const who of waiting) who.expire()
    }
    if (this.#stopped || this.#buckets.size === 0) return
    const next = Math.min(...this.#buckets.keys())
    if (next < this.#armedFor) this.#arm(next)
  }
}
