/**
 * Seeded randomness: xoshiro128** (Blackman, Vigna 2018), seeded through splitmix32. Same seed, same
 * numbers, on every engine. Not for secrets.
 */

import type { Random } from '../ports/random.ts'
import { assert } from './assert.ts'

export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number) {
    let state = seed >>> 0
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return z ^ (z >>> 15)
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
  }

  uint32(): number {
    const product = Math.imul(this.#b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9)
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result >>> 0
  }

  /** An independent stream, so that drawing more in one place does not shift another. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32())
  }
}

/** Uniform integer in [0, bound). */
export function randomBelow(random: Random, bound: number): number {
  assert(Number.isInteger(bound) && bound > 0 && bound <= 0x1_0000_0000, 'bound must be 1 … 2^32', bound)
  return Math.floor((random.uint32() / 0x1_0000_0000) * bound)
}

/** Uniform real in [0, 1). */
export const randomUnit = (random: Random): number => random.uint32() / 0x1_0000_0000

export const randomChance = (random: Random, probability: number): boolean => randomUnit(random) < probability

export function randomPick<T>(random: Random, items: readonly T[]): T {
  assert(items.length > 0, 'cannot pick from nothing')
  return items[randomBelow(random, items.length)]!
}

/** Fisher–Yates, on a copy. */
export function randomShuffle<T>(random: Random, items: readonly T[]): T[] {
  const out = items.slice()
  for (let i = out.length - 1; i > 0; i--) {
    const j = randomBelow(random, i + 1)
    const swap = out[i]!
    out[i] = out[j]!
    out[j] = swap
  }
  return out
}

export function randomByteString(random: Random, length: number): string {
  const codes: number[] = []
  for (let i = 0; i < length; i++) codes.push(random.uint32() & 255)
  return String.fromCharCode.apply(null, codes)
}
