import type { NodeId } from '../base/ids.ts'
export function assignReplicas(
  current: readonly (readonly NodeId[])[],
  nodes: readonly { readonly id: NodeId; readonly zone: string; readonly weight: number }[],
  n: number,
): NodeId[][] {
  return current.map((_, at) => Array.from({ length: n }, (_, r) => nodes[(at + r) % nodes.length]!.id))
}
