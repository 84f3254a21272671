/**
 * Contexts: which writes of one row have been seen.
 *
 * Problem: a version vector "actor → highest stamp" claims that everything below the stamp was seen.
 * For an actor that forgot some of its own writes (a crash before its sync, a hint handed off and
 * removed, a damaged cell) that claim is false, and merging by it silently drops acknowledged values.
 * Mechanism: per actor a sorted list of closed intervals of stamps. An interval [from, to] claims: every
 * write of this row minted by this actor with from <= stamp <= to is reflected here (as a value, or as
 * superseded). A coordinator extends the last interval only while it has continuous memory of its own
 * writes of the row (see `extendOwn`); otherwise it starts a new one, which claims only itself. With
 * continuous memory this is the plain version vector: one interval per actor.
 *
 * Invariants: actors sorted by byte order; within an actor `from <= to` and `to + 1 < next from`.
 * Merging is the union of sets: commutative, associative, idempotent.
 * References: Almeida, Baquero, Gonçalves, Preguiça, Fonte, "Scalable and Accurate Causality Tracking
 * for Eventually Consistent Stores" (DAIS 2014), whose (n, dot) pairs become intervals here.
 */

import { assert } from '../base/assert.ts'
import { compareStrings, type Incarnation, type Stamp } from '../base/ids.ts'

export interface ActorHistory {
  readonly actor: Incarnation
  /** from, to, from, to, … ascending. */
  readonly intervals: readonly number[]
}

/** Sorted by actor. */
export type Context = readonly ActorHistory[]

export const emptyContext: Context = []

export function contextHas(context: Context, actor: Incarnation, stamp: Stamp): boolean {
  for (const history of context) {
    if (history.actor === actor) return intervalsHave(history.intervals, stamp)
  }
  return false
}

function intervalsHave(intervals: readonly number[], stamp: number): boolean {
  for (let i = intervals.length - 2; i >= 0; i -= 2) {
    if (stamp >= intervals[i]!) return stamp <= intervals[i + 1]!
  }
  return false
}

export function mergeContexts(a: Context, b: Context): Context {
  if (a.length === 0) return b
  if (b.length === 0) return a
  const out: ActorHistory[] = []
  let i = 0
  let j = 0
  while (i < a.length && j < b.length) {
    const left = a[i]!
    const right = b[j]!
    const order = compareStrings(left.actor, right.actor)
    if (order < 0) {
      out.push(left)
      i++
    } else if (order > 0) {
      out.push(right)
      j++
    } else {
      out.push({ actor: left.actor, intervals: uniteIntervals(left.intervals, right.intervals) })
      i++
      j++
    }
  }
  while (i < a.length) out.push(a[i++]!)
  while (j < b.length) out.push(b[j++]!)
  return out
}

function uniteIntervals(a: readonly number[], b: readonly number[]): readonly number[] {
  const out: number[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    const takeA = j >= b.length || (i < a.length && a[i]! <= b[j]!)
    const from = takeA ? a[i]! : b[j]!
    const to = takeA ? a[i + 1]! : b[j + 1]!
    if (takeA) i += 2
    else j += 2
    const last = out.length - 1
    // Stamps are integers: [3,5] and [6,9] are one interval.
    if (last > 0 && from <= out[last]! + 1) out[last] = Math.max(out[last]!, to)
    else out.push(from, to)
  }
  return out
}

/**
 * The context after `actor` wrote `stamp`.
 *
 * `memoryFrom`: the stamp since which this actor remembers every write of this row it has made. The last
 * interval is extended when it ends at or after that; what lies between its end and `stamp` is then
 * known to be empty. So it is when the stamps are neighbours: one form per set. Otherwise a new interval
 * starts that claims only `stamp`.
 */
export function extendOwn(context: Context, actor: Incarnation, stamp: Stamp, memoryFrom: Stamp): Context {
  const out: ActorHistory[] = []
  let done = false
  for (const history of context) {
    if (!done && compareStrings(history.actor, actor) > 0) {
      out.push({ actor, intervals: [stamp, stamp] })
      done = true
    }
    if (history.actor !== actor) {
      out.push(history)
      continue
    }
    const end = history.intervals.at(-1)!
    assert(stamp > end, 'a new stamp is greater than all the actor has used on this row', { stamp, end })
    const joins = end >= memoryFrom || stamp === end + 1
    const intervals = joins
      ? [...history.intervals.slice(0, -1), stamp]
      : [...history.intervals, stamp, stamp]
    out.push({ actor, intervals })
    done = true
  }
  if (!done) out.push({ actor, intervals: [stamp, stamp] })
  return out
}

/** All of `context` but these stamps, which lie in it. */
export function contextWithout(
  context: Context,
  dots: readonly { readonly actor: Incarnation; readonly stamp: Stamp }[],
): Context {
  if (dots.length === 0) return context
  const out: ActorHistory[] = []
  for (const { actor, intervals } of context) {
    const left: number[] = []
    for (let i = 0; i < intervals.length; i += 2) {
      let from = intervals[i]!
      const to = intervals[i + 1]!
      const holes = dots.filter(dot => dot.actor === actor && dot.stamp >= from && dot.stamp <= to)
      for (const stamp of holes.map(dot => dot.stamp).sort((a, b) => a - b)) {
        if (from < stamp) left.push(from, stamp - 1)
        from = stamp + 1
      }
      if (from <= to) left.push(from, to)
    }
    if (left.length > 0) out.push({ actor, intervals: left })
  }
  return out
}

/** True when everything in `inner` is in `outer`. */
export function contextCovers(outer: Context, inner: Context): boolean {
  for (const history of inner) {
    const wider = outer.find(candidate => candidate.actor === history.actor)
    if (wider === undefined) return false
    for (let i = 0; i < history.intervals.length; i += 2) {
      if (!intervalInside(wider.intervals, history.intervals[i]!, history.intervals[i + 1]!)) return false
    }
  }
  return true
}

function intervalInside(intervals: readonly number[], from: number, to: number): boolean {
  for (let i = 0; i < intervals.length; i += 2) {
    if (from >= intervals[i]! && to <= intervals[i + 1]!) return true
  }
  return false
}

export function contextMax(context: Context): Stamp {
  let max = 0
  for (const history of context) max = Math.max(max, history.intervals.at(-1)!)
  return max as Stamp
}

export function contextIntervals(context: Context): number {
  let count = 0
  for (const history of context) count += history.intervals.length / 2
  return count
}
