/** Moves that make members more even: what every one of them keeps to. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { NodeId } from '../base/ids.ts'
import type { Member } from '../catalog/cluster-state.ts'
import { balancingMoves, imbalanceOf, type WeighedPartition } from './balance.ts'

const memberOf = (index: number, weight: number, zones: number): Member =>
  ({ id: `n${index}`, zone: `z${index % zones}`, weight, state: 'active' }) as unknown as Member

const cluster = fc
  .record({
    zones: fc.integer({ min: 1, max: 4 }),
    weights: fc.array(fc.constantFrom(0.5, 1, 2), { minLength: 4, maxLength: 9 }),
    partitions: fc.array(fc.tuple(fc.integer({ min: 0, max: 1_000 }), fc.nat()), { maxLength: 40 }),
  })
  .map(({ zones, weights, partitions }) => {
    const members = weights.map((weight, index) => memberOf(index, weight, zones))
    const copies = Math.min(3, zones)
    const placed = partitions.map(([weight, draw], partition): WeighedPartition => {
      const homes: NodeId[] = []
      for (let at = draw; homes.length < copies; at++) {
        const member = members[at % members.length]!
        const zoneOf = (id: NodeId) => members.find(one => one.id === id)!.zone
        if (homes.every(home => home !== member.id && zoneOf(home) !== member.zone)) homes.push(member.id)
      }
      return { table: 't', partition, homes, weight, bytes: weight }
    })
    return { members, partitions: placed }
  })

function applied(partitions: readonly WeighedPartition[], moves: ReturnType<typeof balancingMoves>['moves']) {
  return partitions.map(one => {
    const move = moves.find(({ partition }) => partition === one.partition)
    if (move === undefined) return one
    expect(one.homes).toContain(move.from)
    expect(one.homes).not.toContain(move.to)
    return { ...one, homes: one.homes.map(home => (home === move.from ? (move.to as NodeId) : home)) }
  })
}

it('never makes members less even, stays in its limits, keeps zones apart, says what it does', () => {
  fc.assert(
    fc.property(cluster, fc.integer({ min: 1, max: 5_000 }), ({ members, partitions }, bytesMax) => {
      const limits = { target: 1.05, bytesMax, movesMax: 10 }
      const found = balancingMoves(members, partitions, limits)
      const { moves, before, after, bytes, isLimited } = found
      expect(found).toEqual(balancingMoves([...members].reverse(), partitions, limits))
      expect(moves.length).toBeLessThanOrEqual(10)
      expect(bytes).toBeLessThanOrEqual(bytesMax)
      expect(new Set(moves.map(({ partition }) => partition)).size).toBe(moves.length)
      const moved = applied(partitions, moves)
      expect(before).toBeCloseTo(imbalanceOf(members, partitions), 9)
      expect(after).toBeCloseTo(imbalanceOf(members, moved), 9)
      expect(after).toBeLessThanOrEqual(before + 1e-9)
      if (before <= limits.target) expect([moves, isLimited]).toEqual([[], false])
      for (const { homes } of moved) {
        const zones = homes.map(home => members.find(({ id }) => id === home)!.zone)
        expect(new Set(zones).size).toBe(homes.length)
      }
    }),
  )
})

it('takes the copy that helps most from the member that has most', () => {
  const members = [1, 2, 3].map(index => memberOf(index, 1, 1))
  const one = (partition: number, home: string, weight: number): WeighedPartition => ({
    table: 't',
    partition,
    homes: [home as NodeId],
    weight,
    bytes: weight,
  })
  const partitions = [
    one(0, 'n1', 50),
    one(1, 'n1', 30),
    one(2, 'n1', 10),
    one(3, 'n2', 30),
    one(4, 'n3', 30),
  ]
  const { moves, before, after, isLimited } = balancingMoves(members, partitions, {
    target: 1.1,
    bytesMax: 1_000,
    movesMax: 10,
  })
  expect(moves.map(({ partition, from, to }) => [partition, from, to])).toEqual([[1, 'n1', 'n2']])
  expect([before, after, isLimited]).toEqual([1.8, 1.2, false])
})
