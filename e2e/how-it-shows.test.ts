import { connect, isQuorateError, table } from '@quorate/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestNodes, until } from './harness.ts'

interface Cart {
  readonly id: string
  readonly items: readonly string[]
}
const carts = table<Cart>('carts', { key: 'id' })

describe('three nodes, strict', () => {
  let nodes: TestNodes
  beforeAll(async () => {
    nodes = await TestNodes.start(3)
    const db = await connect(nodes.connectString, { timeoutMs: 30_000 })
    await db.createTable(
      'carts',
      {
        key: 'id',
        replication: { kind: 'leaderless', n: 3, r: 2, w: 2, sloppy: false },
        conflict: { kind: 'siblings' },
      },
      { timeoutMs: 30_000 },
    )
    await db.close()
  })
  afterAll(() => nodes?.close())

  it('two writers without context give two siblings; a write with their context leaves one', async () => {
    const one = await connect(nodes.connectString, { tables: { carts } })
    const two = await connect(nodes.connectString, { tables: { carts } })
    await Promise.all([
      one.carts.put({ id: 'c1', items: ['milk'] }),
      two.carts.put({ id: 'c1', items: ['eggs'] }),
    ])
    const conflict = await one.carts.get('c1')
    expect(conflict.value).toBeUndefined()
    expect(conflict.siblings.map(cart => cart.items[0]).sort()).toEqual(['eggs', 'milk'])
    await two.carts.put({ id: 'c1', items: ['milk', 'eggs'] }, { context: conflict.context })
    const settled = await one.carts.get('c1')
    expect(settled.siblings).toEqual([{ id: 'c1', items: ['milk', 'eggs'] }])
    await one.close()
    await two.close()
  })

  it('a write of unknown outcome names its operation and the command that repeats it, once', async () => {
    await Promise.all([nodes.end('n2'), nodes.end('n3')])
    const failed = await nodes.command(['put', 'carts', '{"id": "op"}', '--timeout', '3s'])
    expect(failed.code, failed.stderr).toBe(8)
    const operation = /--operation ([0-9a-f]{32})/.exec(failed.stderr)?.[1]
    expect(operation, failed.stderr).toBeDefined()
    nodes.launch('n2')
    nodes.launch('n3')
    await nodes.ready()
    const again = ['put', 'carts', '{"id": "op"}', '--operation', String(operation)]
    for (let i = 0; i < 3; i++) expect((await nodes.command(again)).code).toBe(0)
    const { items } = await nodes.json<{ siblings: unknown[] }>(['get', 'carts', 'op'])
    expect(items[0]!.siblings).toEqual([{ id: 'op' }])
  })

  it('with two nodes dead, w=2 is refused or unknown within its deadline, never acknowledged', async () => {
    const db = await connect(nodes.connectString, { tables: { carts } })
    await Promise.all([nodes.end('n2'), nodes.end('n3')])
    for (const id of ['d1', 'd2', 'd3']) {
      const error: unknown = await db.carts.put({ id, items: [] }, { w: 2, timeoutMs: 1_500 }).then(
        () => 'acknowledged',
        (thrown: unknown) => thrown,
      )
      expect(isQuorateError(error) && ['not-applied', 'unknown'].includes(error.outcome), String(error)).toBe(
        true,
      )
    }
    const refused = await nodes.command(['put', 'carts', '{"id": "d4"}', '--timeout', '1500ms'])
    expect([7, 8], refused.stderr).toContain(refused.code)
    const tried = refused.stderr.split('\n').filter(line => line.includes('tried:'))
    expect(new Set(tried).size, refused.stderr).toBe(tried.length)
    expect(tried.length).toBeLessThanOrEqual(9)
    const noTable = await nodes.command(['table', 'create', 'more', '--key', 'id'])
    expect([7, 8], noTable.stderr).toContain(noTable.code)
    expect(noTable.stderr).toContain('no majority of its 3 voters (n1, n2, n3) answered')
    expect(noTable.stderr).not.toContain('row')
    expect(noTable.stderr).toMatch(/next: quorate status/)
    await db.close()
  })
})

describe('five nodes, sloppy', () => {
  let nodes: TestNodes
  beforeAll(async () => {
    nodes = await TestNodes.start(5)
  })
  afterAll(() => nodes?.close())

  it('w=2 is acknowledged with its homes dead, the receipt says what that is worth, and the hints come home', async () => {
    const db = await connect(nodes.connectString, { tables: { carts }, timeoutMs: 30_000 })
    await db.createTable(
      'carts',
      { key: 'id', replication: { kind: 'leaderless', n: 3, r: 2, w: 2, sloppy: true } },
      { timeoutMs: 30_000 },
    )
    const explained = await nodes.json<{ homes: string[] }>(['explain', 'get', 'carts', 'far'])
    const homes = explained.items[0]!.homes
    expect(homes).toHaveLength(3)
    const [first, second] = homes as [string, string]
    await Promise.all([nodes.end(first), nodes.end(second)])

    const written = await db.carts.put({ id: 'far', items: ['tent'] }, { w: 2, timeoutMs: 20_000 })
    const fallbacks = written.receipt.answered.filter(({ role }) => role === 'fallback')
    expect(fallbacks.length).toBeGreaterThan(0)
    for (const { node, for: home } of fallbacks) {
      expect(homes).not.toContain(node)
      expect([first, second]).toContain(home)
    }
    expect(written.receipt.overlap).toBe(false)
    expect(written.receipt.guarantee).toContain('overlap is void')

    nodes.launch(first)
    nodes.launch(second)
    await nodes.ready()
    await until('the hints are drained', async () => {
      const { items } = await nodes.json<{ state: string; hintsHeld: number }>(['status'])
      return items.length === 5 && items.every(item => item.state === 'ready' && item.hintsHeld === 0)
    })
    const after = await nodes.json<{ replicas: { node: string; role: string; state: string }[] }>([
      'explain',
      'get',
      'carts',
      'far',
    ])
    const { replicas } = after.items[0]!
    expect(replicas.filter(({ role }) => role === 'home').map(({ state }) => state)).toEqual([
      'has it',
      'has it',
      'has it',
    ])
    await db.close()
  })
})
