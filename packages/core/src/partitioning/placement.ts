/**
 * What a partitioner is told about the nodes, and what it may ask of them.
 *
 * Problem: not every wish can be granted. More replicas than nodes cannot be placed at all; a zone whose
 * nodes weigh more than the copies it may hold gets less than its weight, which looks like a bug to
 * whoever has just added a node there.
 * Mechanism: both are found before anything is placed. `placementProblems` is what makes a placement
 * impossible; `zoneLimits` is what makes it differ from the weights, in words. The zone rule is one pair
 * of bounds per zone: with L the least level for which zones of at most L copies each hold n, every
 * partition keeps between L−1 and L copies in a zone (L when that is n exactly), or all its nodes when it
 * has fewer.
 * Invariants: `0 <= fewest <= most <= nodes of the zone`; `Σ fewest <= n <= Σ most`; every result is sorted
 * by zone or id, so that two nodes that compute it get the same.
 * References: Garage's layout documentation (a new node in a full zone rightly gets nothing).
 */

import { assert } from '../base/assert.ts'
import { compareStrings, type NodeId } from '../base/ids.ts'

export interface PlacementNode {
  readonly id: NodeId
  /** What fails together. */
  readonly zone: string
  /** Share of the data relative to the others; 1 is ordinary. */
  readonly weight: number
}

/** From `start` up to the next arc's start, the last to 2³². Arcs are sorted by start, the first starts at 0. */
export interface TokenArc {
  readonly start: number
  readonly replicas: readonly NodeId[]
}

export interface PlacementProblem {
  readonly field: string
  readonly message: string
}

/** What a node's configuration may say; more than this is a typing error. */
export const WEIGHT_MAX = 64

/** Less than this is nothing, and sums with it lose their precision. */
const WEIGHT_MIN = 1e-6

export const NODES_MAX = 10_000

/** What makes a placement of n copies on these nodes impossible; empty when nothing does. */
export function placementProblems(nodes: readonly PlacementNode[], n: number): PlacementProblem[] {
  const problems: PlacementProblem[] = []
  if (!Number.isSafeInteger(n) || n < 1)
    problems.push({ field: 'n', message: `the number of replicas is a whole number from 1, not ${n}` })
  if (nodes.length === 0)
    problems.push({ field: 'nodes', message: 'there are no nodes to place anything on' })
  else if (n > nodes.length && Number.isSafeInteger(n))
    problems.push({
      field: 'n',
      message: `${n} replicas need ${n} nodes, and there ${nodes.length === 1 ? 'is 1' : `are ${nodes.length}`}`,
    })
  if (nodes.length > NODES_MAX)
    problems.push({
      field: 'nodes',
      message: `at most ${NODES_MAX} nodes can be placed on, not ${nodes.length}`,
    })
  const met = new Set<NodeId>()
  nodes.forEach((node, index) => {
    const field = `nodes[${index}]`
    if (node.id === '') problems.push({ field: `${field}.id`, message: 'a node has a name' })
    if (met.has(node.id))
      problems.push({ field: `${field}.id`, message: `node "${node.id}" is listed more than once` })
    met.add(node.id)
    if (node.zone === '')
      problems.push({ field: `${field}.zone`, message: `node "${node.id}" has an empty zone name` })
    if (!Number.isFinite(node.weight) || node.weight < WEIGHT_MIN || node.weight > WEIGHT_MAX)
      problems.push({
        field: `${field}.weight`,
        message: `the weight of node "${node.id}" is from ${WEIGHT_MIN.toFixed(6)} to ${WEIGHT_MAX}, not ${node.weight}`,
      })
  })
  return problems
}

export function assertPlaceable(nodes: readonly PlacementNode[], n: number): void {
  const problems = placementProblems(nodes, n)
  assert(problems.length === 0, problems[0]?.message ?? '', problems)
}

export const sortedById = <T extends { readonly id: NodeId }>(nodes: readonly T[]): T[] =>
  [...nodes].sort((a, b) => compareStrings(a.id, b.id))

export interface ZoneBounds {
  readonly zone: string
  readonly nodes: readonly PlacementNode[]
  /** Copies of every single partition that this zone holds: at least, and at most. */
  readonly fewest: number
  readonly most: number
}

/** Zones in the order of their names, their nodes in the order of theirs. */
export function zoneBounds(nodes: readonly PlacementNode[], n: number): ZoneBounds[] {
  assert(n >= 1 && n <= nodes.length, 'n copies need n nodes', { n, nodes: nodes.length })
  const byZone = new Map<string, PlacementNode[]>()
  for (const node of sortedById(nodes)) {
    const known = byZone.get(node.zone)
    if (known === undefined) byZone.set(node.zone, [node])
    else known.push(node)
  }
  const zones = [...byZone].sort(([a], [b]) => compareStrings(a, b))
  const room = (level: number): number =>
    zones.reduce((sum, [, members]) => sum + Math.min(members.length, level), 0)
  let level = 1
  while (room(level) < n) level++
  const lowest = room(level) === n ? level : level - 1
  return zones.map(([zone, members]) => ({
    zone,
    nodes: members,
    fewest: Math.min(members.length, lowest),
    most: Math.min(members.length, level),
  }))
}

/** Weight beyond its bounds by less than this is not worth a sentence. */
const NOTICEABLE = 0.005

/** Where the weights cannot be respected, and why: one sentence for each zone and node concerned. */
export function zoneLimits(nodes: readonly PlacementNode[], n: number): string[] {
  if (placementProblems(nodes, n).length > 0) return []
  const notes: string[] = []
  const zones = zoneBounds(nodes, n)
  const sum = sortedById(nodes).reduce((total, { weight }) => total + weight, 0)
  const where = `(n=${n} over ${zones.length} ${zones.length === 1 ? 'zone' : 'zones'})`
  for (const { zone, nodes: members, fewest, most } of zones) {
    const share = members.reduce((total, { weight }) => total + weight, 0) / sum
    const says = `zone "${zone}" holds ${percent(share)} of the weight`
    if (share > most / n + NOTICEABLE)
      notes.push(
        `${says} but may hold at most ${portion(most, n)} of the copies ${where}, so its nodes get less than their weight`,
      )
    else if (share < fewest / n - NOTICEABLE)
      notes.push(
        `${says} but must hold at least ${portion(fewest, n)} of the copies ${where}, so its nodes get more than their weight`,
      )
  }
  for (const { id, weight } of sortedById(nodes)) {
    if (weight / sum > 1 / n + NOTICEABLE)
      notes.push(
        `node "${id}" holds ${percent(weight / sum)} of the weight but may hold at most one copy of each partition, ${portion(1, n)} of the copies, so it gets less than its weight`,
      )
  }
  return notes
}

const percent = (share: number): string => `${Math.round(share * 100)} %`

function portion(part: number, whole: number): string {
  if (part === whole) return 'all'
  if (part * 2 === whole) return 'half'
  return part * 3 === whole ? 'a third' : `${part} of ${whole}`
}

/** Nodes taken from the zones in turn, so that neighbours in the order stand in different zones. */
export function interleavedByZone(nodes: readonly PlacementNode[]): PlacementNode[] {
  const zones = nodes.length === 0 ? [] : zoneBounds(nodes, 1)
  const out: PlacementNode[] = []
  for (let round = 0; out.length < nodes.length; round++)
    for (const zone of zones) {
      const node = zone.nodes[round]
      if (node !== undefined) out.push(node)
    }
  return out
}
