/** Whom a read may ask beside its coordinator, and in which order. */

import type { NodeId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { leaderlessOf } from '../catalog/table-descriptor.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { NodeContext } from './node-context.ts'

export interface ReadCandidate {
  readonly node: NodeId
  /** It would answer from the hints that it keeps for homes. */
  readonly fallback: boolean
}

/** Homes that seem alive, then suspected homes, then, on sloppy tables, fallbacks. */
export function othersToAsk(
  node: NodeContext,
  view: TableView,
  partition: Partition,
  homesOnly: boolean,
): ReadCandidate[] {
  const homes = partition.replicas.filter(home => home !== node.self)
  const alive = homes.filter(home => !node.isSuspected(home))
  const suspected = homes.filter(home => !alive.includes(home))
  const fallbacks =
    leaderlessOf(view.descriptor).sloppy && !homesOnly
      ? view.map
          .preference(partition)
          .filter(other => !partition.holders.includes(other) && !node.isSuspected(other))
      : []
  return [
    ...[...alive, ...suspected].map(home => ({ node: home, fallback: false })),
    ...fallbacks.map(fallback => ({ node: fallback, fallback: true })),
  ]
}
