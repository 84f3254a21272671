import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ByteString, nodeId, type Token, tableId } from '../base/ids.ts'
import { encodeKey } from '../base/key-encoding.ts'
import { TOKENS } from './arc-map.ts'
import { LoadRing } from './load-ring.ts'
import { preferenceFrom, type RingMember, ringArcs, ringMap, ringPoints } from './ring.ts'
import {
  assertRowKey,
  partRowKey,
  rowKey,
  rowKeyParts,
  rowToken,
  tokenOf,
  tokenRange,
  wholeRowKey,
} from './row-key.ts'
import { allocateTokens, defaultAllocation, replicatedLoad } from './token-allocation.ts'

function cluster(
  nodes: number,
  zones: number,
  weights: readonly number[] = [],
  random = false,
): RingMember[] {
  const requests = Array.from({ length: nodes }, (_, i) => ({
    id: nodeId(`n${String(i + 1).padStart(2, '0')}`),
    zone: `z${i % zones}`,
    weight: weights[i] ?? 1,
  }))
  const options = { ...defaultAllocation, random, tokensPerNode: random ? 256 : 16 }
  const tokens = allocateTokens(requests, [], options)
  return requests.map(request => ({ ...request, tokens: tokens.get(request.id)! }))
}

/** The ring walk as the paper tells it, for one token, with no precomputation. */
function walk(members: readonly RingMember[], token: number, n: number): string[] {
  const points = ringPoints(members)
  const from = points.findIndex(point => point.token >= token)
  const start = Math.max(from, 0)
  const zones = new Set(members.map(member => member.zone)).size
  const chosen: string[] = []
  const used = new Set<string>()
  const later: string[] = []
  for (let i = 0; i < points.length; i++) {
    const { member } = points[(start + i) % points.length]!
    if (chosen.includes(member.id) || later.includes(member.id)) continue
    if (chosen.length < n && (!used.has(member.zone) || used.size === zones)) {
      chosen.push(member.id)
      used.add(member.zone)
    } else if (chosen.length < n) later.push(member.id)
  }
  return chosen
}

describe('ring map', () => {
  it.each([
    [1, 1],
    [3, 3],
    [5, 2],
    [7, 3],
    [6, 6],
  ])('%i nodes in %i zones: every token goes where the walk says', (nodes, zones) => {
    const members = cluster(nodes, zones)
    const n = Math.min(3, nodes)
    const map = ringMap(tableId(1), 1, members, n)
    fc.assert(
      fc.property(fc.nat(0xffffffff), raw => {
        const token = raw as Token
        const partition = map.locate(token)
        expect(token >= partition.start && token < partition.end).toBe(true)
        const expected = walk(members, token, n)
        if (expected.length === n) expect(partition.replicas).toEqual(expected)
        expect(new Set(partition.preference)).toEqual(new Set(members.map(member => member.id)))
        expect(partition.preference).toHaveLength(nodes)
        expect(partition.preference.slice(0, n)).toEqual(partition.replicas)
      }),
    )
  })

  it('covers all tokens once', () => {
    const { partitions } = ringMap(tableId(1), 1, cluster(5, 3), 3)
    expect(partitions[0]!.start).toBe(0)
    expect(partitions.at(-1)!.end).toBe(TOKENS)
    partitions.slice(1).forEach((partition, i) => {
      expect(partition.start).toBe(partitions[i]!.end)
    })
  })

  it.each([
    [6, 3],
    [7, 3],
    [9, 4],
    [5, 5],
  ])('%i nodes in %i zones: no two replicas share a zone while another has room', (nodes, zones) => {
    const members = cluster(nodes, zones)
    const zoneOf = new Map(members.map(member => [member.id, member.zone]))
    for (const { replicas } of ringMap(tableId(1), 1, members, 3).partitions) {
      expect(new Set(replicas.map(id => zoneOf.get(id))).size).toBe(Math.min(3, zones))
    }
  })
})

describe('ring arcs', () => {
  it.each([
    [1, 1, 3],
    [5, 2, 3],
    [7, 3, 3],
    [6, 6, 2],
    [4, 2, 4],
  ])('%i nodes in %i zones, n=%i: the arcs of the map, and the walk from a token', (nodes, zones, n) => {
    const members = cluster(nodes, zones)
    const { partitions } = ringMap(tableId(1), 1, members, n)
    expect(ringArcs(members, n)).toEqual(partitions.map(({ start, replicas }) => ({ start, replicas })))
    for (const { start, end, preference } of partitions) {
      expect(preferenceFrom(members, start, n)).toEqual(preference)
      expect(preferenceFrom(members, end - 1, n)).toEqual(preference)
    }
  })
})

describe('a ring that knows its load', () => {
  it('has the loads of the whole walk after every token, in any order, also with zones that come late', () => {
    const member = fc.record({
      zone: fc.nat(3),
      tokens: fc.uniqueArray(fc.nat(0xffffffff), { minLength: 1, maxLength: 6 }),
    })
    const drawn = fc.record({
      members: fc.array(member, { minLength: 1, maxLength: 7 }),
      n: fc.integer({ min: 1, max: 4 }),
      held: fc.nat(10),
    })
    fc.assert(
      fc.property(drawn, ({ members, n, held }) => {
        const taken = new Set<number>()
        const all = members.flatMap(({ tokens }, node) =>
          tokens.filter(token => !taken.has(token) && taken.add(token)).map(token => ({ token, node })),
        )
        const nodes = members.map(({ zone }) => ({ zone, weight: 1 }))
        const ring = new LoadRing(nodes, n, all.length)
        ring.fill(all.slice(0, held))
        for (let count = Math.min(held, all.length); count <= all.length; count++) {
          const present = all.slice(0, count)
          const walked = members.map(({ zone }, node) => ({
            id: nodeId(`n${node}`),
            zone: `z${zone}`,
            tokens: present.filter(each => each.node === node).map(each => each.token as Token),
          }))
          const load = count === 0 ? new Map() : replicatedLoad(walked, n)
          walked.forEach(({ id }, node) => {
            expect(ring.loadOf(node)).toBe(load.get(id) ?? 0)
          })
          const next = all[count]
          if (next !== undefined) ring.insert(next.token, next.node)
          if (count % 3 === 0) ring.tighten()
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('token allocation', () => {
  it('a growing ring keeps what members hold, and the new one gets its share', () => {
    const before = cluster(12, 4)
    const request = { id: nodeId('x'), zone: 'z1', weight: 1 }
    const existing = before.map(member => ({ ...member, weight: 1 }))
    const tokens = allocateTokens([request], existing).get(request.id)!
    expect(tokens).toHaveLength(16)
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b))
    const after = [...before, { ...request, tokens }]
    expect(new Set(after.flatMap(member => member.tokens)).size).toBe(13 * 16)
    const share = replicatedLoad(after, 3).get(request.id)! / (3 * TOKENS)
    expect(share * 13).toBeGreaterThan(0.75)
    expect(share * 13).toBeLessThan(1.25)
    expect(allocateTokens([request], [...existing].reverse()).get(request.id)).toEqual(tokens)
  })

  it('is deterministic and gives tokens by weight', () => {
    const weights = [1, 2, 0.5, 1]
    const a = cluster(4, 4, weights)
    expect(a).toEqual(cluster(4, 4, weights))
    expect(a.map(member => member.tokens.length)).toEqual([16, 32, 8, 16])
    const all = a.flatMap(member => member.tokens)
    expect(new Set(all).size).toBe(all.length)
  })

  it.each([
    [3, 3],
    [4, 4],
    [5, 5],
    [8, 4],
    [12, 3],
  ])('16 allocated tokens on %i nodes in %i zones: replicated load within 25 %% of even', (nodes, zones) => {
    const load = [...replicatedLoad(cluster(nodes, zones), 3).values()]
    const mean = load.reduce((sum, l) => sum + l, 0) / load.length
    expect(Math.max(...load) / mean).toBeLessThan(1.25)
  })

  it('256 random tokens can be chosen instead', () => {
    expect(cluster(3, 3, [], true).map(member => member.tokens.length)).toEqual([256, 256, 256])
  })
})

describe('row keys', () => {
  const scalar = fc.oneof(fc.string(), fc.integer(), fc.boolean())
  it('keep their parts, and lie in the range of their partition', () => {
    const map = ringMap(tableId(7), 1, cluster(3, 3), 3)
    fc.assert(
      fc.property(scalar, scalar, (pk, sk) => {
        const partitionKey = encodeKey(pk)
        const sortKey = encodeKey(sk)
        const token = tokenOf(partitionKey)
        const key = rowKey(tableId(7), token, partitionKey, sortKey)
        expect(rowKeyParts(key)).toEqual({ partitionKey, part: 0, sortKey })
        expect(rowToken(key)).toBe(token)
        const partition = map.locate(token)
        const { from, to } = tokenRange(tableId(7), partition.start, partition.end)
        expect(key >= from && key < to).toBe(true)
      }),
    )
  })

  it('of the parts of a row say whose they are, stand at tokens of their own, and pass only where there are parts', () => {
    fc.assert(
      fc.property(
        scalar,
        fc.option(scalar, { nil: undefined }),
        fc.integer({ min: 2, max: 64 }),
        (pk, sk, k) => {
          const partitionKey = encodeKey(pk)
          const sortKey = sk === undefined ? ('' as ByteString) : encodeKey(sk)
          const row = rowKey(tableId(7), tokenOf(partitionKey), partitionKey, sortKey)
          const keys = Array.from({ length: k }, (_, part) =>
            partRowKey(tableId(7), partitionKey, part, sortKey),
          )
          expect(keys[0]).toBe(row)
          expect(new Set(keys.map(rowToken)).size).toBe(k)
          for (const [part, key] of keys.entries()) {
            expect(rowKeyParts(key)).toEqual({ partitionKey, part, sortKey })
            expect(wholeRowKey(key)).toBe(row)
            assertRowKey(tableId(7), 'hashed', k, key)
            if (part > 0) expect(() => assertRowKey(tableId(7), 'hashed', part, key)).toThrow(/names part/)
            // The bytes of a part at the token of its key.
            const misplaced = key.slice(0, 5) + row.slice(5, 9) + key.slice(9)
            if (part > 0)
              expect(() => assertRowKey(tableId(7), 'hashed', k, misplaced as ByteString)).toThrow(/token/)
          }
        },
      ),
    )
  })
})
