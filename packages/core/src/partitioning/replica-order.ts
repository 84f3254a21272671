/**
 * The order within replica lists. The first replica leads some background work, and the second takes
 * over when it dies, so these roles are dealt out evenly where they are free: a kept replica never changes its place relative to other kept ones, newcomers
 * take the places of those that left, and only lists without kept replicas are ordered anew.
 */

import { compareStrings, type NodeId } from '../base/ids.ts'

/** `chosen[i]` in order, given the list that was. `ideal`: how many copies each node should hold. */
export function orderReplicas(
  current: readonly (readonly NodeId[])[],
  chosen: readonly (readonly NodeId[])[],
  nodes: readonly { readonly id: NodeId; readonly ideal: number }[],
): NodeId[][] {
  const ideals = new Map(nodes.map(({ id, ideal }) => [id, ideal]))
  const leads = new Map(nodes.map(({ id }) => [id, 0]))
  const out: NodeId[][] = Array.from({ length: chosen.length })
  const pending: number[] = []
  /** How often the second node would inherit from the first. */
  const heirs = new Map<string, number>()
  const pair = (first: NodeId | undefined, second: NodeId | undefined): string => `${first}\0${second}`
  const settle = (partition: number, list: NodeId[]): void => {
    out[partition] = list
    leads.set(list[0]!, leads.get(list[0]!)! + 1)
    heirs.set(pair(list[0], list[1]), (heirs.get(pair(list[0], list[1])) ?? 0) + 1)
  }
  // Lists whose first replica stays come first: they are not free, and the others can make up for them.
  chosen.forEach((replicas, partition) => {
    const was = current[partition]!
    if (was[0] !== undefined && replicas.includes(was[0])) settle(partition, merged(was, replicas))
    else pending.push(partition)
  })
  const leastLed = (a: NodeId, b: NodeId): number =>
    leads.get(a)! * ideals.get(b)! - leads.get(b)! * ideals.get(a)! || compareStrings(a, b)
  for (const partition of pending) {
    const was = current[partition]!
    const replicas = chosen[partition]!
    const newcomers = replicas.filter(id => !was.includes(id))
    const first = [...newcomers].sort(leastLed)[0]
    const inherits = (id: NodeId): number => heirs.get(pair(first, id)) ?? 0
    const rest = newcomers
      .filter(id => id !== first)
      .sort((a, b) => inherits(a) - inherits(b) || compareStrings(a, b))
    const kept = replicas.filter(id => was.includes(id))
    settle(partition, merged(was, first === undefined ? kept : [first, ...rest, ...kept]))
  }
  return out
}

/** Kept ones at their places, newcomers at the places of those that left and then behind. */
function merged(was: readonly NodeId[], replicas: readonly NodeId[]): NodeId[] {
  const stays = new Set(replicas)
  const newcomers = replicas.filter(id => !was.includes(id))
  const out: NodeId[] = []
  for (const id of was) {
    if (stays.delete(id)) out.push(id)
    else {
      const next = newcomers.shift()
      if (next !== undefined) out.push(next)
    }
  }
  return [...out, ...newcomers]
}
