/**
 * Distinct keys, added in any order, walked in theirs.
 *
 * Problem: the order of a memtable is asked for now and then, by scans and checkpoints, but a tree that
 * keeps it pays for every key at once. Mechanism: new keys gather unsorted; when there are enough, or when
 * the order is asked for, they are sorted into a run, and runs of like length are merged (the levels of a
 * log-structured merge tree, in memory). A walk merges the few runs there are.
 *
 * Invariant: each run is sorted and more than twice as long as the next. Runs are never changed, only
 * replaced, so a walk goes on over those it began with.
 *
 * Reference: O'Neil et al., "The Log-Structured Merge-Tree" (1996).
 */

import type { ByteString } from '../base/ids.ts'

/** Sorting this many takes well under a millisecond. */
const FRESH_MAX = 1024

export class KeyOrder {
  #fresh: ByteString[] = []
  readonly #runs: (readonly ByteString[])[] = []

  /** A key that is not here yet. */
  add(key: ByteString): void {
    this.#fresh.push(key)
    if (this.#fresh.length >= FRESH_MAX) this.#settle()
  }

  #settle(): void {
    if (this.#fresh.length === 0) return
    // Without a comparer strings sort by code unit, which for byte strings is byte order.
    let run: readonly ByteString[] = this.#fresh.sort()
    this.#fresh = []
    for (;;) {
      const last = this.#runs.at(-1)
      if (last === undefined || last.length > 2 * run.length) break
      this.#runs.pop()
      run = mergeRuns(last, run)
    }
    this.#runs.push(run)
  }

  #mergeAll(): void {
    while (this.#runs.length > 1) {
      const last = this.#runs.pop()!
      this.#runs.push(mergeRuns(this.#runs.pop()!, last))
    }
  }

  /** Keys with `from <= key < to`, upwards or downwards. */
  *walk(from: ByteString, to: ByteString | undefined, reverse: boolean): Generator<ByteString> {
    this.#settle()
    // Several runs cost something at every step; over everything, that is more than merging them.
    if (from === '' && to === undefined) this.#mergeAll()
    const spans = this.#runs.map(run => new Span(run, from, to))
    for (;;) {
      let next: Span | undefined
      for (const span of spans) {
        if (span.low >= span.high) continue
        if (next === undefined || (reverse ? span.last > next.last : span.first < next.first)) next = span
      }
      if (next === undefined) return
      if (reverse) {
        next.high--
        yield next.run[next.high]!
      } else {
        next.low++
        yield next.run[next.low - 1]!
      }
    }
  }
}

/** What a walk has yet to see of one run: `run[low, high)`. */
class Span {
  readonly run: readonly ByteString[]
  low: number
  high: number

  constructor(run: readonly ByteString[], from: ByteString, to: ByteString | undefined) {
    this.run = run
    this.low = firstAtLeast(run, from)
    this.high = to === undefined ? run.length : firstAtLeast(run, to)
  }

  get first(): ByteString {
    return this.run[this.low]!
  }

  get last(): ByteString {
    return this.run[this.high - 1]!
  }
}

function firstAtLeast(run: readonly ByteString[], key: ByteString): number {
  let low = 0
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (run[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}

function mergeRuns(a: readonly ByteString[], b: readonly ByteString[]): ByteString[] {
  const out = new Array<ByteString>(a.length + b.length)
  let i = 0
  let j = 0
  for (let at = 0; at < out.length; at++) {
    const takeA = j >= b.length || (i < a.length && a[i]! < b[j]!)
    out[at] = takeA ? a[i++]! : b[j++]!
  }
  return out
}
