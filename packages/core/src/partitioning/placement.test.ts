import { describe, expect, it } from 'vitest'
import { nodeId } from '../base/ids.ts'
import {
  interleavedByZone,
  type PlacementNode,
  placementProblems,
  zoneBounds,
  zoneLimits,
} from './placement.ts'

const node = (id: string, zone: string, weight = 1): PlacementNode => ({ id: nodeId(id), zone, weight })

describe('what cannot be placed', () => {
  it('is said by field, all at once', () => {
    const nodes = [
      node('a', 'x'),
      node('a', ''),
      node('b', 'x', 0),
      node('c', 'x', Number.NaN),
      node('d', 'x', 65),
    ]
    expect(placementProblems(nodes, 6)).toEqual([
      { field: 'n', message: '6 replicas need 6 nodes, and there are 5' },
      { field: 'nodes[1].id', message: 'node "a" is listed more than once' },
      { field: 'nodes[1].zone', message: 'node "a" has an empty zone name' },
      { field: 'nodes[2].weight', message: 'the weight of node "b" is from 0.000001 to 64, not 0' },
      { field: 'nodes[3].weight', message: 'the weight of node "c" is from 0.000001 to 64, not NaN' },
      { field: 'nodes[4].weight', message: 'the weight of node "d" is from 0.000001 to 64, not 65' },
    ])
  })

  it.each([0, -1, 1.5, Number.NaN])('n = %d is no number of replicas', n => {
    expect(placementProblems([node('a', 'x')], n)).toMatchObject([{ field: 'n' }])
  })

  it('no nodes is a problem, a sound cluster is none', () => {
    expect(placementProblems([], 1)).toMatchObject([{ field: 'nodes' }])
    expect(placementProblems([node('a', 'x'), node('b', 'y')], 2)).toEqual([])
  })
})

describe('where weights cannot be respected', () => {
  it('a heavy zone is explained', () => {
    const nodes = [node('a', 'a', 4), node('b', 'b', 3), node('c', 'b', 3)]
    expect(zoneLimits(nodes, 2)).toEqual(
      [
        'zone "b" holds 60 % of the weight but may hold at most half of the copies (n=2 over 2 zones), so its nodes get less than their weight',
        'zone "a" holds 40 % of the weight but must hold at least half of the copies (n=2 over 2 zones), so its nodes get more than their weight',
      ].sort(),
    )
  })

  it('a heavy node is explained, even zones are not', () => {
    expect(zoneLimits([node('a', 'x', 6), node('b', 'x'), node('c', 'x')], 2)).toEqual([
      'node "a" holds 75 % of the weight but may hold at most one copy of each partition, half of the copies, so it gets less than its weight',
    ])
    expect(zoneLimits([node('a', 'x'), node('b', 'y'), node('c', 'z')], 3)).toEqual([])
  })
})

describe('zones', () => {
  it.each([
    [
      [3, 3, 3],
      3,
      [
        [1, 1],
        [1, 1],
        [1, 1],
      ],
    ],
    [
      [3, 3, 3],
      2,
      [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
    ],
    [
      [3, 3],
      3,
      [
        [1, 2],
        [1, 2],
      ],
    ],
    [
      [1, 4],
      3,
      [
        [1, 1],
        [2, 2],
      ],
    ],
    [
      [1, 4],
      4,
      [
        [1, 1],
        [3, 3],
      ],
    ],
    [[5], 3, [[3, 3]]],
    [
      [1, 2, 2],
      4,
      [
        [1, 1],
        [1, 2],
        [1, 2],
      ],
    ],
  ])('of %j nodes hold %i copies within %j', (sizes, n, expected) => {
    const nodes = sizes.flatMap((size, z) =>
      Array.from({ length: size }, (_, i) => node(`n${z}${i}`, `z${z}`)),
    )
    expect(zoneBounds(nodes, n).map(({ fewest, most }) => [fewest, most])).toEqual(expected)
  })

  it('are taken in turn', () => {
    const nodes = [node('a', 'x'), node('b', 'x'), node('c', 'y'), node('d', 'x')]
    expect(interleavedByZone(nodes).map(({ id }) => id)).toEqual(['a', 'c', 'b', 'd'])
  })
})
