/**
 * When to hedge a read: after the recent p95 of replica answers, within a budget.
 *
 * A decaying log-linear histogram of answer times; hedged answers do not enter it (they would lower the
 * very percentile that triggers them). The budget is a token bucket filled by `limits.hedgeBudgetShare`
 * of a token per read, so hedging stops by itself when everything is slow.
 * References: Dean, Barroso, "The Tail at Scale" (2013).
 */

import { limits } from '../base/limits.ts'

const BUCKETS = 64
const BUDGET_MAX = 20
const DECAY_AFTER = 2048

export class LatencyTracker {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0
  #since = 0
  #budget = BUDGET_MAX / 2

  record(ms: number): void {
    this.#counts[bucketOf(ms)]! += 1
    this.#total++
    if (++this.#since >= DECAY_AFTER) {
      this.#since = 0
      this.#total = 0
      for (let i = 0; i < BUCKETS; i++) {
        this.#counts[i] = this.#counts[i]! / 2
        this.#total += this.#counts[i]!
      }
    }
  }

  /** Milliseconds after which a further replica is asked. */
  hedgeAfterMs(): number {
    if (this.#total < 20) return 50
    let left = this.#total * 0.05
    for (let i = BUCKETS - 1; i >= 0; i--) {
      left -= this.#counts[i]!
      if (left <= 0) return Math.max(2, upperBound(i))
    }
    return 2
  }

  readStarted(): void {
    this.#budget = Math.min(BUDGET_MAX, this.#budget + limits.hedgeBudgetShare)
  }

  /** Takes one hedge from the budget; false when there is none left. */
  take(): boolean {
    if (this.#budget < 1) return false
    this.#budget -= 1
    return true
  }
}

/** Four buckets per doubling, from 0.25 ms. */
function bucketOf(ms: number): number {
  if (ms <= 0.25) return 0
  return Math.min(BUCKETS - 1, Math.floor(4 * Math.log2(ms / 0.25)) + 1)
}

const upperBound = (bucket: number): number => 0.25 * 2 ** (bucket / 4)
