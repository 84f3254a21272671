/**
 * Time as an argument.
 *
 * Contract: `monotonicMs` never goes back and starts anywhere; `wallMs` (since 1970) may jump both
 * ways. Timers follow the monotonic clock, fire at most once, never early, never inside `setTimer`,
 * and never after `cancel`. `defer` runs once the current burst of input has been handled: it is how
 * many requests share one write.
 */
export interface Clock {
  wallMs(): number
  monotonicMs(): number
  setTimer(delayMs: number, run: () => void): Timer
  defer(run: () => void): void
}

export interface Timer {
  cancel(): void
}
