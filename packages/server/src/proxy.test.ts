/** The proxy on real sockets, in front of a real node: everything a client does, and clients see one address. */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, table } from '@quorate/client'
import { isQuorateError } from '@quorate/core'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RunningProxy, startProxy } from './proxy.ts'
import { type RunningServer, startServer } from './server.ts'
import { resolveConfig } from './server-config.ts'

const cities = table<{ country: string; name: string; people: number }>('cities', {
  key: ['country', 'name'],
})
const people = table<{ id: string; age: number }>('people', { key: 'id' })

/** The node tells its clients this address: it must be known before it listens. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

let scratch: string
let node: RunningServer
let proxy: RunningProxy

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'quorate-proxy-'))
  const listen = `127.0.0.1:${await freePort()}`
  const settings = { id: 'n1', data: join(scratch, 'n1'), listen, http: '127.0.0.1:0' }
  node = await startServer(resolveConfig([settings]), { log: pino({ level: 'silent' }) })
  proxy = await startProxy({ listen: '127.0.0.1:0', nodes: [node.address] })
})

afterAll(async () => {
  await proxy.stop()
  await node.stop()
  await rm(scratch, { recursive: true, force: true })
})

it('passes on tables, writes, reads and deletes; clients know no other address', async () => {
  const db = await connect(`quorate://${proxy.address}`, { tables: { people } })
  await db.createTable('people', { key: 'id', replication: { n: 1 } })
  const written = await db.people.put({ id: 'ada', age: 36 })
  expect(written.receipt.route).toEqual(['proxy', 'n1'])
  const found = await db.people.get('ada')
  expect(found.value).toEqual({ id: 'ada', age: 36 })
  expect(found.receipt.route).toEqual(['proxy', 'n1'])
  await db.people.delete('ada', { context: found.context })
  expect((await db.people.get('ada')).siblings).toEqual([])
  expect(db.router.catalog.members.members.map(member => member.address)).toEqual([proxy.address])
  expect(proxy.counters.requests).toBeGreaterThan(4)
  await db.close()
})

it.each([
  ['ring', { kind: 'ring' }],
  ['range', { kind: 'range', splitPoints: ['de', 'fr'], auto: false }],
] as const)('scans and queries of a %s table are the same through the proxy', async (name, partitioning) => {
  const through = await connect(`quorate://${proxy.address}`)
  const direct = await connect(`quorate://${node.address}`)
  const handle = table<{ country: string; name: string; people: number }>(`cities-${name}`, {
    key: ['country', 'name'],
  })
  await through.createTable(`cities-${name}`, {
    key: { partition: 'country', sort: 'name' },
    partitioning,
    replication: { n: 1 },
  })
  const rows = ['at', 'de', 'es', 'fr', 'gb'].flatMap(country =>
    Array.from({ length: 7 }, (_, i) => ({ country, name: `c${i}`, people: i })),
  )
  await Promise.all(rows.map(row => through.table(handle).put(row)))
  const all = async (of: AsyncIterable<{ value: unknown }>): Promise<unknown[]> => {
    const out: unknown[] = []
    for await (const { value } of of) out.push(value)
    return out
  }
  const scanned = await all(through.table(handle).scan({ pageSize: 3 }))
  expect(scanned).toEqual(await all(direct.table(handle).scan({ pageSize: 5 })))
  expect(scanned).toHaveLength(rows.length)
  for (const reverse of [false, true]) {
    const options = { from: 'c1', to: 'c5', reverse, pageSize: 2 }
    expect(await all(through.table(handle).query('de', options))).toEqual(
      await all(direct.table(handle).query('de', options)),
    )
  }
  await through.close()
  await direct.close()
})

it('errors of the cluster come through as they are', async () => {
  const db = await connect(`quorate://${proxy.address}`)
  const failed = await db
    .table(cities)
    .get({ country: 'de', name: 'x' })
    .then(
      () => undefined,
      (error: unknown) => error,
    )
  expect(isQuorateError(failed) && failed.code).toBe('UNKNOWN_TABLE')
  await db.close()
})

it('listens on loopback only', async () => {
  await expect(startProxy({ listen: '0.0.0.0:0', nodes: [node.address] })).rejects.toThrow(/loopback/)
})

it('keys in parts are whole through the proxy, which routes each write to its part', async () => {
  const likes = table<{ post: string; at: number; by: string }>('likes', { key: ['post', 'at'] })
  const through = await connect(`quorate://${proxy.address}`, { tables: { likes } })
  const direct = await connect(`quorate://${node.address}`, { tables: { likes } })
  await through.createTable('likes', {
    key: { partition: 'post', sort: 'at' },
    replication: { n: 1 },
    hotKeys: { writeParts: 4 },
  })
  for (let i = 0; i < 12; i++) await through.likes.put({ post: 'p', at: i % 6, by: `u${i}` })
  const seen = await direct.likes.get(['p', 2])
  expect(seen.siblings.map(({ by }) => by).sort()).toEqual(['u2', 'u8'])
  await through.likes.put({ post: 'p', at: 2, by: 'both' }, { context: seen.context })
  expect((await direct.likes.get(['p', 2])).siblings).toEqual([{ post: 'p', at: 2, by: 'both' }])
  await through.likes.delete(['p', 3])
  for (const db of [through, direct]) {
    const found = []
    for await (const { siblings } of db.likes.query('p')) found.push([siblings[0]!.at, siblings.length])
    expect(found).toEqual([0, 1, 2, 4, 5].map(at => [at, at === 2 ? 1 : 2]))
    const rows = []
    for await (const { siblings } of db.likes.scan({ pageSize: 2 })) rows.push(siblings[0]!.at)
    expect(rows.sort()).toEqual([0, 1, 2, 4, 5])
  }
  await through.close()
  await direct.close()
})
