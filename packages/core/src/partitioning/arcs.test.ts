import { describe, expect, it } from 'vitest'
import { nodeId } from '../base/ids.ts'
import { TOKENS } from './arc-map.ts'
import { fixedArcs } from './fixed.ts'
import { moduloArcs } from './modulo.ts'
import type { PlacementNode, TokenArc } from './placement.ts'

const cluster = (count: number, zones: number): PlacementNode[] =>
  Array.from({ length: count }, (_, i) => ({
    id: nodeId(`n${String(i).padStart(2, '0')}`),
    zone: `z${i % zones}`,
    weight: 1,
  }))

const firstChanged = (from: readonly TokenArc[], to: readonly TokenArc[]): number =>
  from.filter((arc, i) => arc.replicas[0] !== to[i]!.replicas[0]).length / from.length

describe('fixed arcs', () => {
  it('are equal parts from 0, whatever their number', () => {
    for (const partitions of [1, 2, 3, 1000, 1024]) {
      const arcs = fixedArcs(cluster(4, 2), 2, partitions)
      expect(arcs).toHaveLength(partitions)
      expect(arcs[0]!.start).toBe(0)
      const widths = arcs.map(({ start }, i) => (arcs[i + 1]?.start ?? TOKENS) - start)
      expect(Math.max(...widths) - Math.min(...widths)).toBeLessThanOrEqual(1)
    }
  })

  it('stay with the same nodes; twice as many arcs keep the replicas of the arc that they lay in', () => {
    const nodes = cluster(6, 3)
    const arcs = fixedArcs(nodes, 3, 128)
    expect(fixedArcs(nodes, 3, 128, arcs)).toEqual(arcs)
    const finer = fixedArcs(nodes, 3, 256, arcs)
    expect(finer.filter((arc, i) => arc.replicas.join() !== arcs[i >> 1]!.replicas.join())).toEqual([])
  })

  it.each([0, -1, 1.5, Number.NaN, 2_000_000])('%d arcs are refused', count => {
    expect(() => fixedArcs(cluster(3, 3), 3, count)).toThrow('arcs are')
  })
})

describe('modulo arcs', () => {
  it('bucket b belongs to node b mod N, the others follow in order', () => {
    const arcs = moduloArcs(cluster(4, 1), 2, 8)
    expect(arcs.map(({ replicas }) => replicas.join())).toEqual([
      'n00,n01',
      'n01,n02',
      'n02,n03',
      'n03,n00',
      'n00,n01',
      'n01,n02',
      'n02,n03',
      'n03,n00',
    ])
  })

  it('replicas respect zones, also uneven ones', () => {
    const nodes = [...cluster(4, 2), { id: nodeId('x'), zone: 'z2', weight: 1 }]
    const zoneOf = new Map(nodes.map(({ id, zone }) => [id, zone]))
    for (const n of [1, 2, 3, 4, 5])
      for (const { replicas } of moduloArcs(nodes, n, 50)) {
        expect(new Set(replicas).size).toBe(n)
        expect(new Set(replicas.map(id => zoneOf.get(id))).size).toBe(Math.min(n, 3))
      }
  })

  it.each([3, 5, 10])('with one node more than %i, N/(N+1) of the first replicas change', count => {
    const changed = firstChanged(moduloArcs(cluster(count, 1), 1), moduloArcs(cluster(count + 1, 1), 1))
    expect(Math.abs(changed - count / (count + 1))).toBeLessThan(0.01)
  })
})
