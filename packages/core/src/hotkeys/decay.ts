/**
 * Exponential decay without touching what decays.
 *
 * Problem: "hot" means hot now, so old counts must fade; multiplying every counter at every step is work that
 * nothing needs. Mechanism: forward decay: an event at time t counts as 2^((t − landmark) / halfLife), older
 * ones keep the number they got, and a count's value now is that number divided by the growth of now. Time
 * advances in 64 steps per half-life, and the powers in between come from square roots, which IEEE 754 rounds
 * the same everywhere; so equal events give equal numbers on every engine.
 *
 * Reference: Cormode, Shkapenyuk, Srivastava, Xu 2009, "Forward Decay".
 */

import { assert } from '../base/assert.ts'

const STEPS = 64
const STEPS_LOG = 6
/** Numbers have grown by 2⁴⁰ since the landmark: it is time to move it. */
export const growthStepsMax = 40 * STEPS

/** 2^(i/64), from products of repeated square roots of 2. */
const FRACTIONS: readonly number[] = Array.from({ length: STEPS }, (_, i) => {
  let product = 1
  let root = 2
  for (let bit = STEPS_LOG - 1; bit >= 0; bit--) {
    root = Math.sqrt(root)
    if ((i >> bit) & 1) product *= root
  }
  return product
})
const POWERS: readonly number[] = Array.from({ length: 41 }, (_, i) => 2 ** i)

/** Monotonic time in steps of a 64th of the half-life. */
export function decayStep(nowMs: number, halfLifeMs: number): number {
  return Math.floor((nowMs * STEPS) / halfLifeMs)
}

/** 2^(steps/64), for 0 <= steps <= growthStepsMax. */
export function growth(steps: number): number {
  assert(steps >= 0 && steps <= growthStepsMax, 'growth is bounded', steps)
  return FRACTIONS[steps & (STEPS - 1)]! * POWERS[steps >> STEPS_LOG]!
}

/** 2^(−steps/64), for any steps >= 0. */
export function shrinkage(steps: number): number {
  let left = steps
  let factor = 1
  while (left > growthStepsMax) {
    factor /= POWERS[40]!
    left -= growthStepsMax
    if (factor < Number.MIN_VALUE * 2) return 0
  }
  return factor / growth(left)
}

/** What a steady rate adds up to: rate = sum × this. */
export const ratePerSecond = (sum: number, halfLifeMs: number): number => (sum * Math.LN2 * 1000) / halfLifeMs

/** The part of that which `ageMs` of it add up to: 1 − 2^(−age/halfLife), straight between two steps. */
export function reachedShare(ageMs: number, halfLifeMs: number): number {
  const steps = (ageMs * STEPS) / halfLifeMs
  const whole = Math.floor(steps)
  const left = shrinkage(whole) + (shrinkage(whole + 1) - shrinkage(whole)) * (steps - whole)
  return 1 - left
}

/** One decaying sum. Times that go back count as the newest seen. */
export class DecayingSum {
  #value = 0
  #step = 0

  add(amount: number, step: number): void {
    this.#value = this.at(step) + amount
    if (step > this.#step) this.#step = step
  }

  at(step: number): number {
    return step <= this.#step || this.#value === 0 ? this.#value : this.#value * shrinkage(step - this.#step)
  }
}
