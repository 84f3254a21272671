/**
 * Rows that merge by themselves, on real processes: carts that two people fill and empty at the same time, counters under
 * retries and a node that is killed, and a set of many elements.
 */

import {
  connect,
  counter,
  crdt,
  document,
  flag,
  isQuorateError,
  lww,
  mapOf,
  orSet,
  table,
} from '@quorate/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestNodes } from './harness.ts'

const carts = table('carts', {
  key: 'id',
  fields: {
    items: orSet<string>(),
    visits: counter(),
    open: flag(),
    owner: lww<string>(),
    stock: mapOf(counter()),
    note: document(),
  },
})

let nodes: TestNodes
const connections: { close(): Promise<void> }[] = []

async function connection() {
  const db = await connect(nodes.connectString, { tables: { carts }, timeoutMs: 30_000 })
  connections.push(db)
  return db
}

beforeAll(async () => {
  nodes = await TestNodes.start(3)
  const db = await connection()
  await db.createTable('carts', { key: 'id', replication: { n: 3, r: 2, w: 2 }, conflict: crdt(carts) })
})

afterAll(async () => {
  for (const db of connections) await db.close()
  await nodes.close()
})

describe('a table whose rows merge by themselves', () => {
  it('keeps what was added meanwhile, and takes away what was seen', async () => {
    const [ann, bob] = [await connection(), await connection()]
    await ann.carts.apply('c1', cart => [cart.items.add('milk'), cart.items.add('eggs'), cart.open.enable()])
    const seen = await bob.carts.get('c1')
    expect(seen.value?.items).toEqual(new Set(['milk', 'eggs']))
    // Ann puts milk in once more while bob empties the cart that he was shown.
    await ann.carts.apply('c1', cart => cart.items.add('milk'))
    await bob.carts.apply('c1', cart => cart.items.clear(), { context: seen.context })
    const { value } = await ann.carts.get('c1')
    expect(value).toEqual({
      id: 'c1',
      items: new Set(['milk']),
      visits: 0,
      open: true,
      stock: {},
    })
    await ann.carts.apply('c1', cart => [cart.owner.set('ann'), cart.stock.at('milk').increment(3)])
    await bob.carts.apply('c1', cart => [cart.open.disable(), cart.stock.at('milk').decrement()])
    const after = (await ann.carts.get('c1')).value
    expect(after?.owner).toBe('ann')
    expect(after?.open).toBe(false)
    expect(after?.stock).toEqual({ milk: 2 })
    await bob.carts.delete('c1')
    expect((await ann.carts.get('c1')).value).toBeUndefined()
  })

  it('counts each addition once, also when a node dies under it', async () => {
    const db = await connection()
    let acknowledged = 0
    let unknown = 0
    const add = async (at: number): Promise<void> => {
      if (at === 100) await nodes.end('n2')
      try {
        await db.carts.apply('c2', cart => cart.visits.increment(), { timeoutMs: 20_000 })
        acknowledged++
      } catch (error) {
        if (!isQuorateError(error) || error.outcome === 'not-applied') throw error
        unknown++
      }
    }
    for (let at = 0; at < 300; at += 20) await Promise.all(Array.from({ length: 20 }, (_, i) => add(at + i)))
    const total = Number((await db.carts.get('c2', { timeoutMs: 20_000 })).value?.visits)
    expect(total).toBeGreaterThanOrEqual(acknowledged)
    expect(total).toBeLessThanOrEqual(acknowledged + unknown)
    nodes.launch('n2')
    await nodes.ready()
  })

  it('the same operation, sent twice at once, counts once', async () => {
    const [one, other] = [await connection(), await connection()]
    const { operation } = await nameOfOperation()
    const results = await Promise.all(
      [one, other].map(db => db.carts.apply('c3', cart => cart.visits.increment(5), { operation })),
    )
    expect(results).toHaveLength(2)
    expect((await one.carts.get('c3', { r: 'all' })).value?.visits).toBe(5)
  })

  it('a set of 5,000 elements is read whole, in order, and paged through rows', async () => {
    const db = await connection()
    const element = (n: number): string => `e${String(n).padStart(5, '0')}`
    for (let at = 0; at < 5_000; at += 100)
      await db.carts.apply('c4', cart =>
        Array.from({ length: 100 }, (_, i) => cart.items.add(element(at + i))),
      )
    const { value } = await db.carts.get('c4', { timeoutMs: 20_000 })
    expect([...value!.items]).toEqual(Array.from({ length: 5_000 }, (_, n) => element(n)))
    const keys: unknown[] = []
    for await (const row of db.carts.scan({ pageSize: 100 })) keys.push(row.value?.id)
    expect(keys.sort()).toEqual(['c2', 'c3', 'c4'])
  })

  it('a document that two edit at the same time has the edits of both, as Yjs itself merges them', async () => {
    const [ann, bob] = [await connection(), await connection()]
    const one = await ann.carts.openDocument('c6', ['note'], { pullMs: 50 })
    one.doc.getText('t').insert(0, 'milk and eggs')
    await one.flush()
    const other = await bob.carts.openDocument('c6', ['note'], { pullMs: 50 })
    expect(other.doc.getText('t').toString()).toBe('milk and eggs')
    expect(other.doc.clientID).not.toBe(one.doc.clientID)
    one.doc.getText('t').insert(0, 'fresh ')
    other.doc.getText('t').insert(13, ', and bread')
    await Promise.all([one.flush(), other.flush()])
    await Promise.all([one.pull(), other.pull()])
    expect(one.doc.getText('t').toString()).toBe('fresh milk and eggs, and bread')
    expect(other.doc.getText('t').toString()).toBe('fresh milk and eggs, and bread')
    await Promise.all([one.close(), other.close()])
    await expect(ann.carts.apply('c6', cart => cart.note.edit(new Uint8Array([1, 2, 3])))).rejects.toThrow(
      'note: this is no update of a Yjs document',
    )
  })

  it('says what is wrong with what it is asked for, and changes nothing', async () => {
    const db = await connection()
    await expect(db.carts.apply('c5', cart => cart.items.remove('x'))).rejects.toThrow(
      'items: there is no such element to remove',
    )
    await expect(db.carts.apply('c5', cart => cart.visits.increment('1' as never))).rejects.toThrow(
      'visits: is incremented by a whole number, not by "1"',
    )
    await expect(db.carts.put({ id: 'c5' } as never)).rejects.toThrow('changed by steps')
    await expect(db.carts.apply('c5', [{ op: 'add', path: ['visits'], element: 1 }])).rejects.toThrow(
      'visits: is a counter; add is of a or-set',
    )
    expect((await db.carts.get('c5')).value).toBeUndefined()
    const other = table('carts', { key: 'id', fields: { visits: orSet<string>() } })
    await expect(db.table(other).get('c5')).rejects.toThrow('another "visits" ("counter")')
  })

  it('is used from the command line', async () => {
    const run = async (...words: string[]) => {
      const { code, stdout, stderr } = await nodes.command(words)
      return { code, text: stdout + stderr }
    }
    const create = await run(
      'table',
      'create',
      'posts',
      '--key',
      'id',
      '--field',
      'likes:counter',
      '--field',
      'tags:or-set',
      '--field',
      'carts:map:or-set',
    )
    expect(create.code, create.text).toBe(0)
    expect((await run('table', 'show', 'posts')).text).toContain(
      'carts:map:or-set, likes:counter, tags:or-set',
    )
    expect(
      (await run('update', 'posts', 'p1', 'likes+=2', 'tags<<"a"', 'tags<<"b"', 'carts.ann<<1')).code,
    ).toBe(0)
    expect((await run('update', 'posts', 'p1', 'likes-=1', 'tags>>"a"')).code).toBe(0)
    const got = await nodes.command(['get', 'posts', 'p1', '--json'])
    expect(JSON.parse(got.stdout).items[0].value).toEqual({
      id: 'p1',
      likes: 1,
      tags: { $set: ['b'] },
      carts: { ann: { $set: [1] } },
    })
    const wrong = await run('update', 'posts', 'p1', 'tags+=1')
    expect(wrong.code).toBe(2)
    expect(wrong.text).toContain('tags: is a or-set; increment is of a counter')
    const put = await run('put', 'posts', '{"id": "p1"}')
    expect(put.text).toContain('changed by steps')
    const missing = await run('table', 'create', 'x', '--key', 'id', '--conflict', 'crdt')
    expect(missing.text).toContain('--field likes:counter')
  })
})

async function nameOfOperation() {
  const { operationFromHex } = await import('@quorate/client')
  return { operation: operationFromHex('0190a0b0c0d0e0f00102030405060708') }
}
