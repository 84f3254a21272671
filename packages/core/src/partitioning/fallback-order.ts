/**
 * Who stands in for a home, in which order: on ring tables the walk from the partition on, over distinct
 * nodes (DeCandia et al. 2007); on others highest-random-weight order (Thaler, Ravishankar 1998), so that the
 * load of a dead home is spread over everyone and all nodes agree on the order without being told.
 */

import { stringToHex } from '../base/bytes.ts'
import { compareStrings, type NodeId, type Token } from '../base/ids.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import type { FallbackOrder, Partition } from './partition-map.ts'
import { partitionTokens } from './row-key.ts'

export interface WalkMember {
  readonly id: NodeId
  readonly tokens: readonly Token[]
}

export function ringWalk(members: readonly WalkMember[]): FallbackOrder {
  const points = members.flatMap(({ id, tokens }) => tokens.map(token => ({ token: token as number, id })))
  points.sort((a, b) => a.token - b.token || compareStrings(a.id, b.id))
  return partition => {
    const { start } = partitionTokens(partition)
    const first = Math.max(
      0,
      points.findIndex(point => point.token >= start),
    )
    const met = new Set<NodeId>()
    for (let step = 0; step < points.length && met.size < members.length; step++)
      met.add(points[(first + step) % points.length]!.id)
    return [...met]
  }
}

export function rendezvousOrder(members: readonly { readonly id: NodeId }[]): FallbackOrder {
  const weigh = (partition: Partition, id: NodeId): number =>
    murmur3OfString(`${stringToHex(partition.from)}/${id}`)
  return partition =>
    members
      .map(({ id }) => ({ id, weight: weigh(partition, id) }))
      .sort((a, b) => b.weight - a.weight || compareStrings(a.id, b.id))
      .map(({ id }) => id)
}
