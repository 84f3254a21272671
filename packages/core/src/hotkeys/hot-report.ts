/**
 * What a node, or the cluster, says about its busy partitions, and how reports of nodes become one.
 *
 * Every request is counted by one node only, the replica that coordinated it; so the reports of all nodes
 * add up, for reads and writes alike. A node that reports nothing of a partition saw (nearly) nothing of it.
 * Bounds of keys stay bounds: see `mergeSummaries`.
 */

import { compareStrings } from '../base/ids.ts'
import { type KeySummary, mergeSummaries, noKeys } from './space-saving.ts'

export type HotPattern = 'single key' | 'ever-growing key' | 'spread'

export interface HotKeyReport {
  readonly key: string
  /** Of the partition's requests: at most `share`, at least `share − error`. */
  readonly share: number
  readonly error: number
  /** Per second, at most. */
  readonly reads: number
  readonly writes: number
}

export interface PartitionReport {
  readonly table: number
  readonly partition: number
  readonly readsPerSecond: number
  readonly writesPerSecond: number
  /** Busiest first. */
  readonly keys: readonly HotKeyReport[]
  readonly pattern: HotPattern
  /** What `keys` and `pattern` were made of, per second: what merging needs. */
  readonly evidence: HotEvidence
}

export interface HotEvidence {
  readonly reads: KeySummary
  readonly writes: KeySummary
  /** Writes per second whose keys only grow. */
  readonly growingPerSecond: number
}

/** A key is the partition's trouble when it surely makes this share of its requests. */
const SINGLE_KEY_SHARE = 0.5
const GROWING_SHARE = 0.5
const KEYS_SHOWN = 10
const KEYS_MERGED = 64

/** `evidence`: in requests per second. */
export function partitionReport(
  table: number,
  partition: number,
  evidence: HotEvidence,
  keysShown = KEYS_SHOWN,
): PartitionReport {
  const { reads, writes, growingPerSecond } = evidence
  const total = reads.total + writes.total
  const both = mergeDisjoint(reads, writes)
  const readsOf = ratesOf(reads)
  const writesOf = ratesOf(writes)
  const keys = both.keys.slice(0, keysShown).map(({ key, count, error }) => ({
    key,
    share: Math.min(1, count / total),
    error: Math.min(1, error / total),
    reads: readsOf(key),
    writes: writesOf(key),
  }))
  const surest = both.keys.reduce((most, { count, error }) => Math.max(most, count - error), 0)
  const pattern =
    total > 0 && surest >= SINGLE_KEY_SHARE * total
      ? 'single key'
      : growingPerSecond > GROWING_SHARE * writes.total
        ? 'ever-growing key'
        : 'spread'
  const rates = { readsPerSecond: reads.total, writesPerSecond: writes.total }
  return { table, partition, ...rates, keys, pattern, evidence }
}

/** Reads and writes are different requests: their bounds add up like those of two nodes. */
const mergeDisjoint = (reads: KeySummary, writes: KeySummary): KeySummary =>
  mergeSummaries([reads, writes], reads.keys.length + writes.keys.length)

/** The upper bound of any key: what is counted, or the floor. */
function ratesOf({ keys, floor }: KeySummary): (key: string) => number {
  const counts = new Map(keys.map(({ key, count }) => [key, count]))
  return key => counts.get(key) ?? floor
}

/** One report of the whole cluster from those of its nodes, busiest partition first. */
export function mergeReports(reports: readonly (readonly PartitionReport[])[]): PartitionReport[] {
  const found = new Map<string, PartitionReport[]>()
  for (const report of reports.flat()) {
    const name = `${report.table}/${report.partition}`
    const of = found.get(name)
    if (of === undefined) found.set(name, [report])
    else of.push(report)
  }
  const merged = [...found.values()].map(of => {
    const { table, partition } = of[0]!
    return partitionReport(table, partition, {
      reads: mergeSummaries(
        of.map(({ evidence }) => evidence.reads),
        KEYS_MERGED,
      ),
      writes: mergeSummaries(
        of.map(({ evidence }) => evidence.writes),
        KEYS_MERGED,
      ),
      growingPerSecond: of.reduce((sum, { evidence }) => sum + evidence.growingPerSecond, 0),
    })
  })
  return merged.sort(busiestFirst)
}

export function busiestFirst(a: PartitionReport, b: PartitionReport): number {
  const rate = (report: PartitionReport) => report.readsPerSecond + report.writesPerSecond
  return rate(b) - rate(a) || a.table - b.table || a.partition - b.partition
}

/** For logs: `3/17: 120 reads/s, 4 writes/s, single key "k" (81 %)`. */
export function describePartition(report: PartitionReport, describeKey: (key: string) => string): string {
  const { table, partition, readsPerSecond, writesPerSecond, pattern, keys } = report
  const first = [...keys].sort((a, b) => b.share - a.share || compareStrings(a.key, b.key))[0]
  const named =
    pattern === 'single key' && first !== undefined
      ? ` ${JSON.stringify(describeKey(first.key))} (${Math.round(first.share * 100)} %)`
      : ''
  const rates = `${Math.round(readsPerSecond)} reads/s, ${Math.round(writesPerSecond)} writes/s`
  return `${table}/${partition}: ${rates}, ${pattern}${named}`
}

/** A summary in other units; `missed`: weight of notes it was not told of, of any key. */
export function scaledSummary(summary: KeySummary | undefined, factor: number, missed: number): KeySummary {
  const { total, floor, keys } = summary ?? noKeys
  return {
    total: (total + missed) * factor,
    floor: (floor + missed) * factor,
    keys: keys.map(({ key, count, error }) => ({
      key,
      count: (count + missed) * factor,
      error: (error + missed) * factor,
    })),
  }
}
