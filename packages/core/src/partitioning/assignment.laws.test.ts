import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type NodeId, nodeId } from '../base/ids.ts'
import { assignReplicas } from './assignment.ts'
import { type PlacementNode, zoneBounds } from './placement.ts'

const cluster = (count: number, zones: number, weights: readonly number[] = []): PlacementNode[] =>
  Array.from({ length: count }, (_, i) => ({
    id: nodeId(`n${String(i).padStart(2, '0')}`),
    zone: `z${i % zones}`,
    weight: weights[i] ?? 1,
  }))

const empty = (partitions: number): NodeId[][] => Array.from({ length: partitions }, () => [])

const counted = (lists: readonly (readonly NodeId[])[], nodes: readonly PlacementNode[]): number[] =>
  nodes.map(({ id }) => lists.filter(list => list.includes(id)).length)

const moved = (from: readonly (readonly NodeId[])[], to: readonly (readonly NodeId[])[]): number =>
  to.reduce((sum, list, i) => sum + list.filter(id => !from[i]!.includes(id)).length, 0)

/** Max-min shares by the book: raise all levels together in small steps until nothing is left. */
function slowIdeals(nodes: readonly PlacementNode[], n: number, partitions: number): number[] {
  const bounds = zoneBounds(nodes, n)
  const at = (level: number, zone: string): number[] => {
    const members = nodes.filter(node => node.zone === zone)
    return members.map(({ weight }) => Math.min(partitions, level * weight))
  }
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
  const solve = (amount: (level: number) => number, target: number): number => {
    let [low, high] = [0, 1e9]
    for (let i = 0; i < 300; i++) {
      const middle = (low + high) / 2
      if (amount(middle) < target) low = middle
      else high = middle
    }
    return high
  }
  const total = (level: number, b: (typeof bounds)[number]): number =>
    Math.min(b.most * partitions, Math.max(b.fewest * partitions, sum(at(level, b.zone))))
  const level = solve(l => sum(bounds.map(b => total(l, b))), n * partitions)
  return nodes.map(node => {
    const zone = bounds.find(b => b.zone === node.zone)!
    const own = solve(l => sum(at(l, zone.zone)), total(level, zone))
    return Math.min(partitions, own * node.weight)
  })
}

const cases = fc
  .record({
    count: fc.integer({ min: 1, max: 9 }),
    zones: fc.integer({ min: 1, max: 5 }),
    n: fc.integer({ min: 1, max: 5 }),
    partitions: fc.integer({ min: 1, max: 24 }),
    weights: fc.array(fc.constantFrom(0.25, 0.5, 1, 1, 2, 3), { minLength: 9, maxLength: 9 }),
    messy: fc.array(fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 6 }), {
      minLength: 24,
      maxLength: 24,
    }),
  })
  .map(({ count, zones, n, partitions, weights, messy }) => ({
    nodes: cluster(count, zones, weights),
    n: Math.min(n, count),
    // Lists with too many, too few, doubled and vanished nodes, against the zone rule as well.
    current: messy.slice(0, partitions).map(list => list.map(i => nodeId(`n${String(i).padStart(2, '0')}`))),
  }))

describe('assignment laws', () => {
  it('n distinct nodes, zones within bounds, quotas of the ideal rounded; again moves nothing', () => {
    fc.assert(
      fc.property(cases, ({ nodes, n, current }) => {
        const lists = assignReplicas(current, nodes, n)
        const zoneOf = new Map(nodes.map(({ id, zone }) => [id, zone]))
        for (const list of lists) {
          expect(new Set(list).size).toBe(n)
          expect(list).toHaveLength(n)
          for (const { zone, fewest, most } of zoneBounds(nodes, n)) {
            const held = list.filter(id => zoneOf.get(id) === zone).length
            expect(held).toBeGreaterThanOrEqual(fewest)
            expect(held).toBeLessThanOrEqual(most)
          }
        }
        const ideals = slowIdeals(nodes, n, current.length)
        counted(lists, nodes).forEach((count, i) => {
          expect(count).toBeGreaterThanOrEqual(Math.floor(ideals[i]! + 1e-5))
          expect(count).toBeLessThanOrEqual(Math.ceil(ideals[i]! - 1e-5))
        })
        expect(assignReplicas(lists, nodes, n)).toEqual(lists)
        expect(assignReplicas(current, [...nodes].reverse(), n)).toEqual(lists)
      }),
      { numRuns: 300 },
    )
  })

  it('kept replicas keep their order', () => {
    fc.assert(
      fc.property(cases, ({ nodes, n, current }) => {
        assignReplicas(current, nodes, n).forEach((list, i) => {
          const was = [...new Set(current[i]!)]
          const kept = list.filter(id => was.includes(id))
          expect(kept).toEqual(was.filter(id => kept.includes(id)))
        })
      }),
    )
  })

  it('no assignment with these quotas and zones moves less (all of them are tried)', () => {
    const tiny = fc.record({
      count: fc.integer({ min: 2, max: 5 }),
      zones: fc.integer({ min: 1, max: 3 }),
      n: fc.integer({ min: 1, max: 3 }),
      weights: fc.array(fc.constantFrom(0.5, 1, 2), { minLength: 5, maxLength: 5 }),
      current: fc.array(fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 3 }), {
        minLength: 1,
        maxLength: 4,
      }),
    })
    fc.assert(
      fc.property(tiny, ({ count, zones, n: wanted, weights, current: raw }) => {
        const n = Math.min(wanted, count)
        const nodes = cluster(count, zones, weights)
        const current = raw.map(list => list.map(i => nodeId(`n${String(i).padStart(2, '0')}`)))
        expect(moved(current, assignReplicas(current, nodes, n))).toBe(fewestMoves(current, nodes, n))
      }),
      { numRuns: 150 },
    )
  })
})

function fewestMoves(
  current: readonly (readonly NodeId[])[],
  nodes: readonly PlacementNode[],
  n: number,
): number {
  const bounds = zoneBounds(nodes, n)
  const sets = subsets(nodes, n).filter(set =>
    bounds.every(({ zone, fewest, most }) => {
      const held = set.filter(node => node.zone === zone).length
      return held >= fewest && held <= most
    }),
  )
  const ideals = slowIdeals(nodes, n, current.length)
  const counts = new Map<NodeId, number>(nodes.map(({ id }) => [id, 0]))
  let best = Number.POSITIVE_INFINITY
  const choose = (partition: number, moves: number): void => {
    if (moves >= best) return
    if (partition === current.length) {
      const fits = nodes.every(({ id }, i) => {
        const count = counts.get(id)!
        return count >= Math.floor(ideals[i]! + 1e-5) && count <= Math.ceil(ideals[i]! - 1e-5)
      })
      if (fits) best = moves
      return
    }
    for (const set of sets) {
      for (const { id } of set) counts.set(id, counts.get(id)! + 1)
      choose(partition + 1, moves + set.filter(({ id }) => !current[partition]!.includes(id)).length)
      for (const { id } of set) counts.set(id, counts.get(id)! - 1)
    }
  }
  choose(0, 0)
  return best
}

function subsets<T>(items: readonly T[], size: number): T[][] {
  if (size === 0) return [[]]
  return items.flatMap((item, i) => subsets(items.slice(i + 1), size - 1).map(rest => [item, ...rest]))
}

describe('adding and removing', () => {
  it.each([
    [10, 1, 3],
    [10, 5, 3],
    [6, 6, 2],
  ])('one node to %i in %i zones (n=%i): its share moves, from every member', (count, zones, n) => {
    const before = assignReplicas(empty(600), cluster(count, zones), n)
    const grown = cluster(count + 1, zones + (zones === count ? 1 : 0))
    const after = assignReplicas(before, grown, n)
    const copies = counted(after, grown)
    expect(moved(before, after)).toBe(copies.at(-1))
    expect(Math.abs(copies.at(-1)! - (n * 600) / (count + 1))).toBeLessThan(zones === 5 ? 60 : 1)
    if (zones !== 5)
      counted(before, grown).forEach((had, i) => {
        if (i < count) expect(copies[i]!).toBeLessThan(had)
      })
  })

  it('a node that goes is replaced, and nothing else moves', () => {
    const nodes = cluster(9, 3)
    const before = assignReplicas(empty(512), nodes, 3)
    const after = assignReplicas(before, nodes.slice(0, 8), 3)
    expect(moved(before, after)).toBe(counted(before, nodes)[8])
  })

  it('first replicas are even from nothing, and the sets are mixed', () => {
    for (const zones of [1, 3, 10]) {
      const nodes = cluster(10, zones)
      const lists = assignReplicas(empty(1024), nodes, 3)
      const leads = nodes.map(({ id }) => lists.filter(list => list[0] === id).length)
      const copies = counted(lists, nodes)
      const off = leads.map((lead, i) => Math.abs(lead - copies[i]! / 3))
      expect(Math.max(...off)).toBeLessThanOrEqual(8)
      const neighbours = new Set(lists.filter(list => list.includes(nodes[0]!.id)).flat())
      expect(neighbours.size).toBeGreaterThanOrEqual(zones === 3 ? 7 : 10)
    }
  })

  it.each([0.01, 1e-6])('a node of weight %d gets nothing, unless it must', weight => {
    const nodes = cluster(4, 4, [1, weight, 1, 64])
    expect(counted(assignReplicas(empty(50), nodes, 2), nodes)[1]).toBeLessThanOrEqual(1)
    expect(counted(assignReplicas(empty(50), nodes, 4), nodes)).toEqual([50, 50, 50, 50])
  })

  it('a node in a full zone takes from its own zone only', () => {
    const nodes = cluster(6, 3)
    const before = assignReplicas(empty(300), nodes, 3)
    const grown = [...nodes, { id: nodeId('x'), zone: 'z0', weight: 1 }]
    const after = assignReplicas(before, grown, 3)
    expect(counted(after, grown)).toEqual([100, 150, 150, 100, 150, 150, 100])
  })
})
