/**
 * Which partitions to hand over so that no member leads many more than another. Pure.
 *
 * Problem: after failovers and restarts the leaders stand where elections put them; one machine orders most writes and
 * the others follow. Mechanism: the member with most leaders for its weight gives one to the member with fewest that
 * is in sync with it, until no hand-over makes the two more alike.
 *
 * Invariant: each proposal goes to a member of the in-sync set of that partition, and the greatest load falls or stays.
 */

import { compareStrings, type NodeId, type TableId } from '../base/ids.ts'

export interface LedPartition {
  readonly table: TableId
  readonly partition: number
  readonly leader: NodeId
  /** Who may lead instead without being filled or caught up first. */
  readonly heirs: readonly NodeId[]
}

export interface LeaderMove {
  readonly table: TableId
  readonly partition: number
  readonly from: NodeId
  readonly to: NodeId
}

export interface LeaderLoad {
  readonly node: NodeId
  readonly before: number
  readonly after: number
}

export interface LeaderSpread {
  readonly moves: readonly LeaderMove[]
  /** Of each member, by name. */
  readonly loads: readonly LeaderLoad[]
}

/** `weights`: of the members that may lead; a leader that is not among them keeps what it leads. */
export function spreadLeaders(
  led: readonly LedPartition[],
  weights: ReadonlyMap<NodeId, number>,
): LeaderSpread {
  const before = countLeaders(led.map(({ leader }) => leader))
  const after = new Map(before)
  const now = led.map(one => ({ ...one, first: one.leader }))
  const load = (node: NodeId, more: number): number => ((after.get(node) ?? 0) + more) / weights.get(node)!
  const byName = [...weights.keys()].sort(compareStrings)
  for (let found = true; found; ) {
    found = false
    const fullest = [...byName].sort((a, b) => load(b, 0) - load(a, 0))
    search: for (const from of fullest) {
      for (const to of [...byName].sort((a, b) => load(a, 0) - load(b, 0))) {
        // What it would have then is still less than the other has now.
        if (load(to, 1) >= load(from, 0)) break
        const one = now.find(({ leader, heirs }) => leader === from && heirs.includes(to))
        if (one === undefined) continue
        one.leader = to
        after.set(from, after.get(from)! - 1)
        after.set(to, (after.get(to) ?? 0) + 1)
        found = true
        break search
      }
    }
  }
  return {
    moves: now.flatMap(({ table, partition, first: from, leader: to }) =>
      from === to ? [] : [{ table, partition, from, to }],
    ),
    loads: [...new Set([...byName, ...before.keys()])]
      .sort(compareStrings)
      .map(node => ({ node, before: before.get(node) ?? 0, after: after.get(node) ?? 0 })),
  }
}

function countLeaders(leaders: readonly NodeId[]): Map<NodeId, number> {
  const counts = new Map<NodeId, number>()
  for (const leader of leaders) counts.set(leader, (counts.get(leader) ?? 0) + 1)
  return counts
}
