import { describe, expect, it } from 'vitest'
import { type NodeId, nodeId } from '../base/ids.ts'
import { type MovementQuestion, movementReport, tokensOfTexts } from './movement-report.ts'
import type { PlacementNode } from './placement.ts'
import { allocateTokens } from './token-allocation.ts'

const node = (i: number, zones: number): PlacementNode => ({
  id: nodeId(`n${String(i).padStart(2, '0')}`),
  zone: `z${i % zones}`,
  weight: 1,
})

const question = (kind: MovementQuestion['kind'], count: number, more: Partial<MovementQuestion> = {}) => ({
  nodes: Array.from({ length: count }, (_, i) => node(i, count + 1)),
  n: 3,
  kind,
  add: [node(count, count + 1)],
  ...more,
})

const near = (value: number, expected: number, tolerance: number): void => {
  expect(value).toBeGreaterThan(expected * (1 - tolerance))
  expect(value).toBeLessThan(expected * (1 + tolerance))
}

describe('theory', () => {
  it.each([4, 10, 20])('modulo moves N/(N+1) of the keys of %i nodes', count => {
    const report = movementReport(question('modulo', count))
    expect(report.expected).toBeCloseTo(count / (count + 1), 12)
    near(report.firstMoved, report.expected, 0.01)
  })

  it.each([
    4, 10, 20,
  ])('a ring of 256 random tokens moves about 1/(N+1) of %i nodes, to the newcomer only', count => {
    const report = movementReport(question('ring', count, { random: true }))
    expect(report.expected).toBeCloseTo(1 / (count + 1), 12)
    near(report.firstMoved, report.expected, 0.2)
    near(report.copiesMoved, report.expected, 0.2)
    expect([report.from, report.to]).toEqual([count, 1])
  })

  it.each([4, 10, 20])('so do 16 allocated tokens and fixed partitions', count => {
    near(movementReport(question('ring', count)).firstMoved, 1 / (count + 1), 0.3)
    const fixed = movementReport(question('fixed', count))
    expect(Math.abs(fixed.copiesMoved * 3 * 1024 - (3 * 1024) / (count + 1))).toBeLessThan(1)
    near(fixed.firstMoved, 1 / (count + 1), 0.25)
    expect([fixed.from, fixed.to]).toEqual([count, 1])
    expect(fixed.balanceAfter).toBeLessThan(1.02)
  })

  it('what goes away is what must move; weights count', () => {
    const nodes = [1, 1, 2, 4, 4, 4].map((weight, i) => ({ ...node(i, 6), weight }))
    const report = movementReport({ nodes, n: 2, kind: 'fixed', remove: [nodes[2]!.id] })
    expect(report.expected).toBeCloseTo(2 / 16, 12)
    near(report.copiesMoved, report.expected, 0.05)
    expect([report.from, report.nodesAfter]).toEqual([1, 5])
  })

  it("a dead node's load falls on all others; with 16 tokens on most, with one on a neighbour", () => {
    const at = (more: Partial<MovementQuestion>) =>
      movementReport(question('ring', 10, more)).deadNodeSpread(nodeId('n03'))
    expect(at({ random: true })).toMatchObject({ survivors: 9 })
    expect(at({ random: true }).greatestShare).toBeLessThan(0.25)
    expect(at({}).survivors).toBeGreaterThanOrEqual(5)
    expect(at({ random: true, tokensPerNode: 1 })).toEqual({ node: 'n03', survivors: 1, greatestShare: 1 })
    expect(movementReport(question('fixed', 10)).deadNodeSpread(nodeId('n03')).survivors).toBe(9)
    expect(at({ n: 1, random: true }).survivors).toBe(9)
  })
})

it('removing nodes of a ring needs no new tokens', () => {
  const { nodes } = question('ring', 6)
  const report = movementReport({ nodes, n: 2, kind: 'ring', remove: [nodes[5]!.id] })
  near(report.copiesMoved, 1 / 6, 0.3)
  expect([report.from, report.nodesAfter]).toEqual([1, 5])
})

/** Where a key is by the definition of the partitioner, found by looking at everything. */
const oracles: Readonly<Record<string, (nodes: readonly PlacementNode[], token: number) => NodeId>> = {
  modulo(nodes, token) {
    const bucket = Math.floor(token / (0x1_0000_0000 / 1024))
    return nodes.map(({ id }) => id).sort()[bucket % nodes.length]!
  },
  ring(nodes, token) {
    const tokens = allocateTokens(nodes, [], { tokensPerNode: 256, replicaCount: 3, random: true })
    let best: { distance: number; id: NodeId } | undefined
    for (const { id } of nodes)
      for (const own of tokens.get(id)!) {
        const distance = own >= token ? own - token : own - token + 0x1_0000_0000
        if (best === undefined || distance < best.distance) best = { distance, id }
      }
    return best!.id
  },
}

describe('the oracle', () => {
  it('modulo: 20,000 keys placed one by one', () => {
    const tokens = tokensOfTexts(Array.from({ length: 20_000 }, (_, i) => `user-${i}`))
    const asked = question('modulo', 9, { tokens })
    const moved = tokens.filter(
      token =>
        oracles.modulo!(asked.nodes, token) !== oracles.modulo!([...asked.nodes, ...asked.add!], token),
    )
    expect(movementReport(asked).firstMoved).toBe(moved.length / tokens.length)
  })

  it('ring: 300 keys placed one by one', () => {
    const tokens = tokensOfTexts(Array.from({ length: 300 }, (_, i) => `user-${i}`))
    const asked = question('ring', 5, { tokens, random: true })
    const moved = tokens.filter(
      token => oracles.ring!(asked.nodes, token) !== oracles.ring!([...asked.nodes, ...asked.add!], token),
    )
    expect(movementReport(asked).firstMoved).toBe(moved.length / tokens.length)
  })

  it('counted on 20,000 hashed keys, the shares are those of the widths', () => {
    const tokens = tokensOfTexts(Array.from({ length: 20_000 }, (_, i) => `key ${i}`))
    for (const kind of ['ring', 'fixed', 'modulo'] as const) {
      const byKeys = movementReport(question(kind, 10, { tokens }))
      const byWidth = movementReport(question(kind, 10))
      near(byKeys.firstMoved, byWidth.firstMoved, 0.1)
      near(byKeys.copiesMoved, byWidth.copiesMoved, 0.1)
    }
  })
})

describe('what cannot be asked', () => {
  it.each([
    [{ remove: [nodeId('nobody')] }, 'node "nobody" is not there to be removed'],
    [{ add: [node(0, 5)] }, 'after the change: node "n00" is listed more than once'],
    [{ n: 9 }, 'before the change: 9 replicas need 9 nodes, and there are 4'],
    [{ tokens: new Uint32Array(0) }, 'there are no keys to count'],
  ])('%j', (more, message) => {
    expect(() => movementReport(question('fixed', 4, more))).toThrow(message)
  })
})
