/**
 * The modulo partitioner, kept as the cautionary tale.
 *
 * Bucket b of equal arcs belongs to node b mod N. It is the first thing everybody thinks of, it balances
 * perfectly, and it moves nearly everything as soon as N changes: with one node more, N/(N+1) of the keys
 * (b mod N = b mod (N+1) only for N of every N·(N+1) buckets). Weights are not respected: it has no place
 * for them. Nodes stand in the order of their ids, taken from the zones in turn; further replicas are the
 * next nodes in that order within the bounds of their zones.
 */

import type { NodeId } from '../base/ids.ts'
import { assertArcCount, equalArcStart } from './fixed.ts'
import {
  assertPlaceable,
  interleavedByZone,
  type PlacementNode,
  type TokenArc,
  zoneBounds,
} from './placement.ts'

const BUCKETS_DEFAULT = 1024

export function moduloArcs(
  nodes: readonly PlacementNode[],
  n: number,
  buckets: number = BUCKETS_DEFAULT,
): TokenArc[] {
  assertPlaceable(nodes, n)
  assertArcCount(buckets)
  const order = interleavedByZone(nodes)
  const bounds = new Map(zoneBounds(nodes, n).map(zone => [zone.zone, zone]))
  const lists = order.map((_, from): NodeId[] => {
    const inZone = new Map<string, number>()
    // Copies above the least of each zone that the walk may still take.
    let open = n - [...bounds.values()].reduce((sum, { fewest }) => sum + fewest, 0)
    const replicas: NodeId[] = []
    for (let step = 0; step < order.length && replicas.length < n; step++) {
      const node = order[(from + step) % order.length]!
      const { fewest, most } = bounds.get(node.zone)!
      const count = inZone.get(node.zone) ?? 0
      if (count >= fewest && (count >= most || open === 0)) continue
      if (count >= fewest) open--
      inZone.set(node.zone, count + 1)
      replicas.push(node.id)
    }
    return replicas
  })
  return Array.from({ length: buckets }, (_, bucket) => ({
    start: equalArcStart(bucket, buckets),
    replicas: lists[bucket % order.length]!,
  }))
}
