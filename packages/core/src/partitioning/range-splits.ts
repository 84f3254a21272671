/**
 * When a range of keys is split, where, and when two are put together again.
 *
 * Problem: ranges of keys grow where the writes are. Splitting by size alone leaves a small range hot;
 * splitting by load in the middle of the *rows* can leave all of the load on one side; and some load cannot
 * be split at all, since it is one key's or always at the end.
 * Mechanism: by size at the median row; by load at the key that halves the sampled accesses; refused, with
 * the reason in words, when one key has more than half of them. Merging waits until both neighbours together
 * are below a quarter of what would split them, so that a range does not split and merge in turns.
 * Invariants: keys compare as byte strings; the split key belongs to the right side, and only there; no side
 * is empty: `firstKey < at <= lastKey`. Pure decisions: nothing here moves anything.
 * References: Taft et al., "CockroachDB" (SIGMOD 2020), load-based splitting; Bigtable (2006), tablets.
 */

import { assert } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import { type ByteString, compareStrings, type NodeId } from '../base/ids.ts'

export interface AccessSample {
  readonly key: ByteString
  readonly count: number
}

export interface RangeStats {
  readonly bytes: number
  readonly rows: number
  readonly operationsPerSecond: number
  /** First and last row key that is there; absent when there is none. */
  readonly firstKey?: ByteString
  readonly lastKey?: ByteString
  /** The row at which half of the bytes lie before. */
  readonly medianKey?: ByteString
  /** Row keys that were lately read or written, with how often; in any order. */
  readonly sampledKeys: readonly AccessSample[]
}

export interface RangeLimits {
  readonly splitBytes: number
  readonly splitOperationsPerSecond: number
  /** Fewer accesses than this say nothing about where the load is. */
  readonly samplesMin: number
}

const defaultRangeLimits: RangeLimits = {
  splitBytes: 512 * 1024 * 1024,
  splitOperationsPerSecond: 2_500,
  samplesMin: 100,
}

export type SplitDecision =
  | { readonly kind: 'split'; readonly at: ByteString; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'none' }

export function splitDecision(stats: RangeStats, limits: RangeLimits = defaultRangeLimits): SplitDecision {
  const isLarge = stats.bytes > limits.splitBytes
  const isBusy = stats.operationsPerSecond > limits.splitOperationsPerSecond
  const bySize = isLarge ? splitBySize(stats, limits) : undefined
  if (bySize?.kind === 'split') return bySize
  const byLoad = isBusy ? splitByLoad(stats, limits) : undefined
  if (byLoad?.kind === 'split') return byLoad
  return bySize ?? byLoad ?? { kind: 'none' }
}

function splitBySize(stats: RangeStats, limits: RangeLimits): SplitDecision {
  const why = `${stats.bytes} bytes are more than ${limits.splitBytes}`
  if (stats.rows < 2) return { kind: 'refused', why: `${why}, but they are one row, which cannot be split` }
  const { medianKey: at } = stats
  if (at === undefined) return { kind: 'refused', why: `${why}, but the median row is not known yet` }
  if (!hasTwoSides(stats, at))
    return { kind: 'refused', why: `${why}, but the first row is half of them, so one side would be empty` }
  return { kind: 'split', at, why: `${why}: halved at the median row` }
}

const hasTwoSides = ({ firstKey, lastKey }: RangeStats, at: ByteString): boolean =>
  at !== '' && (firstKey === undefined || at > firstKey) && (lastKey === undefined || at <= lastKey)

function splitByLoad(stats: RangeStats, limits: RangeLimits): SplitDecision {
  const samples = combined(stats.sampledKeys)
  const total = samples.reduce((sum, { count }) => sum + count, 0)
  const why = `${stats.operationsPerSecond} operations a second are more than ${limits.splitOperationsPerSecond}`
  if (total < limits.samplesMin)
    return { kind: 'refused', why: `${why}, but ${total} sampled accesses do not say where they go` }
  const hottest = samples.reduce((most, each) => (each.count > most.count ? each : most))
  if (hottest.count * 2 > total) {
    const share = Math.round((hottest.count / total) * 100)
    return {
      kind: 'refused',
      why: `${why}, but one key is ${share} % of the load: wherever the range is split, one side keeps it`,
    }
  }
  let before = 0
  let best: { at: ByteString; before: number } | undefined
  for (const { key, count } of samples) {
    // A key that is no longer there may still be a boundary, as long as rows are on both sides of it.
    const isBetter = best === undefined || Math.abs(2 * before - total) < Math.abs(2 * best.before - total)
    if (before > 0 && isBetter && hasTwoSides(stats, key)) best = { at: key, before }
    before += count
  }
  if (best === undefined)
    return { kind: 'refused', why: `${why}, but no sampled key has rows on both sides of it` }
  const share = Math.round((best.before / total) * 100)
  return { kind: 'split', at: best.at, why: `${why}: ${share} % of them are before the split key` }
}

/** By key, ascending, each once. */
function combined(samples: readonly AccessSample[]): AccessSample[] {
  const counts = new Map<ByteString, number>()
  for (const { key, count } of samples) {
    assert(Number.isSafeInteger(count) && count >= 0, 'accesses are counted', count)
    if (count > 0) counts.set(key, (counts.get(key) ?? 0) + count)
  }
  return [...counts].map(([key, count]) => ({ key, count })).sort((a, b) => compareStrings(a.key, b.key))
}

export interface GrowthPattern {
  readonly kind: 'ever-growing key' | 'none'
  /** Part of the writes that went beyond everything before them. */
  readonly beyondShare: number
}

const GROWTH_SAMPLES_MIN = 20

/** Random keys exceed all before them in ln(n) of n cases only; a clock or a counter does nearly always. */
const GROWTH_SHARE = 0.5

/** Whether writes, in the order of their arrival, are to an ever-growing key: no split can spread those. */
export function growthPattern(keys: readonly ByteString[]): GrowthPattern {
  let beyond = 0
  let greatest = keys[0]
  for (const key of keys) {
    if (greatest === undefined || key <= greatest) continue
    greatest = key
    beyond++
  }
  const beyondShare = keys.length < 2 ? 0 : beyond / (keys.length - 1)
  const isGrowing = keys.length >= GROWTH_SAMPLES_MIN && beyondShare > GROWTH_SHARE
  return { kind: isGrowing ? 'ever-growing key' : 'none', beyondShare }
}

export interface MergeSide {
  readonly bytes: number
  readonly operationsPerSecond: number
  readonly replicas: readonly NodeId[]
}

export type MergeDecision = { readonly kind: 'merge' | 'none'; readonly why: string }

/** Together below this part of what would split them again. */
const MERGE_PART = 4

/** For two neighbours. */
export function mergeDecision(
  left: MergeSide,
  right: MergeSide,
  limits: RangeLimits = defaultRangeLimits,
): MergeDecision {
  const none = (why: string): MergeDecision => ({ kind: 'none', why })
  const bytes = left.bytes + right.bytes
  const operations = left.operationsPerSecond + right.operationsPerSecond
  if (bytes * MERGE_PART >= limits.splitBytes) return none(`${bytes} bytes together are not few`)
  if (operations * MERGE_PART >= limits.splitOperationsPerSecond)
    return none(`${operations} operations a second together are not few`)
  const set = (replicas: readonly NodeId[]): string => [...replicas].sort(compareStrings).join('\0')
  if (set(left.replicas) !== set(right.replicas)) return none('they are on different nodes')
  return {
    kind: 'merge',
    why: `${bytes} bytes and ${operations} operations a second together: both are cold`,
  }
}

/** At most `count` split points that cut a sample of keys into equal parts; fewer when keys are few. */
export function splitPointsFromSample(keys: readonly ByteString[], count: number): ByteString[] {
  assert(Number.isSafeInteger(count) && count >= 0, 'the number of split points is a whole number', count)
  const sorted = [...new Set(keys)].sort(compareStrings)
  const points = new Set<ByteString>()
  for (let i = 1; i <= count; i++) {
    const at = sorted[Math.floor((i * sorted.length) / (count + 1))]
    // The smallest key as a boundary would leave nothing before it.
    if (at !== undefined && at !== sorted[0]) points.add(at)
  }
  return [...points]
}

/** Refuses split points that are empty, doubled or out of order; names the first that is wrong. */
export function checkSplitPoints(points: readonly ByteString[]): void {
  points.forEach((point, index) => {
    const wrong = (what: string): QuorateError =>
      new QuorateError('BAD_TABLE', `split point ${index} ${what}`, { data: { index } })
    if (point === '') throw wrong('is empty: nothing is before it')
    const before = points[index - 1]
    if (before === undefined || point > before) return
    throw wrong(
      point === before ? `is the same as split point ${index - 1}` : `is before split point ${index - 1}`,
    )
  })
}

/** Which range a key lies in: the number of split points at or before it. */
export function rangeIndex(points: readonly ByteString[], key: ByteString): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (points[middle]! <= key) low = middle + 1
    else high = middle
  }
  return low
}
