/**
 * Which nodes hold which partition: balanced by weight, spread over zones, moving as little as possible.
 *
 * Problem: P partitions have replica lists, the nodes change, and every copy that changes place is streamed
 * over the network. Mechanism, in the order of importance:
 * 1. zones: every partition keeps a zone's bounds (`zoneBounds`);
 * 2. balance: the ideal number of copies of each node is water-filled by weight under the bounds of zones
 *    and the cap of one copy per partition; a node holds its ideal rounded down or up;
 * 3. movement: of all assignments that do this, one with the fewest copies on nodes that did not hold the
 *    partition: exactly, as a min-cost flow node → (partition, zone) → partition. Lower bounds are parallel
 *    arcs without the surcharge that every copy above a bound pays.
 * Partitions with the same holders are alike, so the network has one vertex for a class of several, with
 * their number as capacity; who of the class gets what is then drawn partition by partition.
 * The draw is seeded and keeps the rest placeable, so any outcome has the costs of the flow; chance spreads
 * the sets, so that a dead node's load falls on many.
 * Invariants: n distinct nodes for each partition; `floor(ideal) <= copies(node) <= ceil(ideal)`; assigning a
 * result again moves nothing; kept replicas keep their order; same input, same output.
 * References: Garage's optimal layout computation (Auvolat, Mendes Oulamara 2022), which also maximizes the
 * partition size first; here weights are shares, not capacities. Tillé, "Sampling Algorithms" (2006), for
 * drawing with fixed counts.
 */

import { assert } from '../base/assert.ts'
import { compareStrings, type NodeId } from '../base/ids.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import { MinCostFlow } from './min-cost-flow.ts'
import { assertPlaceable, type PlacementNode, type ZoneBounds, zoneBounds } from './placement.ts'
import { drawClass } from './replica-draw.ts'
import { orderReplicas } from './replica-order.ts'

export const PARTITIONS_MAX = 1_000_000

/** Partitions × replicas: costs of the flow are a few times this and must stay 32-bit numbers. */
const COPIES_MAX = 1 << 28

/** A flow takes whole classes; small ones let it take a little of every set of holders. */
const CLASS_MAX = 8

/** Some partitions with the same holders among the nodes that are there (all of those without any). */
interface HolderClass {
  readonly key: string
  /** Indices of nodes, ascending. */
  readonly holders: readonly number[]
  readonly partitions: number[]
}

/** Nodes by index: zones in order of name, nodes within a zone in order of id. */
export interface Field {
  readonly nodes: readonly PlacementNode[]
  readonly zones: readonly ZoneBounds[]
  /** Index of the first node of each zone; one more entry than zones. */
  readonly zoneStart: readonly number[]
}

/** New replica lists, one for each of `current` (which may be empty lists, and name nodes that are gone). */
export function assignReplicas(
  current: readonly (readonly NodeId[])[],
  nodes: readonly PlacementNode[],
  n: number,
): NodeId[][] {
  assertPlaceable(nodes, n)
  assert(current.length <= PARTITIONS_MAX, 'partitions are within the limit', current.length)
  assert(current.length * n <= COPIES_MAX, 'copies are within the limit', { partitions: current.length, n })
  if (current.length === 0) return []
  const field = fieldOf(nodes, n)
  const classes = classesOf(current, field)
  const ideals = idealCopies(field, n, current.length)
  const counts = flowCounts(field, classes, ideals, n, current.length)
  const chosen: number[][] = Array.from({ length: current.length })
  classes.forEach((each, c) => {
    drawClass(field, each.partitions, counts[c]!, n, murmur3OfString(each.key, 0x5eed), chosen)
  })
  return orderReplicas(
    current,
    chosen.map(indices => indices.map(index => field.nodes[index]!.id)),
    field.nodes.map(({ id }, index) => ({ id, ideal: ideals[index]! })),
  )
}

function fieldOf(nodes: readonly PlacementNode[], n: number): Field {
  const zones = zoneBounds(nodes, n)
  const zoneStart = [0]
  for (const zone of zones) zoneStart.push(zoneStart.at(-1)! + zone.nodes.length)
  return { nodes: zones.flatMap(zone => zone.nodes), zones, zoneStart }
}

function classesOf(current: readonly (readonly NodeId[])[], field: Field): HolderClass[] {
  const indexOf = new Map(field.nodes.map(({ id }, index) => [id, index]))
  const classes = new Map<string, HolderClass>()
  const sizes = new Map<string, number>()
  current.forEach((replicas, partition) => {
    const indices = replicas.flatMap(id => indexOf.get(id) ?? [])
    const holders = [...new Set(indices)].sort((a, b) => a - b)
    const set = holders.map(index => field.nodes[index]!.id).join('\0')
    const alike = (sizes.get(set) ?? 0) + 1
    sizes.set(set, alike)
    const key = holders.length === 0 ? set : `${set}\0${Math.floor((alike - 1) / CLASS_MAX)}`
    const known = classes.get(key)
    if (known === undefined) classes.set(key, { key, holders, partitions: [partition] })
    else known.partitions.push(partition)
  })
  // By hash: neighbours in the order of names have nodes in common, and a flow takes what comes first.
  return [...classes.values()].sort(
    (a, b) => murmur3OfString(a.key) - murmur3OfString(b.key) || compareStrings(a.key, b.key),
  )
}

/** Closer than this to a whole number is that number: what is left is the rounding of sums. */
const SNAP = 1e-6

/** Copies by weight, under the cap of P for each node and the bounds of zones; the sum is n·P. */
function idealCopies(field: Field, n: number, partitions: number): number[] {
  const weightsOf = (zone: ZoneBounds): number[] => zone.nodes.map(({ weight }) => weight)
  const filled = (weights: readonly number[], level: number): number =>
    weights.reduce((sum, weight) => sum + Math.min(partitions, level * weight), 0)
  const zoneTotals = (level: number): number[] =>
    field.zones.map(zone =>
      Math.min(zone.most * partitions, Math.max(zone.fewest * partitions, filled(weightsOf(zone), level))),
    )
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  const level = leastLevel(field.nodes, partitions, at => sum(zoneTotals(at)), n * partitions)
  return field.zones.flatMap((zone, z) => {
    const weights = weightsOf(zone)
    const total = zoneTotals(level)[z]!
    const own = leastLevel(zone.nodes, partitions, at => filled(weights, at), total)
    return weights.map(weight => {
      const ideal = Math.min(partitions, own * weight)
      return Math.abs(ideal - Math.round(ideal)) < SNAP ? Math.round(ideal) : ideal
    })
  })
}

/** The least level at which the growing `amount` reaches `target`, by halving to the last bit. */
function leastLevel(
  nodes: readonly PlacementNode[],
  partitions: number,
  amount: (level: number) => number,
  target: number,
): number {
  let low = 0
  // At this level every node is at its cap, whatever its weight.
  const lightest = Math.min(...nodes.map(({ weight }) => weight))
  let high = Math.min(Number.MAX_VALUE / 4, (partitions / lightest) * 2)
  while (true) {
    const middle = (low + high) / 2
    if (middle <= low || middle >= high) return high
    if (amount(middle) < target) low = middle
    else high = middle
  }
}

/** Copies of each class on each node: `counts[class][node]`. */
function flowCounts(
  field: Field,
  classes: readonly HolderClass[],
  ideals: readonly number[],
  n: number,
  partitions: number,
): number[][] {
  const nodeCount = field.nodes.length
  // A zone that can neither overflow nor fall short needs no vertex of its own in each class; its copies
  // pay the surcharge that all others pay on leaving that vertex.
  const bounded = field.zones.map(zone => zone.fewest > 0 || zone.most < zone.nodes.length)
  const hubs = bounded.filter(Boolean).length
  const perClass = 1 + hubs
  const vertices = 2 + nodeCount + classes.length * perClass
  const arcs = 2 * nodeCount + classes.length * (1 + nodeCount + 2 * hubs)
  const flow = new MinCostFlow(vertices, arcs)
  const [source, sink] = [0, 1]
  /** Dearer than any number of moves. */
  const surcharge = n * partitions + 1
  const between = (from: number, to: number, fewest: number, most: number): void => {
    flow.addArc(from, to, fewest, 0)
    flow.addArc(from, to, most - fewest, surcharge)
  }
  ideals.forEach((ideal, index) => {
    between(source, 2 + index, Math.floor(ideal), Math.ceil(ideal))
  })
  const arcOf: number[][] = classes.map((each, c) => {
    const vertex = 2 + nodeCount + c * perClass
    const size = each.partitions.length
    const held = new Set(each.holders)
    const out: number[] = []
    let hub = vertex
    field.zones.forEach((zone, z) => {
      if (bounded[z] === true) {
        hub++
        between(hub, vertex, zone.fewest * size, zone.most * size)
      }
      const [to, base] = bounded[z] === true ? [hub, 0] : [vertex, surcharge]
      for (let index = field.zoneStart[z]!; index < field.zoneStart[z + 1]!; index++)
        out.push(flow.addArc(2 + index, to, size, base + (held.has(index) ? 0 : 1)))
    })
    flow.addArc(vertex, sink, n * size, 0)
    return out
  })
  const { flow: sent } = flow.run(source, sink)
  assert(sent === n * partitions, 'every copy has a place', { sent, copies: n * partitions })
  return arcOf.map(row => row.map(arc => flow.flowOn(arc)))
}
