/**
 * The numbers of the textbook, computed instead of quoted: what a partitioner moves when nodes come or go,
 * how even it is before and after, and on whom a dead node's load falls.
 *
 * Mechanism: the arcs before and after are laid over each other; every piece on which neither changes is
 * judged once, by its width or by how many of the given keys' tokens lie in it.
 * What theory says: the least that any partitioner can move is the share that the newcomers must get
 * (Karger et al. 1997), which a ring and fixed partitions reach; modulo keeps a key only where
 * b mod N = b mod N', which is min(N, N') in every lcm(N, N') buckets.
 * Invariants: shares are in 0 … 1; the same input gives the same report.
 */

import { QuorateError } from '../base/errors.ts'
import type { NodeId } from '../base/ids.ts'
import { encodeKey } from '../base/key-encoding.ts'
import { TOKENS } from './arc-map.ts'
import { fixedArcs, PARTITIONS_DEFAULT } from './fixed.ts'
import { moduloArcs } from './modulo.ts'
import { type PlacementNode, placementProblems, sortedById, type TokenArc, zoneLimits } from './placement.ts'
import { type RingMember, ringArcs } from './ring.ts'
import { tokenOf } from './row-key.ts'
import { allocateTokens, defaultAllocation } from './token-allocation.ts'

export type PartitionerKind = 'ring' | 'fixed' | 'modulo'

export interface MovementQuestion {
  readonly nodes: readonly PlacementNode[]
  readonly n: number
  readonly kind: PartitionerKind
  readonly add?: readonly PlacementNode[]
  readonly remove?: readonly NodeId[]
  /** Ring: tokens of a node of weight 1, allocated or random. */
  readonly tokensPerNode?: number
  readonly random?: boolean
  /** Fixed: equal arcs; modulo: buckets. */
  readonly partitions?: number
  /** Tokens of real keys; without them every token counts the same. */
  readonly tokens?: Uint32Array
}

export interface DeadNodeSpread {
  readonly node: NodeId
  /** Nodes that take over what the dead one was first replica of. */
  readonly survivors: number
  /** The greatest part of it that falls on one of them, 0 … 1. */
  readonly greatestShare: number
}

export interface MovementReport {
  readonly nodesBefore: number
  readonly nodesAfter: number
  /** Share of the keys whose first replica changes. */
  readonly firstMoved: number
  /** Share of all copies that are on another node afterwards. */
  readonly copiesMoved: number
  /** What theory says of `firstMoved`. */
  readonly expected: number
  /** Members that give copies away, and that get some. */
  readonly from: number
  readonly to: number
  /** Copies per weight of the fullest node over the mean; 1 is even. */
  readonly balanceBefore: number
  readonly balanceAfter: number
  /** Where weights cannot be respected, in words. */
  readonly notes: readonly string[]
  /** Before the change: who takes over when this node dies. */
  deadNodeSpread(node: NodeId): DeadNodeSpread
}

export function movementReport(question: MovementQuestion): MovementReport {
  const { nodes, n } = question
  const after = nodesAfter(question)
  const measure = measureOf(question.tokens)
  const planner = plannerOf(question)
  const old = planner.first(nodes)
  const fresh = planner.next(nodes, after)
  return {
    nodesBefore: nodes.length,
    nodesAfter: after.length,
    ...moves(old, fresh, n, measure),
    expected:
      question.kind === 'modulo' ? moduloExpected(nodes.length, after.length) : leastMoved(nodes, after),
    balanceBefore: balance(old, nodes, measure),
    balanceAfter: balance(fresh, after, measure),
    notes: zoneLimits(after, n),
    deadNodeSpread(node) {
      if (!nodes.some(({ id }) => id === node)) throw bad(`there is no node "${node}" that could die`)
      // With one replica nobody has the data: the plan without the node says who would take its place.
      const rest = nodes.filter(({ id }) => id !== node)
      const instead = n === 1 && rest.length > 0 ? planner.next(nodes, rest) : undefined
      return spread(old, instead, node, measure)
    },
  }
}

/** Tokens of texts as row keys have them, ascending. */
export function tokensOfTexts(texts: readonly string[]): Uint32Array {
  return Uint32Array.from(texts, text => tokenOf(encodeKey(text))).sort()
}

const bad = (message: string): QuorateError => new QuorateError('BAD_REQUEST', message)

function nodesAfter({ nodes, n, add = [], remove = [] }: MovementQuestion): PlacementNode[] {
  const going = new Set(remove)
  for (const id of remove)
    if (!nodes.some(node => node.id === id)) throw bad(`node "${id}" is not there to be removed`)
  const after = [...nodes.filter(({ id }) => !going.has(id)), ...add]
  for (const [when, list] of [
    ['before', nodes],
    ['after', after],
  ] as const) {
    const [problem] = placementProblems(list, n)
    if (problem !== undefined) throw bad(`${when} the change: ${problem.message}`)
  }
  return after
}

interface Planner {
  first(nodes: readonly PlacementNode[]): TokenArc[]
  /** What `first` becomes for other nodes. */
  next(from: readonly PlacementNode[], to: readonly PlacementNode[]): TokenArc[]
}

function plannerOf(question: MovementQuestion): Planner {
  const { n, kind, partitions = PARTITIONS_DEFAULT, random = false } = question
  if (kind === 'modulo')
    return {
      first: nodes => moduloArcs(nodes, n, partitions),
      next: (_, to) => moduloArcs(to, n, partitions),
    }
  if (kind === 'fixed') {
    const first = (nodes: readonly PlacementNode[]): TokenArc[] => fixedArcs(nodes, n, partitions)
    return { first, next: (from, to) => fixedArcs(to, n, partitions, first(from)) }
  }
  const tokensPerNode = question.tokensPerNode ?? (random ? 256 : defaultAllocation.tokensPerNode)
  const options = { tokensPerNode, replicaCount: n, random }
  const grow = (
    members: readonly (RingMember & PlacementNode)[],
    nodes: readonly PlacementNode[],
  ): (RingMember & PlacementNode)[] => {
    const tokens = allocateTokens(nodes, members, options)
    return [...members, ...nodes.map(node => ({ ...node, tokens: tokens.get(node.id) ?? [] }))]
  }
  const start = grow([], question.nodes)
  return {
    first: () => ringArcs(start, n),
    next(_, to) {
      const stays = start.filter(({ id }) => to.some(node => node.id === id))
      const comes = to.filter(({ id }) => !stays.some(member => member.id === id))
      return ringArcs(grow(stays, comes), n)
    },
  }
}

interface Measure {
  readonly all: number
  between(start: number, end: number): number
}

function measureOf(tokens: Uint32Array | undefined): Measure {
  if (tokens === undefined) return { all: TOKENS, between: (start, end) => end - start }
  if (tokens.length === 0) throw bad('there are no keys to count')
  const sorted = tokens.slice().sort()
  const below = (token: number): number => {
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sorted[middle]! < token) low = middle + 1
      else high = middle
    }
    return low
  }
  return { all: sorted.length, between: (start, end) => below(end) - below(start) }
}

function moves(old: readonly TokenArc[], fresh: readonly TokenArc[], n: number, measure: Measure) {
  let first = 0
  let copies = 0
  const givers = new Set<NodeId>()
  const takers = new Set<NodeId>()
  let i = 0
  let j = 0
  let start = 0
  while (start < TOKENS) {
    const end = Math.min(old[i + 1]?.start ?? TOKENS, fresh[j + 1]?.start ?? TOKENS)
    const had = old[i]!.replicas
    const has = fresh[j]!.replicas
    const amount = measure.between(start, end)
    if (had[0] !== has[0]) first += amount
    if (amount > 0) {
      for (const id of had) if (!has.includes(id)) givers.add(id)
      for (const id of has) {
        if (had.includes(id)) continue
        takers.add(id)
        copies += amount
      }
    }
    if (old[i + 1]?.start === end) i++
    if (fresh[j + 1]?.start === end) j++
    start = end
  }
  return {
    firstMoved: first / measure.all,
    copiesMoved: copies / (n * measure.all),
    from: givers.size,
    to: takers.size,
  }
}

function moduloExpected(before: number, after: number): number {
  let [a, b] = [before, after]
  while (b > 0) [a, b] = [b, a % b]
  return 1 - Math.min(before, after) / ((before / a) * after)
}

/** What stays at best: of each node the smaller of its two shares. */
function leastMoved(before: readonly PlacementNode[], after: readonly PlacementNode[]): number {
  const sumOf = (nodes: readonly PlacementNode[]): number =>
    sortedById(nodes).reduce((sum, { weight }) => sum + weight, 0)
  const [was, is] = [sumOf(before), sumOf(after)]
  const kept = sortedById(after).reduce((sum, node) => {
    const old = before.find(({ id }) => id === node.id)
    return sum + Math.min((old?.weight ?? 0) / was, node.weight / is)
  }, 0)
  return Math.max(0, 1 - kept)
}

const endOf = (arcs: readonly TokenArc[], index: number): number => arcs[index + 1]?.start ?? TOKENS

function balance(arcs: readonly TokenArc[], nodes: readonly PlacementNode[], measure: Measure): number {
  const load = new Map<NodeId, number>(nodes.map(({ id }) => [id, 0]))
  let sum = 0
  arcs.forEach(({ start, replicas }, index) => {
    const amount = measure.between(start, endOf(arcs, index))
    sum += amount * replicas.length
    for (const id of replicas) load.set(id, load.get(id)! + amount)
  })
  const weights = sortedById(nodes).reduce((total, { weight }) => total + weight, 0)
  return Math.max(...nodes.map(({ id, weight }) => ((load.get(id)! / weight) * weights) / sum))
}

function spread(
  arcs: readonly TokenArc[],
  instead: readonly TokenArc[] | undefined,
  node: NodeId,
  measure: Measure,
): DeadNodeSpread {
  const heirs = new Map<NodeId, number>()
  let sum = 0
  const inherit = (heir: NodeId | undefined, amount: number): void => {
    if (heir === undefined || amount === 0) return
    heirs.set(heir, (heirs.get(heir) ?? 0) + amount)
    sum += amount
  }
  arcs.forEach(({ start, replicas }, index) => {
    if (replicas[0] !== node) return
    const end = endOf(arcs, index)
    if (instead === undefined) inherit(replicas[1], measure.between(start, end))
    instead?.forEach((arc, i) => {
      const [from, to] = [Math.max(start, arc.start), Math.min(end, endOf(instead, i))]
      if (from < to) inherit(arc.replicas[0], measure.between(from, to))
    })
  })
  const greatest = Math.max(0, ...heirs.values())
  return { node, survivors: heirs.size, greatestShare: sum === 0 ? 0 : greatest / sum }
}
