import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NodeId, TableId } from '../base/ids.ts'
import { type LedPartition, spreadLeaders } from './spread.ts'

const nodes = ['n1', 'n2', 'n3', 'n4', 'n5'] as NodeId[]
const evenly = new Map(nodes.map(node => [node, 1]))

const led = (leaders: readonly NodeId[], heirs: readonly NodeId[] = nodes): LedPartition[] =>
  leaders.map((leader, partition) => ({ table: 1 as TableId, partition, leader, heirs }))

describe('leaders are spread', () => {
  it('all on one of three: each of three leads a third', () => {
    const three = nodes.slice(0, 3)
    const weights = new Map(three.map(node => [node, 1]))
    const { moves, loads } = spreadLeaders(
      led(
        Array.from({ length: 9 }, () => three[0]!),
        three,
      ),
      weights,
    )
    expect(loads.map(({ before, after }) => [before, after])).toEqual([
      [9, 3],
      [0, 3],
      [0, 3],
    ])
    expect(moves).toHaveLength(6)
  })

  it('leaders that differ by one stay where they are', () => {
    expect(spreadLeaders(led([nodes[0]!, nodes[0]!, nodes[1]!]), evenly).moves).toHaveLength(1)
    expect(spreadLeaders(led([nodes[0]!, nodes[1]!]), evenly).moves).toEqual([])
  })

  it('a member with twice the weight leads twice as many', () => {
    const weights = new Map([
      [nodes[0]!, 2],
      [nodes[1]!, 1],
    ])
    const { loads } = spreadLeaders(
      led(
        Array.from({ length: 6 }, () => nodes[1]!),
        nodes.slice(0, 2),
      ),
      weights,
    )
    expect(loads.map(({ after }) => after)).toEqual([4, 2])
  })

  it('whoever is not in sync leads nothing new, and what a leaver leads is not counted on', () => {
    const { moves } = spreadLeaders(led([nodes[0]!, nodes[0]!, nodes[0]!], [nodes[0]!]), evenly)
    expect(moves).toEqual([])
    expect(() => spreadLeaders(led(['gone' as NodeId, nodes[0]!]), evenly)).not.toThrow()
  })

  it('goes to members in sync, loses no partition, and never makes the fullest fuller', () => {
    const node = fc.constantFrom(...nodes)
    const partition = fc.record({ leader: node, heirs: fc.uniqueArray(node, { maxLength: 3 }) })
    fc.assert(
      fc.property(fc.array(partition, { maxLength: 40 }), given => {
        const all = given.map(({ leader, heirs }, at) => ({
          table: 1 as TableId,
          partition: at,
          leader,
          heirs: [...new Set([leader, ...heirs])],
        }))
        const { moves, loads } = spreadLeaders(all, evenly)
        for (const { partition: id, from, to } of moves) {
          expect(all[id]!.leader).toBe(from)
          expect(all[id]!.heirs).toContain(to)
        }
        expect(loads.reduce((sum, { after }) => sum + after, 0)).toBe(all.length)
        const most = (of: 'before' | 'after'): number => Math.max(...loads.map(load => load[of]))
        expect(most('after')).toBeLessThanOrEqual(most('before'))
        // Nothing is left that would help.
        const afterwards = all.map(one => ({
          ...one,
          leader: moves.find(move => move.partition === one.partition)?.to ?? one.leader,
        }))
        expect(spreadLeaders(afterwards, evenly).moves).toEqual([])
      }),
    )
  })
})
