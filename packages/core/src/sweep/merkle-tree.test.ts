import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Token } from '../base/ids.ts'
import { SeededRandom } from '../base/prng.ts'
import type { Digest } from '../cells/cell-codec.ts'
import { FAN_OUT, MerkleTree, sameNode, sumDigests } from './merkle-tree.ts'

const digest = fc.tuple(
  fc.nat(0xffffffff),
  fc.nat(0xffffffff),
  fc.nat(0xffffffff),
  fc.nat(0xffffffff),
) as fc.Arbitrary<Digest>
const row = fc.record({ token: fc.integer({ min: 1_000, max: 99_999 }), digest })

describe('Merkle tree', () => {
  it('updated by differences is the tree counted from the rows that are left', () => {
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 60 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (rows, removals) => {
          const tree = new MerkleTree(1_000, 100_000, 256)
          const left = new Set(rows)
          for (const { token, digest: d } of rows) tree.apply(token as Token, d, 1)
          for (const n of removals) {
            const victim = rows[n % Math.max(1, rows.length)]
            if (victim === undefined || !left.delete(victim)) continue
            tree.apply(victim.token as Token, victim.digest, -1)
          }
          const counted = new MerkleTree(1_000, 100_000, 256)
          for (const { token, digest: d } of left) counted.apply(token as Token, d, 1)
          for (let level = 0; level <= tree.depth; level++) {
            for (let i = 0; i < FAN_OUT ** level; i++)
              expect(sameNode(tree.node(level, i), counted.node(level, i))).toBe(true)
          }
          expect(sameNode(tree.root, sumDigests([...left].map(r => r.digest)))).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('puts every token in the leaf whose range holds it', () => {
    for (const [start, end, leaves] of [
      [0, 2 ** 32, 4096],
      [5, 1_000, 256],
      [2 ** 31 + 7, 2 ** 31 + 4_103, 4096],
    ] as const) {
      const tree = new MerkleTree(start, end, leaves)
      const random = new SeededRandom(start)
      for (let i = 0; i < 2_000; i++) {
        const token = start + Math.floor((random.uint32() / 2 ** 32) * (end - start))
        const { from, to } = tree.leafRange(tree.leafOf(token as Token))
        expect(token >= from && token < to).toBe(true)
      }
    }
  })

  it('survives being kept in pages', () => {
    const tree = new MerkleTree(0, 2 ** 32, 4096)
    const random = new SeededRandom(3)
    for (let i = 0; i < 500; i++)
      tree.apply(
        random.uint32() as Token,
        [random.uint32(), random.uint32(), random.uint32(), random.uint32()],
        1,
      )
    const again = new MerkleTree(0, 2 ** 32, 4096)
    for (let page = 0; page < 16; page++)
      again.loadLeafPage(page * 256, tree.leafPage(page * 256, (page + 1) * 256))
    expect(sameNode(tree.root, again.root)).toBe(true)
  })

  it('finds one differing row among a million in levels × fan-out nodes', () => {
    const [a, b] = [new MerkleTree(0, 2 ** 32, 4096), new MerkleTree(0, 2 ** 32, 4096)]
    const random = new SeededRandom(9)
    for (let i = 0; i < 1_000_000; i++) {
      const token = random.uint32() as Token
      const d: Digest = [random.uint32(), random.uint32(), random.uint32(), random.uint32()]
      a.apply(token, d, 1)
      b.apply(token, i === 123_456 ? [d[0] ^ 1, d[1], d[2], d[3]] : d, 1)
    }
    let suspects = [0]
    let compared = 1
    for (let level = 0; level < a.depth; level++) {
      const next: number[] = []
      for (const parent of suspects) {
        for (let child = parent * FAN_OUT; child < (parent + 1) * FAN_OUT; child++) {
          compared++
          if (!sameNode(a.node(level + 1, child), b.node(level + 1, child))) next.push(child)
        }
      }
      suspects = next
    }
    expect(suspects).toHaveLength(1)
    expect(compared).toBe(1 + a.depth * FAN_OUT)
    expect(a.node(a.depth, suspects[0]!).rows).toBeLessThan(400)
  })
})
