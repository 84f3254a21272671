import type { NodeId } from '../base/ids.ts'
import { TOKENS } from './arc-map.ts'
import { assignReplicas } from './assignment.ts'
export function fixedArcs(
  nodes: readonly { readonly id: NodeId; readonly zone: string; readonly weight: number }[],
  n: number,
  partitions: number,
) {
  const replicas = assignReplicas(
    Array.from({ length: partitions }, () => []),
    nodes,
    n,
  )
  return replicas.map((list, at) => ({ start: Math.floor((at * TOKENS) / partitions), replicas: list }))
}
