/**
 * Who gets which tokens.
 *
 * Problem: few random tokens a node give badly skewed shares; many give every pair of nodes a range in
 * common, so that any two deaths cost some quorum. Mechanism: 16 tokens a node (times its weight), each
 * placed where it evens out the *replicated* load per weight most: candidates are places in the arcs of
 * most load, judged by the sum of squared load over weight, of which a trial needs only the few arcs that
 * the token changes (`load-ring.ts`). Nodes get their tokens in the order of their ids, the zones in turn.
 * Deterministic: same members, same tokens. 256 random tokens remain selectable.
 * Invariants: tokens are distinct over all nodes; a node has `tokenCount(weight)` of them, ascending;
 * what existing members hold is not touched.
 * References: Cassandra's replication-aware allocator (CASSANDRA-7032), here greedy over one token at a time.
 */

import { assert } from '../base/assert.ts'
import { compareStrings, type NodeId, type Token } from '../base/ids.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import { SeededRandom } from '../base/prng.ts'
import { TOKENS } from './arc-map.ts'
import { LoadRing } from './load-ring.ts'
import { interleavedByZone, sortedById } from './placement.ts'

import type { RingMember } from './ring.ts'
import { ringArcs } from './ring.ts'

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

/** Arcs that are looked at for one token. */
const CANDIDATES = 12

/** Places within an arc that are tried, as parts of its width; one more is chosen by what the node lacks. */
const PLACES = [0.5, 0.25, 0.75]

function tokenCount(weight: number, tokensPerNode: number): number {
  return Math.max(1, Math.round(weight * tokensPerNode))
}

/** Tokens for all `requests`, given what `existing` members already hold. */
export function allocateTokens(
  requests: readonly AllocationRequest[],
  existing: readonly (RingMember & { readonly weight: number })[],
  options: AllocationOptions = defaultAllocation,
): Map<NodeId, Token[]> {
  for (const request of requests) assert(request.weight > 0, 'weights are positive', request)
  return options.random ? randomTokens(requests, existing, options) : evenTokens(requests, existing, options)
}

function randomTokens(
  requests: readonly AllocationRequest[],
  existing: readonly RingMember[],
  options: AllocationOptions,
): Map<NodeId, Token[]> {
  const result = new Map<NodeId, Token[]>()
  const taken = new Set<number>(existing.flatMap(member => member.tokens as readonly number[]))
  for (const { id, weight } of [...requests].sort((a, b) => compareStrings(a.id, b.id))) {
    const random = new SeededRandom(murmur3OfString(id, 0x71))
    const tokens = Array.from({ length: tokenCount(weight, options.tokensPerNode) }, () => {
      let token = random.uint32()
      while (taken.has(token)) token = (token + 1) % TOKENS
      taken.add(token)
      return token as Token
    })
    result.set(
      id,
      tokens.sort((a, b) => a - b),
    )
  }
  return result
}

function evenTokens(
  requests: readonly AllocationRequest[],
  members: readonly (RingMember & { readonly weight: number })[],
  options: AllocationOptions,
): Map<NodeId, Token[]> {
  // Sums of weights depend on the order, and all nodes must come to the same.
  const existing = sortedById(members)
  const order = interleavedByZone(requests)
  const ring = loadRing(order, existing, options)
  const result = new Map<NodeId, Token[]>()
  const zonesMet = new Set(existing.filter(({ tokens }) => tokens.length > 0).map(({ zone }) => zone))
  let weightSum = existing.reduce((sum, { weight }) => sum + weight, 0)
  order.forEach(({ id, zone, weight }, i) => {
    const node = existing.length + i
    const count = tokenCount(weight, options.tokensPerNode)
    const isFirst = ring.points === 0
    weightSum += weight
    /** Of all copies; what the zone rule leaves to it may be more or less, the trials see to that. */
    const due = (options.replicaCount * TOKENS * weight) / weightSum
    const tokens: Token[] = []
    for (let index = 0; index < count; index++) {
      const token = isFirst
        ? Math.floor(((index + 0.5) * TOKENS) / count)
        : bestToken(ring, node, { due, weight, index, count }, !zonesMet.has(zone))
      ring.insert(token, node)
      zonesMet.add(zone)
      tokens.push(token as Token)
    }
    ring.tighten()
    result.set(
      id,
      tokens.sort((a, b) => a - b),
    )
  })
  return result
}

function loadRing(
  order: readonly AllocationRequest[],
  existing: readonly (RingMember & { readonly weight: number })[],
  options: AllocationOptions,
): LoadRing {
  const all = [...existing, ...order]
  const zones = [...new Set(all.map(({ zone }) => zone))].sort(compareStrings)
  const numbers = new Map(zones.map((zone, number) => [zone, number]))
  const nodes = all.map(({ zone, weight }) => ({ zone: numbers.get(zone)!, weight }))
  const held = existing.flatMap(({ tokens }, node) => tokens.map(token => ({ token: token as number, node })))
  const wanted = order.reduce((sum, { weight }) => sum + tokenCount(weight, options.tokensPerNode), 0)
  const ring = new LoadRing(nodes, options.replicaCount, held.length + wanted)
  ring.fill(held)
  return ring
}

interface Growth {
  /** Tokens, counted once per replica, that the node should hold in the end. */
  readonly due: number
  readonly weight: number
  readonly index: number
  readonly count: number
}

function bestToken(ring: LoadRing, node: number, growth: Growth, isNewZone: boolean): number {
  const arcs = ring.heaviest(CANDIDATES)
  // The first node of a zone gets a copy of everything wherever it stands.
  if (isNewZone) return place(ring, arcs[0]!, 0.5)!
  const weight = (growth.weight * (growth.index + 1)) / growth.count
  const lack = Math.max(0, (growth.due - ring.loadOf(node)) / (growth.count - growth.index))
  let best: number | undefined
  let bestCost = Number.POSITIVE_INFINITY
  for (const point of arcs) {
    const width = ring.width(point)
    for (const part of [...PLACES, Math.min(0.9, lack / width)]) {
      const token = place(ring, point, part)
      if (token === undefined) continue
      const cost = ring.trial(point, token, node, weight)
      if (cost < bestCost) {
        bestCost = cost
        best = token
      }
    }
  }
  assert(best !== undefined, 'the ring has room for one more token', ring.points)
  return best
}

/** A free token in the arc that ends at `point`; none when the arc is too narrow. */
function place(ring: LoadRing, point: number, part: number): number | undefined {
  const width = ring.width(point)
  if (width < 2) return undefined
  const offset = Math.min(width - 1, Math.max(1, Math.floor(width * part)))
  return (ring.tokenAt(point) - width + offset + TOKENS) % TOKENS
}

/** Tokens of the whole range each node holds as home replica, counted once per replica. */
export function replicatedLoad(members: readonly RingMember[], replicaCount: number): Map<NodeId, number> {
  const load = new Map<NodeId, number>(members.map(member => [member.id, 0]))
  const arcs = ringArcs(
    members.filter(member => member.tokens.length > 0),
    replicaCount,
  )
  arcs.forEach(({ start, replicas }, i) => {
    const width = (arcs[i + 1]?.start ?? TOKENS) - start
    for (const replica of replicas) load.set(replica, load.get(replica)! + width)
  })
  return load
}
