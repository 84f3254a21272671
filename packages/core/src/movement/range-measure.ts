/**
 * What a partition of a range table weighs, where its middle is, and where its load goes, as its first home knows it.
 *
 * Boundaries lie between partition keys only, so that all rows of one partition key stay together and a query of
 * them asks one partition: every key here is the store key at which a partition key begins.
 *
 * Bytes are rows (exact, from the tree) × the mean size of a sample, taken again when the rows have become more or
 * fewer by an eighth, and now and then since rows may also grow. The median row is walked to, a slice at a time, with
 * pauses between them: only a partition that is to be cut is read like this.
 *
 * Load is what the coordinators counted: requests of one partition spread over its homes, so each home is asked and
 * what they say adds up. (Replicas also see what others coordinate, but a read at r=1 only one of them.) What nodes
 * that are no homes coordinate is not asked for: those are few, requests go to homes. A sketch lists the keys it is
 * sure of, and for the rest it says how much there was: that rest is dealt evenly to the listed keys, which stand
 * for the others.
 */

import { prefixEnd } from '../base/bytes.ts'
import type { ByteString, TableId } from '../base/ids.ts'
import type { PartitionReport } from '../hotkeys/hot-report.ts'
import type { KeySummary } from '../hotkeys/space-saving.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { AccessSample } from '../partitioning/range-splits.ts'
import { rowKeyParts } from '../partitioning/row-key.ts'
import { pause } from '../ports/pause.ts'
import type { Trees } from '../sweep/trees.ts'
import { meanRowBytes } from './source.ts'

const SLICE_ROWS = 1_000
const SAMPLES_KEPT = 60
/** Rates become numbers of accesses by this: samples of a minute. */
const SAMPLE_SECONDS = 60

/** Where the partition key of a row begins, as a store key. */
function partitionKeyStart(key: ByteString): ByteString {
  const { sortKey } = rowKeyParts(key)
  return key.slice(0, key.length - sortKey.length) as ByteString
}

interface RowSize {
  readonly from: ByteString
  readonly to: ByteString
  readonly rows: number
  readonly rowBytes: number
  looks: number
}

/** Sizes of partitions, measured seldom. */
export class RangeSizes {
  readonly #node: NodeContext
  readonly #trees: Trees
  readonly #known = new Map<string, RowSize>()

  constructor(node: NodeContext, trees: Trees) {
    this.#node = node
    this.#trees = trees
  }

  of(table: TableId, partition: Partition): { readonly rows: number; readonly bytes: number } {
    const name = `${table}/${partition.id}`
    const rows = this.#trees.rowsOf(table, partition.id)
    const known = this.#known.get(name)
    const isStill =
      known !== undefined &&
      known.from === partition.from &&
      known.to === partition.to &&
      Math.abs(rows - known.rows) * 8 <= known.rows &&
      known.looks++ < SAMPLES_KEPT
    if (isStill) return { rows, bytes: Math.round(rows * known.rowBytes) }
    const rowBytes = meanRowBytes(this.#node, [partition])
    this.#known.set(name, { from: partition.from, to: partition.to, rows, rowBytes, looks: 0 })
    return { rows, bytes: Math.round(rows * rowBytes) }
  }

  /** Partitions that this node does not lead any more. */
  keepOnly(table: number, ids: ReadonlySet<number>): void {
    for (const name of this.#known.keys()) {
      const [of, id] = name.split('/').map(Number)
      if (of === table && !ids.has(id!)) this.#known.delete(name)
    }
  }
}

/** First and last partition key that has rows here. */
export function keyEnds(
  { store }: NodeContext,
  { from, to }: Partition,
): { readonly first: ByteString; readonly last: ByteString } | undefined {
  for (const [first] of store.scan(from, to, { limit: 1 }))
    for (const [last] of store.scan(from, to, { limit: 1, reverse: true }))
      return { first: partitionKeyStart(first), last: partitionKeyStart(last) }
  return undefined
}

/**
 * Where the partition key of the row in the middle begins; of a partition that begins with it, the next one.
 * Undefined: there is no other.
 */
export async function medianStart(
  { store, clock }: NodeContext,
  { from, to }: Partition,
  rows: number,
): Promise<ByteString | undefined> {
  const half = Math.floor(rows / 2)
  let after = from
  let first: ByteString | undefined
  let last: ByteString | undefined
  for (let walked = 0; walked <= half; ) {
    let here = 0
    for (const [key] of store.scan(after, to, { limit: Math.min(SLICE_ROWS, half - walked + 1) })) {
      first ??= key
      last = key
      here++
    }
    // Rows went meanwhile: the last one that is there.
    if (here === 0) break
    walked += here
    after = `${last}\0` as ByteString
    if (walked <= half) await pause(clock, 1)
  }
  if (first === undefined || last === undefined) return undefined
  const [begin, middle] = [partitionKeyStart(first), partitionKeyStart(last)]
  if (middle > begin) return middle
  const next = prefixEnd(begin)
  if (next === undefined || next >= to) return undefined
  for (const [key] of store.scan(next, to, { limit: 1 })) return partitionKeyStart(key)
  return undefined
}

export interface RangeLoad {
  readonly operationsPerSecond: number
  /** Writes to keys that only grow. */
  readonly growingPerSecond: number
  readonly samples: readonly AccessSample[]
}

/** Of one partition, from what its homes say. */
export function rangeLoad(
  partition: Partition,
  reports: readonly (readonly PartitionReport[])[],
  table: number,
): RangeLoad {
  const own = reports.flat().filter(report => report.table === table && report.partition === partition.id)
  const sum = (of: (report: PartitionReport) => number): number =>
    own.reduce((all, report) => all + of(report), 0)
  return {
    operationsPerSecond: Math.round(sum(report => report.readsPerSecond + report.writesPerSecond)),
    growingPerSecond: sum(report => report.evidence.growingPerSecond),
    samples: own
      .flatMap(({ evidence }) => [...accesses(evidence.reads), ...accesses(evidence.writes)])
      .filter(({ key }) => key >= partition.from && key < partition.to)
      .map(({ key, count }) => ({ key: partitionKeyStart(key), count })),
  }
}

function accesses({ total, keys }: KeySummary): AccessSample[] {
  const sure = keys.reduce((sum, { count, error }) => sum + count - error, 0)
  const rest = keys.length === 0 ? 0 : Math.max(0, total - sure) / keys.length
  return keys.map(({ key, count, error }) => ({
    key: key as ByteString,
    count: Math.round((count - error + rest) * SAMPLE_SECONDS),
  }))
}
