/**
 * How even members are, and the few moves that make them more so.
 *
 * Problem: partitioners deal out tokens or partitions, and partitions differ: in bytes, and in how often they
 * are asked for. Mechanism: greedy, one copy at a time from the member with the most to one that may have it,
 * the copy that leaves the greater of the two smallest; until the members are as even as wanted, nothing
 * helps, or the plan is as large as it may be. A partition moves at most one copy per plan.
 * Invariants: pure, the same on every node; each move leaves the greater of its two members smaller than it
 * was; no copy goes into a zone that has one while its partition could have another zone; moves foresee at
 * most `bytesMax` bytes.
 * References: Graham, "Bounds on Multiprocessing Timing Anomalies" (1969), for greedy balancing.
 */

import { compareStrings, type NodeId } from '../base/ids.ts'
import type { StagedChange } from '../catalog/cluster-changes.ts'
import type { Member } from '../catalog/cluster-state.ts'

/** A partition with what one copy of it weighs. */
export interface WeighedPartition {
  readonly table: string
  readonly partition: number
  readonly homes: readonly NodeId[]
  /** Bytes, or requests per second. */
  readonly weight: number
  /** What moving one copy costs. */
  readonly bytes: number
}

export interface Balance {
  readonly moves: readonly Extract<StagedChange, { kind: 'move' }>[]
  /** Greatest over mean, per weight of the member. */
  readonly before: number
  readonly after: number
  readonly bytes: number
  /** More would have helped, and the plan was as large as it may be. */
  readonly isLimited: boolean
}

export interface BalanceLimits {
  /** No move is made for members that are as even as this. */
  readonly target: number
  readonly bytesMax: number
  readonly movesMax: number
}

interface Load {
  readonly member: Member
  load: number
}

/** Greatest over mean; 1 when there is nothing. */
export function imbalanceOf(members: readonly Member[], partitions: readonly WeighedPartition[]): number {
  return ratioOf([...loadsOf(members, partitions).values()])
}

function loadsOf(members: readonly Member[], partitions: readonly WeighedPartition[]): Map<NodeId, Load> {
  const sorted = [...members].sort((a, b) => compareStrings(a.id, b.id))
  const loads = new Map<NodeId, Load>(sorted.map(member => [member.id, { member, load: 0 }]))
  for (const { homes, weight } of partitions)
    for (const home of homes) {
      const known = loads.get(home)
      if (known !== undefined) known.load += weight
    }
  return loads
}

const perWeight = ({ member, load }: Load): number => load / member.weight

function ratioOf(loads: readonly Load[]): number {
  const total = loads.reduce((sum, { load }) => sum + load, 0)
  const weights = loads.reduce((sum, { member }) => sum + member.weight, 0)
  if (total <= 0) return 1
  return (Math.max(...loads.map(perWeight)) * weights) / total
}

export function balancingMoves(
  members: readonly Member[],
  partitions: readonly WeighedPartition[],
  { target, bytesMax, movesMax }: BalanceLimits,
): Balance {
  const loads = loadsOf(members, partitions)
  const all = [...loads.values()]
  const before = ratioOf(all)
  const left = new Set(partitions)
  const moves: Extract<StagedChange, { kind: 'move' }>[] = []
  let bytes = 0
  let isLimited = false
  // Of members with equally much each must give; a plan ends with the last move that helped.
  let kept = { count: 0, bytes: 0, after: before }
  while (ratioOf(all) > target) {
    const from = all.reduce((most, one) => (perWeight(one) > perWeight(most) ? one : most))
    const best = bestMove(from, all, left)
    if (best === undefined) break
    isLimited = moves.length >= movesMax || bytes + best.partition.bytes > bytesMax
    if (isLimited) break
    const { partition, to } = best
    left.delete(partition)
    from.load -= partition.weight
    to.load += partition.weight
    bytes += partition.bytes
    moves.push({
      kind: 'move',
      table: partition.table,
      partition: partition.partition,
      from: from.member.id,
      to: to.member.id,
    })
    const after = ratioOf(all)
    if (after < kept.after) kept = { count: moves.length, bytes, after }
  }
  return { moves: moves.slice(0, kept.count), before, after: kept.after, bytes: kept.bytes, isLimited }
}

/** The copy that leaves the greater of its two members smallest; of several the first. */
function bestMove(
  from: Load,
  all: readonly Load[],
  left: ReadonlySet<WeighedPartition>,
): { readonly partition: WeighedPartition; readonly to: Load } | undefined {
  const zoneOf = new Map(all.map(({ member }) => [member.id, member.zone]))
  const zones = new Set(zoneOf.values()).size
  let least = perWeight(from)
  let best: { partition: WeighedPartition; to: Load } | undefined
  for (const partition of left) {
    if (partition.weight <= 0 || !partition.homes.includes(from.member.id)) continue
    const fromAfter = (from.load - partition.weight) / from.member.weight
    if (fromAfter >= least) continue
    for (const to of all) {
      const greater = Math.max(fromAfter, (to.load + partition.weight) / to.member.weight)
      if (greater >= least || !mayGo(partition, from, to, zoneOf, zones)) continue
      least = greater
      best = { partition, to }
    }
  }
  return best
}

function mayGo(
  { homes }: WeighedPartition,
  from: Load,
  to: Load,
  zoneOf: ReadonlyMap<NodeId, string>,
  zones: number,
): boolean {
  if (homes.includes(to.member.id)) return false
  const others = homes.filter(home => home !== from.member.id)
  const taken = new Set(others.map(home => zoneOf.get(home)))
  return !taken.has(to.member.zone) || taken.size >= Math.min(zones, homes.length)
}
