import type { NodeId } from '../base/ids.ts'
import { TOKENS } from './arc-map.ts'
import { assignReplicas } from './assignment.ts'
export function moduloArcs(
  nodes: readonly { readonly id: NodeId; readonly zone: string; readonly weight: number }[],
  n: number,
  buckets: number,
) {
  const replicas = assignReplicas(
    Array.from({ length: buckets }, () => []),
    nodes,
    n,
  )
  return replicas.map((list, at) => ({ start: Math.floor((at * TOKENS) / buckets), replicas: list }))
}
