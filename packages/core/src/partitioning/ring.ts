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
  assert(members.length > 0, 'a ring has members')
  const points = ringPoints(members)
  assert(points.length > 0, 'a ring has tokens')
  const zones = new Set(members.map(member => member.zone)).size
  const arcs: { start: number; replicas: readonly NodeId[]; preference: readonly NodeId[] }[] = []
  // Owner of [0, first token] is the first point; the arc after the last token belongs to it too.
  for (let i = 0; i <= points.length; i++) {
    const start = i === 0 ? 0 : points[i - 1]!.token + 1
    if (start >= TOKENS || (i > 0 && i < points.length && points[i]!.token === points[i - 1]!.token)) continue
    const preference = preferenceList(points, i % points.length, members.length, zones, replicaCount)
    const replicas = preference.slice(0, Math.min(replicaCount, members.length))
    arcs.push({ start, replicas, preference })
  }
  return makeArcMap(table, version, arcs)
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

export function ringArcs(
  members: readonly RingMember[],
  n: number,
): { readonly start: number; readonly replicas: readonly NodeId[] }[] {
  const map = ringMap(0 as TableId, 0, members, n)
  return map.partitions.map(({ start, replicas }) => ({ start, replicas }))
}
