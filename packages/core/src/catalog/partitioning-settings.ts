/**
 * How a table is cut. Every partitioner makes the one `PartitionMap`; the settings say which, and what a new
 * map starts from.
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { encodeKey, type KeyValue } from '../base/key-encoding.ts'
import { bad, count, objectAt } from './settings.ts'

export type Partitioning =
  /** Consistent hashing over the members' tokens. */
  | { readonly kind: 'ring' }
  /** So many equal arcs of the token range, assigned to nodes. */
  | { readonly kind: 'fixed'; readonly partitions: number }
  /** Equal arcs, dealt to the nodes in turn: adding one moves nearly everything. */
  | { readonly kind: 'modulo'; readonly buckets: number }
  /** Ordered keys: contiguous ranges that split where they grow and merge where they do not. */
  | RangePartitioning

export interface RangePartitioning {
  readonly kind: 'range'
  /** Partition keys at which the first partitions start; none: one partition. */
  readonly splitPoints: readonly KeyValue[]
  /** A partition larger than this is cut at its middle row. */
  readonly splitBytes: number
  /** A partition with more requests than this is cut at the median of its traffic. */
  readonly splitOperationsPerSecond: number
  /** Do partitions split and merge by themselves? (Rows never move by themselves.) */
  readonly auto: boolean
}

export const PARTITIONERS = ['ring', 'fixed', 'range', 'modulo'] as const
const PARTITIONS_MAX = 65_536
const SPLIT_POINTS_MAX = 4_096
const MiB = 1024 * 1024

export function partitioningOf(given: unknown): Partitioning {
  if (given === undefined) return { kind: 'ring' }
  const { kind } = objectAt(given, 'partitioning', [
    'kind',
    'partitions',
    'buckets',
    'splitPoints',
    'splitBytes',
    'splitOperationsPerSecond',
    'auto',
  ])
  switch (kind) {
    case 'ring':
      objectAt(given, 'partitioning', ['kind'])
      return { kind }
    case 'fixed': {
      const { partitions = 1024 } = objectAt(given, 'partitioning', ['kind', 'partitions'])
      return { kind, partitions: count(partitions, 'partitioning.partitions', 1, PARTITIONS_MAX) }
    }
    case 'modulo': {
      const { buckets = 1024 } = objectAt(given, 'partitioning', ['kind', 'buckets'])
      return { kind, buckets: count(buckets, 'partitioning.buckets', 1, PARTITIONS_MAX) }
    }
    case 'range':
      return rangeOf(given)
    default:
      throw bad('partitioning.kind', `"${String(kind)}" is not known; known: ${PARTITIONERS.join(', ')}`)
  }
}

function rangeOf(given: unknown): RangePartitioning {
  const spec = objectAt(given, 'partitioning', [
    'kind',
    'splitPoints',
    'splitBytes',
    'splitOperationsPerSecond',
    'auto',
  ])
  const { splitPoints = [], splitBytes = 64 * MiB, splitOperationsPerSecond = 2_000, auto = true } = spec
  if (!Array.isArray(splitPoints) || splitPoints.length > SPLIT_POINTS_MAX)
    throw bad('partitioning.splitPoints', `is a list of at most ${SPLIT_POINTS_MAX} partition keys`)
  if (typeof auto !== 'boolean') throw bad('partitioning.auto', 'is true or false')
  encodedSplitPoints(splitPoints)
  return {
    kind: 'range',
    splitPoints: splitPoints as KeyValue[],
    splitBytes: count(splitBytes, 'partitioning.splitBytes', 1_024, 1024 * 1024 * MiB),
    splitOperationsPerSecond: count(
      splitOperationsPerSecond,
      'partitioning.splitOperationsPerSecond',
      1,
      1_000_000_000,
    ),
    auto,
  }
}

/** Encoded, in the order of the keys; refuses points that do not ascend, naming the first. */
export function encodedSplitPoints(points: readonly unknown[]): ByteString[] {
  const encoded = points.map((point, at) => {
    try {
      return encodeKey(point as KeyValue)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      throw bad(`partitioning.splitPoints[${at}]`, error.message)
    }
  })
  encoded.forEach((point, at) => {
    if (at > 0 && point <= encoded[at - 1]!) {
      const [left, right] = [points[at - 1], points[at]].map(value => String(value))
      const relation = point === encoded[at - 1] ? 'is the same as' : 'lies before'
      throw bad(
        `partitioning.splitPoints[${at}]`,
        `"${right}" ${relation} the point before it, "${left}": split points ascend`,
      )
    }
  })
  return encoded
}
