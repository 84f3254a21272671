/** The partitions a new table starts with: what its partitioner says of the members of now. */

import type { NodeId } from '../base/ids.ts'
import { firstLeadership } from '../leadership/leadership.ts'
import { assignReplicas } from '../partitioning/assignment.ts'
import { fixedArcs } from '../partitioning/fixed.ts'
import type { StartingPartition } from '../partitioning/map-chunks.ts'
import { moduloArcs } from '../partitioning/modulo.ts'
import { ringArcs } from '../partitioning/ring.ts'
import { keyStart, tokenStart } from '../partitioning/row-key.ts'
import type { Member } from './cluster-state.ts'
import { encodedSplitPoints } from './partitioning-settings.ts'
import { ledOf, type TableDescriptor } from './table-descriptor.ts'

export function firstPartitions(table: TableDescriptor, members: readonly Member[]): StartingPartition[] {
  const partitions = withoutLeaders(table, members)
  return ledOf(table) === undefined ? partitions : withLeaders(partitions)
}

/** The leader of each is the home that leads the fewest so far. */
function withLeaders(partitions: readonly StartingPartition[]): StartingPartition[] {
  const led = new Map<NodeId, number>()
  return partitions.map(partition => {
    const { replicas } = partition
    const leader = replicas.reduce((least, node) =>
      (led.get(node) ?? 0) < (led.get(least) ?? 0) ? node : least,
    )
    led.set(leader, (led.get(leader) ?? 0) + 1)
    const { replicas: _, ...lead } = firstLeadership(replicas, leader)
    return { ...partition, lead }
  })
}

function withoutLeaders(table: TableDescriptor, members: readonly Member[]): StartingPartition[] {
  const nodes = members.filter(member => member.state === 'active')
  const { partitioning, replication } = table
  const n = Math.min(replication.n, nodes.length)
  switch (partitioning.kind) {
    case 'ring':
      return atTokens(ringArcs(nodes, n))
    case 'fixed':
      return atTokens(fixedArcs(nodes, n, partitioning.partitions))
    case 'modulo':
      return atTokens(moduloArcs(nodes, n, partitioning.buckets))
    case 'range': {
      const points = encodedSplitPoints(partitioning.splitPoints).map(keyStart)
      const starts = ['' as StartingPartition['start'], ...points]
      const replicas = assignReplicas(
        starts.map(() => []),
        nodes,
        n,
      )
      return starts.map((start, at) => ({ start, replicas: replicas[at]! }))
    }
  }
}

function atTokens(arcs: readonly { start: number; replicas: readonly NodeId[] }[]): StartingPartition[] {
  return arcs.map(({ start, replicas }) => ({ start: tokenStart(start), replicas }))
}
