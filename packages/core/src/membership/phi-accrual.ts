/**
 * How suspicious is a silence? Pure: time is an argument.
 *
 * Problem: a fixed timeout is wrong on every other network. Mechanism: keep the last intervals between
 * beats; phi = −log₁₀ of the probability that a beat comes later than the silence has lasted, the
 * intervals taken as normally distributed. phi 8: one wrong suspicion in 10⁸ beats, if the model held.
 * Invariants: phi >= 0, grows with the silence; the standard deviation has a floor, since on a perfectly
 * regular beat one late one would otherwise make phi explode.
 * Reference: Hayashibara, Défago, Yared, Katayama, "The φ Accrual Failure Detector" (2004); the tail is
 * the logistic approximation used by Akka.
 */

export interface PhiOptions {
  /** Intervals remembered. */
  readonly window: number
  /** Expected interval, before any was seen. */
  readonly firstIntervalMs: number
  /** Floor of the standard deviation. */
  readonly deviationMinMs: number
}

export class PhiAccrual {
  readonly #options: PhiOptions
  readonly #intervals: number[] = []
  #next = 0
  #sum = 0
  #squares = 0
  #lastMs: number

  /** `nowMs` counts as a first beat: a node never heard of becomes suspicious like one that fell silent. */
  constructor(options: PhiOptions, nowMs: number) {
    this.#options = options
    this.#lastMs = nowMs
    this.#add(options.firstIntervalMs)
  }

  beat(nowMs: number): void {
    this.#add(Math.max(0, nowMs - this.#lastMs))
    this.#lastMs = nowMs
  }

  /** The observer itself was away: this much of the silence says nothing about the peer. */
  forgive(ms: number, nowMs: number): void {
    this.#lastMs = Math.min(nowMs, this.#lastMs + ms)
  }

  /** `widening` >= 1 divides the silence: the observer's doubt in itself. */
  phi(nowMs: number, widening = 1): number {
    const count = this.#intervals.length
    const mean = this.#sum / count
    const variance = Math.max(0, this.#squares / count - mean * mean)
    const deviation = Math.max(this.#options.deviationMinMs, Math.sqrt(variance))
    const y = ((nowMs - this.#lastMs) / widening - mean) / deviation
    const exponent = y * (1.5976 + 0.070566 * y * y)
    // −log₁₀(1 / (1 + e^x)), written so that neither tail overflows.
    const tail = exponent > 30 ? exponent : Math.log1p(Math.exp(exponent))
    return tail / Math.LN10
  }

  #add(interval: number): void {
    const old = this.#intervals[this.#next]
    if (old !== undefined) {
      this.#sum -= old
      this.#squares -= old * old
    }
    this.#intervals[this.#next] = interval
    this.#sum += interval
    this.#squares += interval * interval
    this.#next = (this.#next + 1) % this.#options.window
  }
}
