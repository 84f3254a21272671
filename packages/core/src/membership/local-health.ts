/**
 * Doubt in oneself before doubt in others.
 *
 * Problem: an observer whose own event loop stalls sees everyone silent and accuses the whole cluster.
 * Mechanism: the lateness of one's own timers widens the silence one tolerates, by a factor from 1 to 8
 * that falls back as timers become punctual. Pure.
 * Invariant: 1 <= multiplier <= 8.
 * Reference: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure
 * Detection" (2017). Departure: Lifeguard scores missed acknowledgements; here the timer tells directly.
 */

const MULTIPLIER_MAX = 8
/** This much lateness adds one to the multiplier. */
const LATENESS_STEP_MS = 100
/** Share of the score that is left one punctual timer later. */
const DECAY = 0.8

export class LocalHealth {
  #score = 0

  /** A timer came `latenessMs` after it was due. */
  observe(latenessMs: number): void {
    const seen = Math.max(0, latenessMs) / LATENESS_STEP_MS
    this.#score = Math.min(MULTIPLIER_MAX - 1, Math.max(seen, this.#score * DECAY))
  }

  /** `overdueMs`: a timer that should have come by now and has not. */
  multiplier(overdueMs = 0): number {
    const now = Math.max(0, overdueMs) / LATENESS_STEP_MS
    return 1 + Math.min(MULTIPLIER_MAX - 1, Math.max(now, this.#score))
  }
}
