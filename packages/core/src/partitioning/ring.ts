/**
 * The ring partitioner: consistent hashing (Karger et al. 1997; DeCandia et al., Dynamo 2007).
 *
 * A row's token is owned by the first ring token at or after it, going round; its preference list is the
 * walk from there over distinct nodes. While zones are left that hold no replica, the walk takes only
 * nodes of those (so no two replicas share a zone while another has room), then the nodes it passed
 * over. The arc over the end of the token range becomes two partitions, so that every partition is one
 * contiguous key range in the store.
 */

import { assert } from '../base/assert.ts'
import { compareStrings, type NodeId, type TableId, type Token } from '../base/ids.ts'
import { type ArcMap, makeArcMap, TOKENS } from './arc-map.ts'
import type { TokenArc } from './placement.ts'

export interface RingMember {
  readonly id: NodeId
  readonly zone: string
  readonly tokens: readonly Token[]
}

interface RingPoint {
  readonly token: number
  readonly member: RingMember
}

export function ringPoints(members: readonly RingMember[]): RingPoint[] {
  const points = members.flatMap(member => member.tokens.map(token => ({ token: token as number, member })))
  points.sort((a, b) => a.token - b.token || compareStrings(a.member.id, b.member.id))
  return points
}

export function ringMap(
  table: TableId,
  version: number,
  members: readonly RingMember[],
  replicaCount: number,
): ArcMap {
  const { points, zones } = walkable(members)
  const arcs = arcStarts(points).map(({ start, point }) => {
    const preference = preferenceList(points, point, members.length, zones, replicaCount)
    const replicas = preference.slice(0, Math.min(replicaCount, members.length))
    return { start, replicas, preference }
  })
  return makeArcMap(table, version, arcs)
}

/**
 * The arcs of `ringMap` without the fallbacks, one for each token (and one for the part before the first):
 * neighbours with the same replicas stay apart, since each is a partition of its own.
 */
export function ringArcs(members: readonly RingMember[], n: number): TokenArc[] {
  const { points, zones } = walkable(members)
  return arcStarts(points).map(({ start, point }) => ({
    start,
    replicas: homes(points, point, members.length, zones, n),
  }))
}

/** Nodes in the order in which the walk from a token prefers them: n homes, then fallbacks. */
export function preferenceFrom(members: readonly RingMember[], token: number, n: number): NodeId[] {
  const { points, zones } = walkable(members)
  const from = points.findIndex(point => point.token >= token)
  return preferenceList(points, Math.max(from, 0), members.length, zones, n)
}

function walkable(members: readonly RingMember[]): { points: RingPoint[]; zones: number } {
  assert(members.length > 0, 'a ring has members')
  const points = ringPoints(members)
  assert(points.length > 0, 'a ring has tokens')
  return { points, zones: new Set(members.map(member => member.zone)).size }
}

/** Owner of [0, first token] is the first point; the arc after the last token belongs to it too. */
function arcStarts(points: readonly RingPoint[]): { start: number; point: number }[] {
  const arcs: { start: number; point: number }[] = []
  for (let i = 0; i <= points.length; i++) {
    const start = i === 0 ? 0 : points[i - 1]!.token + 1
    if (start >= TOKENS || (i > 0 && i < points.length && points[i]!.token === points[i - 1]!.token)) continue
    arcs.push({ start, point: i % points.length })
  }
  return arcs
}

/** The first part of the preference list, without walking further than it takes. */
function homes(
  points: readonly RingPoint[],
  from: number,
  memberCount: number,
  zoneCount: number,
  replicaCount: number,
): NodeId[] {
  const chosen: NodeId[] = []
  const passedOver: NodeId[] = []
  const zonesUsed = new Set<string>()
  for (let step = 0; step < points.length && chosen.length < replicaCount; step++) {
    const { member } = points[(from + step) % points.length]!
    if (chosen.length + passedOver.length === memberCount) break
    if (chosen.includes(member.id) || passedOver.includes(member.id)) continue
    if (zonesUsed.has(member.zone) && zonesUsed.size < zoneCount) passedOver.push(member.id)
    else {
      chosen.push(member.id)
      zonesUsed.add(member.zone)
    }
  }
  return [...chosen, ...passedOver.slice(0, replicaCount - chosen.length)]
}

function preferenceList(
  points: readonly RingPoint[],
  from: number,
  memberCount: number,
  zoneCount: number,
  replicaCount: number,
): NodeId[] {
  const chosen: NodeId[] = []
  const passedOver: NodeId[] = []
  const zonesUsed = new Set<string>()
  const met = new Set<NodeId>()
  for (let step = 0; step < points.length && met.size < memberCount; step++) {
    const { member } = points[(from + step) % points.length]!
    if (met.has(member.id)) continue
    met.add(member.id)
    const zoneIsNew = !zonesUsed.has(member.zone)
    if (zoneIsNew || zonesUsed.size === zoneCount || chosen.length >= replicaCount) {
      chosen.push(member.id)
      zonesUsed.add(member.zone)
    } else {
      passedOver.push(member.id)
    }
  }
  // Nodes passed over for their zone come before later choices that exceeded the replica count.
  const homes = chosen.slice(0, replicaCount)
  return [
    ...homes,
    ...mergeWalk(points, from, new Set(homes), [...chosen.slice(replicaCount), ...passedOver]),
  ]
}

/** The remaining nodes in walk order. */
function mergeWalk(
  points: readonly RingPoint[],
  from: number,
  taken: Set<NodeId>,
  rest: readonly NodeId[],
): NodeId[] {
  const remaining = new Set(rest)
  const out: NodeId[] = []
  for (let step = 0; step < points.length && remaining.size > 0; step++) {
    const { member } = points[(from + step) % points.length]!
    if (!taken.has(member.id) && remaining.delete(member.id)) out.push(member.id)
  }
  return out
}
