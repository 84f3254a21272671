/**
 * The most frequent keys of a stream, in memory that does not grow with the stream.
 *
 * Problem: which keys are hot, when counting every key is out of the question. Mechanism: Space-Saving:
 * `capacity` counters; a key without one takes over the smallest, keeps its count, and remembers it as its
 * error. Counters lie in a heap by count (decayed counts are no integers, so the paper's list of buckets does
 * not fit); an update sifts one counter down. Counts decay by forward decay (decay.ts).
 *
 * Invariants, for the decayed weights: count − error <= true count <= count; the counts add up to the
 * total; the smallest counter <= total / capacity, so a key above that share is always there; a key without
 * a counter has at most `floor`. Same notes, same times: same sketch.
 *
 * Merging adds upper and lower bounds; where a sketch does not know a key it may have had up to that
 * sketch's floor. References: Metwally, Agrawal, El Abbadi 2005, "Efficient computation of frequent and
 * top-k elements in data streams"; Agarwal et al. 2012, "Mergeable summaries".
 */

import { assert } from '../base/assert.ts'
import { compareStrings } from '../base/ids.ts'
import { decayStep, growth, growthStepsMax, shrinkage } from './decay.ts'

export interface CountedKey {
  readonly key: string
  /** Upper bound of the decayed weight. */
  readonly count: number
  /** The true weight is at least count − error. */
  readonly error: number
}

/** What a sketch knows at one moment. */
export interface KeySummary {
  readonly total: number
  /** Upper bound of any key that is not listed. */
  readonly floor: number
  /** Highest count first. */
  readonly keys: readonly CountedKey[]
}

export const noKeys: KeySummary = { total: 0, floor: 0, keys: [] }

export interface SpaceSavingOptions {
  readonly capacity: number
  readonly halfLifeMs: number
}

/** A counter in the map, the arrays and the list of keys, apart from the key's own characters. */
const COUNTER_BYTES = 96

export class SpaceSaving {
  readonly #capacity: number
  readonly #halfLifeMs: number
  readonly #slotOf = new Map<string, number>()
  /** By slot. */
  readonly #keys: string[] = []
  readonly #counts: Float64Array
  readonly #errors: Float64Array
  /** Heap of slots, smallest count first, and each slot's place in it. */
  readonly #heap: Int32Array
  readonly #places: Int32Array
  #landmark: number | undefined
  #step = 0
  #scale = 1
  #total = 0
  #keyBytes = 0

  constructor({ capacity, halfLifeMs }: SpaceSavingOptions) {
    assert(Number.isInteger(capacity) && capacity > 0, 'a sketch needs room for a key', capacity)
    assert(halfLifeMs > 0, 'a half-life is above 0', halfLifeMs)
    this.#capacity = capacity
    this.#halfLifeMs = halfLifeMs
    this.#counts = new Float64Array(capacity)
    this.#errors = new Float64Array(capacity)
    this.#heap = new Int32Array(capacity)
    this.#places = new Int32Array(capacity)
  }

  /** Memory it holds, roughly. */
  get bytes(): number {
    return this.#capacity * COUNTER_BYTES + this.#keyBytes
  }

  /** True when the key had a counter already. Times that go back count as the newest seen. */
  note(key: string, nowMs: number, weight = 1): boolean {
    this.#advance(nowMs)
    const amount = weight * this.#scale
    this.#total += amount
    const known = this.#slotOf.get(key)
    if (known !== undefined) {
      this.#counts[known]! += amount
      this.#sink(this.#places[known]!)
      return true
    }
    if (this.#keys.length < this.#capacity) this.#add(key, amount)
    else this.#takeOver(key, amount)
    return false
  }

  total(nowMs: number): number {
    this.#advance(nowMs)
    return this.#total / this.#scale
  }

  /** At most `count` keys, the highest. What is left out raises the floor. */
  summary(nowMs: number, count = this.#capacity): KeySummary {
    this.#advance(nowMs)
    const scale = this.#scale
    const keys = this.#keys.map((key, slot) => ({
      key,
      count: this.#counts[slot]! / scale,
      error: this.#errors[slot]! / scale,
    }))
    const isFull = this.#keys.length === this.#capacity
    const floor = isFull ? this.#counts[this.#heap[0]!]! / scale : 0
    return shortened({ total: this.#total / scale, floor, keys }, count)
  }

  /** Moves time on; the growth since the landmark stays bounded. */
  #advance(nowMs: number): void {
    const step = decayStep(nowMs, this.#halfLifeMs)
    if (this.#landmark === undefined) {
      this.#landmark = step
      this.#step = step
    }
    if (step <= this.#step) return
    this.#step = step
    if (step - this.#landmark > growthStepsMax) this.#renormalise(step)
    this.#scale = growth(step - this.#landmark)
  }

  /** All counts in units of `step`. A common factor keeps the heap's order. */
  #renormalise(step: number): void {
    const factor = shrinkage(step - this.#landmark!)
    this.#total *= factor
    for (let slot = 0; slot < this.#keys.length; slot++) {
      this.#counts[slot]! *= factor
      this.#errors[slot]! *= factor
    }
    this.#landmark = step
  }

  #add(key: string, amount: number): void {
    const slot = this.#keys.length
    this.#keys.push(key)
    this.#keyBytes += key.length
    this.#slotOf.set(key, slot)
    this.#counts[slot] = amount
    this.#heap[slot] = slot
    this.#places[slot] = slot
    this.#rise(slot)
  }

  #takeOver(key: string, amount: number): void {
    const slot = this.#heap[0]!
    const gone = this.#keys[slot]!
    this.#slotOf.delete(gone)
    this.#slotOf.set(key, slot)
    this.#keys[slot] = key
    this.#keyBytes += key.length - gone.length
    this.#errors[slot] = this.#counts[slot]!
    this.#counts[slot]! += amount
    this.#sink(0)
  }

  #rise(from: number): void {
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (this.#counts[this.#heap[parent]!]! <= this.#counts[this.#heap[place]!]!) return
      this.#swap(place, parent)
      place = parent
    }
  }

  #sink(from: number): void {
    const heap = this.#heap
    const counts = this.#counts
    const length = this.#keys.length
    let place = from
    for (;;) {
      const left = 2 * place + 1
      if (left >= length) return
      const right = left + 1
      const least = right < length && counts[heap[right]!]! < counts[heap[left]!]! ? right : left
      if (counts[heap[least]!]! >= counts[heap[place]!]!) return
      this.#swap(place, least)
      place = least
    }
  }

  #swap(a: number, b: number): void {
    const [atA, atB] = [this.#heap[a]!, this.#heap[b]!]
    this.#heap[a] = atB
    this.#heap[b] = atA
    this.#places[atA] = b
    this.#places[atB] = a
  }
}

/** One summary of all streams together, of at most `count` keys. */
export function mergeSummaries(summaries: readonly KeySummary[], count: number): KeySummary {
  const floor = summaries.reduce((sum, summary) => sum + summary.floor, 0)
  const merged = new Map<string, { upper: number; lower: number; floors: number }>()
  for (const summary of summaries) {
    for (const { key, count: upper, error } of summary.keys) {
      const sum = merged.get(key) ?? { upper: 0, lower: 0, floors: 0 }
      sum.upper += upper
      sum.lower += upper - error
      sum.floors += summary.floor
      merged.set(key, sum)
    }
  }
  const keys = [...merged].map(([key, { upper, lower, floors }]) => {
    // The sketches that do not list it may each have had up to their floor of it.
    const highest = upper + Math.max(0, floor - floors)
    return { key, count: highest, error: highest - lower }
  })
  const total = summaries.reduce((sum, summary) => sum + summary.total, 0)
  return shortened({ total, floor, keys }, count)
}

/** The highest `count` keys, in order: by count, then by key. */
function shortened({ total, floor, keys }: KeySummary, count: number): KeySummary {
  const ordered = [...keys].sort((a, b) => b.count - a.count || compareStrings(a.key, b.key))
  return { total, floor: Math.max(floor, ordered[count]?.count ?? 0), keys: ordered.slice(0, count) }
}
