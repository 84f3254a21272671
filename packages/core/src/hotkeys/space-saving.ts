/**
 * The most frequent keys of a stream, in memory that does not grow with the stream.
 *
 * Problem: which keys are hot, when counting every key is out of the question. Mechanism: Space-Saving:
 * `capacity` counters; a key without one takes over the smallest, and remembers as its error what it may
 * not have had. Counters lie in a heap by count (decayed counts are no integers, so the paper's list of buckets
 * does not fit); an update sifts one counter down. Counts decay by forward decay (decay.ts). In front stands a
 * filter: cells by hash, each an upper bound of every key without a counter that falls into it. A key gets
 * a counter only when its cell would rise above the smallest; so the many keys that come once cost one
 * addition instead of a takeover, and errors are smaller.
 *
 * Invariants, for the decayed weights: count − error <= true count <= count; a key without a counter has at
 * most its cell, every cell <= the smallest counter, and `floor` is the highest cell; the counts add up to
 * no more than the total (a takeover raises the sum by at most the note's weight, since the cell was not above
 * the counter it replaces), so the smallest <= total / capacity, and a key above that share is always
 * there. Same notes, same times: same sketch.
 *
 * Merging adds upper and lower bounds; where a sketch does not know a key it may have had up to that
 * sketch's floor. References: Metwally, Agrawal, El Abbadi 2005, "Efficient computation of frequent and
 * top-k elements in data streams"; Homem, Carvalho 2010, "Finding top-k elements in data streams" (the filter);
 * Agarwal et al. 2012, "Mergeable summaries".
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

/** Cells of the filter for each counter; a power of two of cells in all. */
const CELLS_PER_COUNTER = 4
/** A counter in the map, the arrays and the list of keys, and its cells; apart from the key's own characters. */
const COUNTER_BYTES = 96 + CELLS_PER_COUNTER * 8
/** Keys that differ mostly differ at their end. Those that do not share a cell, which costs accuracy only. */
const HASHED_CHARS = 12

export class SpaceSaving {
  readonly #capacity: number
  readonly #halfLifeMs: number
  readonly #slotOf = new Map<string, number>()
  /** By slot. */
  readonly #keys: string[] = []
  readonly #counts: number[] = []
  readonly #errors: number[] = []
  /** Heap of slots, smallest count first, and each slot's place in it. */
  readonly #heap: number[] = []
  readonly #places: number[] = []
  /** The filter, once all counters are taken. */
  #cells: number[] | undefined
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
    else this.#filter(key, amount)
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
    const floor = (this.#cells ?? []).reduce((most, cell) => Math.max(most, cell), 0) / scale
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
    const cells = this.#cells ?? []
    for (let i = 0; i < cells.length; i++) cells[i]! *= factor
    this.#landmark = step
  }

  #add(key: string, amount: number): void {
    const slot = this.#keys.length
    this.#keys.push(key)
    this.#keyBytes += key.length
    this.#slotOf.set(key, slot)
    this.#counts.push(amount)
    this.#errors.push(0)
    this.#heap.push(slot)
    this.#places.push(slot)
    this.#rise(slot)
  }

  #filter(key: string, amount: number): void {
    this.#cells ??= new Array<number>(cellCount(this.#capacity)).fill(0)
    const cells = this.#cells
    const cell = cellOf(key, cells.length)
    const before = cells[cell]!
    if (before + amount > this.#counts[this.#heap[0]!]!) this.#takeOver(key, before, amount, cells)
    else cells[cell] = before + amount
  }

  #takeOver(key: string, before: number, amount: number, cells: number[]): void {
    const slot = this.#heap[0]!
    const gone = this.#keys[slot]!
    this.#slotOf.delete(gone)
    this.#slotOf.set(key, slot)
    this.#keys[slot] = key
    this.#keyBytes += key.length - gone.length
    cells[cellOf(gone, cells.length)] = this.#counts[slot]!
    this.#errors[slot] = before
    this.#counts[slot] = before + amount
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

const cellCount = (capacity: number): number => 2 ** Math.ceil(Math.log2(capacity * CELLS_PER_COUNTER))

/** FNV-1a (Fowler, Noll, Vo) of the key's end. */
function cellOf(key: string, cells: number): number {
  let hash = 0x811c9dc5 ^ key.length
  for (let i = Math.max(0, key.length - HASHED_CHARS); i < key.length; i++)
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) & (cells - 1)
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
