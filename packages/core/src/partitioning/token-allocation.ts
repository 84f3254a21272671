/**
 * Who gets which tokens.
 *
 * Problem: few random tokens a node give badly skewed shares; many give every pair of nodes a range in
 * common, so that any two deaths cost some quorum. Mechanism: 16 tokens a node (times its weight), each
 * placed where it takes most load off the node with the most *replicated* load per weight: candidate
 * positions are the middles of the widest arcs, judged by the sum of squared load-per-weight over all
 * nodes. Deterministic: same members, same tokens. 256 random tokens remain selectable.
 * References: Cassandra's replication-aware allocator (CASSANDRA-7032), here greedy over one arc at a time.
 */

import { assert } from '../base/assert.ts'
import { compareStrings, type NodeId, type Token, tableId } from '../base/ids.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import { SeededRandom } from '../base/prng.ts'
import { TOKENS } from './arc-map.ts'
import type { RingMember } from './ring.ts'
import { ringMap } from './ring.ts'

export interface AllocationRequest {
  readonly id: NodeId
  readonly zone: string
  /** Share of the data relative to the others; 1 is ordinary. */
  readonly weight: number
}

export interface AllocationOptions {
  readonly tokensPerNode: number
  readonly replicaCount: number
  readonly random: boolean
}

export const defaultAllocation: AllocationOptions = { tokensPerNode: 16, replicaCount: 3, random: false }

const CANDIDATES = 24

export function tokenCount(weight: number, tokensPerNode: number): number {
  return Math.max(1, Math.round(weight * tokensPerNode))
}

/** Tokens for all `requests`, given what `existing` members already hold. */
export function allocateTokens(
  requests: readonly AllocationRequest[],
  existing: readonly (RingMember & { readonly weight: number })[],
  options: AllocationOptions = defaultAllocation,
): Map<NodeId, Token[]> {
  const result = new Map<NodeId, Token[]>()
  const members = existing.map(member => ({ ...member, tokens: [...member.tokens] }))
  const taken = new Set<number>(members.flatMap(member => member.tokens as number[]))
  for (const request of [...requests].sort((a, b) => compareStrings(a.id, b.id))) {
    assert(request.weight > 0, 'weights are positive', request)
    const count = tokenCount(request.weight, options.tokensPerNode)
    const member = { id: request.id, zone: request.zone, weight: request.weight, tokens: [] as Token[] }
    members.push(member)
    const random = new SeededRandom(murmur3OfString(request.id, 0x71))
    for (let i = 0; i < count; i++) {
      const token = options.random
        ? freeToken(random.uint32(), taken)
        : bestToken(members, member, i, count, taken, options)
      taken.add(token)
      member.tokens.push(token as Token)
    }
    member.tokens.sort((a, b) => a - b)
    result.set(request.id, member.tokens)
  }
  return result
}

function freeToken(token: number, taken: ReadonlySet<number>): number {
  let at = token
  while (taken.has(at)) at = (at + 1) % TOKENS
  return at
}

type Weighted = RingMember & { readonly weight: number }

function bestToken(
  members: readonly Weighted[],
  member: Weighted,
  index: number,
  count: number,
  taken: ReadonlySet<number>,
  options: AllocationOptions,
): number {
  if (members.length === 1) return freeToken(Math.floor(((index + 0.5) * TOKENS) / count), taken)
  const others = [...taken].sort((a, b) => a - b)
  const arcs = others.map((end, i) => {
    const start = i === 0 ? others.at(-1)! - TOKENS : others[i - 1]!
    return { start, width: end - start }
  })
  arcs.sort((a, b) => b.width - a.width || a.start - b.start)
  let best = -1
  let bestCost = Number.POSITIVE_INFINITY
  for (const arc of arcs.slice(0, CANDIDATES)) {
    for (const share of [0.5, 0.25, 0.75]) {
      const token = freeToken((Math.floor(arc.start + arc.width * share) + TOKENS) % TOKENS, taken)
      const trial = members.map(m => (m === member ? { ...m, tokens: [...m.tokens, token as Token] } : m))
      const cost = imbalance(trial, options.replicaCount, member.id, (index + 1) / count)
      if (cost < bestCost) {
        bestCost = cost
        best = token
      }
    }
  }
  return best
}

/** Tokens of the whole range each node holds as home replica, counted once per replica. */
export function replicatedLoad(members: readonly RingMember[], replicaCount: number): Map<NodeId, number> {
  const load = new Map<NodeId, number>(members.map(member => [member.id, 0]))
  const map = ringMap(
    tableId(0),
    0,
    members.filter(member => member.tokens.length > 0),
    replicaCount,
  )
  for (const partition of map.partitions) {
    for (const replica of partition.replicas)
      load.set(replica, load.get(replica)! + partition.end - partition.start)
  }
  return load
}

/** Sum of squares of load over weight; a member still receiving tokens counts with the share it has so far. */
function imbalance(
  members: readonly Weighted[],
  replicaCount: number,
  growing: NodeId,
  progress: number,
): number {
  const load = replicatedLoad(members, replicaCount)
  const weightSum = members.reduce((sum, m) => sum + m.weight * (m.id === growing ? progress : 1), 0)
  const loadSum = [...load.values()].reduce((sum, l) => sum + l, 0)
  let cost = 0
  for (const member of members) {
    const weight = member.weight * (member.id === growing ? progress : 1)
    const ratio = load.get(member.id)! / loadSum / (weight / weightSum)
    cost += (ratio - 1) ** 2 * weight
  }
  return cost
}
