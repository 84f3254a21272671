/**
 * The fixed partitioner: P equal arcs of the token space, assigned to nodes.
 *
 * The number of partitions never changes, only who holds them: what moves is whole partitions, and balance
 * is exact to one partition. The price is a P that must be chosen once, for the largest cluster to come.
 * References: Kleppmann, "Designing Data-Intensive Applications" (2017), ch. 6, fixed number of partitions;
 * Riak's ring; Garage's 256 partitions.
 */

import { assert } from '../base/assert.ts'
import { TOKENS } from './arc-map.ts'
import { assignReplicas, PARTITIONS_MAX } from './assignment.ts'
import type { PlacementNode, TokenArc } from './placement.ts'

export const PARTITIONS_DEFAULT = 1024

/** First token of the `index`th of `count` equal arcs. */
export const equalArcStart = (index: number, count: number): number => Math.floor((index * TOKENS) / count)

export function assertArcCount(count: number): void {
  assert(Number.isInteger(count) && count >= 1 && count <= PARTITIONS_MAX, 'arcs are 1 … one million', count)
}

/** Replicas of `partitions` equal arcs; what `current` says stays where it can. */
export function fixedArcs(
  nodes: readonly PlacementNode[],
  n: number,
  partitions: number = PARTITIONS_DEFAULT,
  current: readonly TokenArc[] = [],
): TokenArc[] {
  assertArcCount(partitions)
  const starts = Array.from({ length: partitions }, (_, index) => equalArcStart(index, partitions))
  let at = 0
  const before = starts.map(start => {
    while (at + 1 < current.length && current[at + 1]!.start <= start) at++
    return current[at]?.replicas ?? []
  })
  const replicas = assignReplicas(before, nodes, n)
  return starts.map((start, index) => ({ start, replicas: replicas[index]! }))
}
