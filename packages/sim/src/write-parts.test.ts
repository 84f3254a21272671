/** Tables that split the writes of a key: hidden behind the table, on several replica sets, and nothing lost. */

import { operationFromHex, operationToHex, type QuorateClient, table } from '@quorate/client/pure'
import { encodeKey, hotPartitions, isQuorateError, placeOfPart, splitPartOf } from '@quorate/core'
import { expect, test } from 'vitest'
import { withCluster } from './testing/live-cluster.ts'
import type { SimCluster } from './world/sim-cluster.ts'
import type { Simulation } from './world/simulation.ts'

interface Row {
  readonly k: string
  readonly v: number
}
const rows = table<Row>('hot', { key: 'k' })
const settings = { key: 'k', hotKeys: { writeParts: 8 } } as const

const run = (
  nodes: number,
  work: (client: QuorateClient, cluster: SimCluster, simulation: Simulation) => Promise<void>,
): Promise<void> =>
  withCluster(
    { seed: 5, nodes, tuning: { collectIntervalMs: 600_000 }, withinMs: 600_000 },
    ({ client, cluster, simulation }) => work(client, cluster, simulation),
  )

const numbers = (row: { readonly siblings: readonly Row[] }): number[] =>
  row.siblings.map(({ v }) => v).sort((a, b) => a - b)

/** Where each part of the row "a" is. */
function placesOf(client: QuorateClient) {
  const view = client.router.catalog.named('hot')
  return Array.from({ length: 8 }, (_, part) => {
    const place = placeOfPart(view, { partitionKey: encodeKey('a'), sortKey: '' as never }, part)
    return { ...place, partition: view.map.locate(place.key) }
  })
}

test('the writes of one key are spread over partitions and their replica sets, and one read has them all', async () => {
  await run(5, async (client, cluster) => {
    await client.createTable('hot', settings)
    const handle = client.table(rows)
    const puts = await Promise.all(Array.from({ length: 40 }, (_, v) => handle.put({ k: 'a', v })))
    const places = placesOf(client)
    const sets = new Set(places.map(({ partition }) => [...partition.replicas].sort().join()))
    // Without parts all 40 would be on the one set of three nodes.
    expect(new Set(places.map(({ partition }) => partition.id)).size).toBeGreaterThan(5)
    expect(sets.size).toBeGreaterThan(3)
    expect(new Set(puts.map(({ receipt }) => receipt.coordinator)).size).toBe(5)
    const found = await handle.get('a')
    expect(numbers(found)).toEqual(Array.from({ length: 40 }, (_, v) => v))
    expect(found.receipt).toMatchObject({ copies: 2, replicas: 3 })
    // No node has all of it, and no part has more than its share.
    const cells = places.map(
      ({ key, partition }) => cluster.machine(partition.replicas[0]!).node!.context.rows.read(key)!,
    )
    expect(cells.every(cell => cell !== undefined)).toBe(true)
  })
}, 60_000)

test('what one key asks of the busiest node: half of it with 8 parts on 9 nodes, and all of them share', async () => {
  /** Writes that each node took to its disk, busiest first, of 60 of one key. */
  const load = async (more: object): Promise<number[]> => {
    const taken: number[] = []
    await run(9, async (client, cluster) => {
      await client.createTable('hot', { key: 'k', ...more })
      const count = () =>
        cluster.machines.map(({ node }) => node!.counters.writes + node!.counters.replicaWrites)
      const before = count()
      await Promise.all(
        Array.from({ length: 60 }, (_, v) => client.table(rows).put({ k: 'a', v }, { w: 'all' })),
      )
      taken.push(...count().map((writes, at) => writes - before[at]!))
    })
    return taken.filter(writes => writes > 0).sort((a, b) => b - a)
  }
  expect(await load({})).toEqual([60, 60, 60])
  const split = await load({ hotKeys: { writeParts: 8 } })
  expect(split.reduce((sum, writes) => sum + writes)).toBe(180)
  expect(split.length).toBe(9)
  expect(split[0]!).toBeLessThanOrEqual(32)
}, 60_000)

test('a put with what a read gave replaces what it saw in every part, and nothing else', async () => {
  await run(3, async client => {
    await client.createTable('hot', settings)
    const handle = client.table(rows)
    for (let v = 0; v < 30; v++) await handle.put({ k: 'a', v })
    const seen = await handle.get('a')
    // Unseen by the writer: whatever part they are in, and whoever coordinates, they stay.
    for (let v = 100; v < 130; v++) await handle.put({ k: 'a', v })
    const put = await handle.put({ k: 'a', v: 1_000 }, { context: seen.context })
    const found = await handle.get('a')
    expect(numbers(found)).toEqual([...Array.from({ length: 30 }, (_, i) => 100 + i), 1_000])
    // The context of the put has seen the put, and not the others.
    await handle.put({ k: 'a', v: 2_000 }, { context: put.context })
    const last = await handle.get('a')
    expect(numbers(last)).toEqual([...Array.from({ length: 30 }, (_, i) => 100 + i), 2_000])
    await handle.put({ k: 'a', v: 1 }, { context: last.context })
    expect(numbers(await handle.get('a'))).toEqual([1])
    for (let i = 0; i < 20; i++) await handle.update('a', row => ({ ...row, v: row.v + 1 }))
    expect((await handle.get('a')).value).toEqual({ k: 'a', v: 21 })
  })
}, 60_000)

test('a delete covers all parts, with a context only what was seen', async () => {
  await run(4, async client => {
    await client.createTable('hot', settings)
    const handle = client.table(rows)
    for (let v = 0; v < 20; v++) await handle.put({ k: 'a', v })
    const seen = await handle.get('a')
    for (let v = 100; v < 110; v++) await handle.put({ k: 'a', v })
    const deleted = await handle.delete('a', { context: seen.context })
    expect(deleted.receipt.copies).toBeGreaterThanOrEqual(2)
    expect(numbers(await handle.get('a'))).toEqual(Array.from({ length: 10 }, (_, i) => 100 + i))
    await handle.delete('a')
    expect(numbers(await handle.get('a'))).toEqual([])
    expect((await handle.get('a', { r: 'all' })).siblings).toEqual([])
  })
}, 60_000)

test('an operation that is tried again reaches the same part and stands once', async () => {
  await run(4, async client => {
    await client.createTable('hot', settings)
    const handle = client.table(rows)
    const operation = client.newOperation()
    expect(operationFromHex(operationToHex(operation))).toBe(operation)
    await handle.put({ k: 'a', v: 1 }, { operation })
    expect((await handle.put({ k: 'a', v: 1 }, { operation })).repeated).toBe(true)
    await handle.put({ k: 'a', v: 2 })
    const seen = await handle.get('a')
    const again = client.newOperation()
    // Through two coordinators at once, as an impatient proxy would.
    await Promise.all(
      [1, 2].map(() => handle.put({ k: 'a', v: 3 }, { operation: again, context: seen.context })),
    )
    await handle.put({ k: 'a', v: 3 }, { operation: again, context: seen.context })
    const found = await handle.get('a')
    expect(numbers(found)).toEqual([3])
    // With a context that has seen it, it has nothing left to do, in no part.
    await handle.put({ k: 'a', v: 4 })
    const both = await handle.get('a')
    const error = await handle
      .put({ k: 'a', v: 3 }, { operation: again, context: both.context })
      .catch((thrown: unknown) => thrown)
    expect(isQuorateError(error) && [error.code, error.outcome]).toEqual(['BAD_CONTEXT', 'applied'])
    expect(numbers(await handle.get('a'))).toEqual([3, 4])
  })
}, 60_000)

test('a part without a quorum fails the read; a write to another part goes on', async () => {
  await run(5, async (client, cluster) => {
    await client.createTable('hot', settings)
    const handle = client.table(rows)
    for (let v = 0; v < 16; v++) await handle.put({ k: 'a', v })
    const seen = await handle.get('a')
    const places = placesOf(client)
    const [down] = places.filter(
      ({ part, partition }) => part > 0 && !partition.replicas.includes('n1' as never),
    )
    const others = places.filter(
      ({ partition }) =>
        partition.replicas.filter(node => !down!.partition.replicas.slice(0, 2).includes(node)).length >= 2,
    )
    for (const node of down!.partition.replicas.slice(0, 2)) cluster.machine(node).crash('kill')
    const reading = await handle.get('a', { timeoutMs: 3_000 }).catch((thrown: unknown) => thrown)
    expect(isQuorateError(reading)).toBe(true)
    const removing = await handle
      .delete('a', { context: seen.context, timeoutMs: 3_000 })
      .catch((thrown: unknown) => thrown)
    expect(isQuorateError(removing) && removing.outcome).toBe('unknown')
    let operation = client.newOperation()
    while (!others.some(({ part }) => part === splitPartOf(operation, 8))) operation = client.newOperation()
    await handle.put({ k: 'a', v: 99 }, { operation, timeoutMs: 10_000 })
    for (const node of down!.partition.replicas.slice(0, 2)) cluster.machine(node).start()
    const again = await handle.get('a', { timeoutMs: 30_000 })
    expect(numbers(again)).toContain(99)
    await handle.delete('a', { context: again.context, timeoutMs: 30_000 })
    expect(numbers(await handle.get('a'))).toEqual([])
  })
}, 60_000)

test('a query merges the parts in the order of the sort key, in pages, from both ends; a scan gives each row once', async () => {
  interface Post {
    readonly k: string
    readonly at: number
    readonly by: string
  }
  const posts = table<Post>('posts', { key: ['k', 'at'] })
  await run(4, async client => {
    await client.createTable('posts', {
      key: { partition: 'k', sort: 'at' },
      hotKeys: { writeParts: 4 },
      partitioning: { kind: 'fixed', partitions: 16 },
    })
    const handle = client.table(posts)
    for (let at = 0; at < 25; at++) {
      await handle.put({ k: 'a', at, by: 'x' })
      if (at % 3 === 0) await handle.put({ k: 'a', at, by: 'y' })
      await handle.put({ k: 'b', at, by: 'z' })
    }
    await handle.delete(['a', 7])
    // Moved to the part of its operation: removed where it was, and there once.
    for (let i = 0; i < 4; i++) await handle.update(['a', 8], row => ({ ...row, by: `w${i}` }))
    const whole = Array.from({ length: 25 }, (_, at) => at).filter(at => at !== 7)
    const found = async (options: Parameters<typeof handle.query>[1]): Promise<number[]> => {
      const out: number[] = []
      for await (const { siblings, receipt } of handle.query('a', options)) {
        expect(siblings).toHaveLength(siblings[0]!.at % 3 === 0 ? 2 : 1)
        expect(receipt.copies).toBe(2)
        out.push(siblings[0]!.at)
      }
      return out
    }
    const reversed = [...whole].reverse()
    expect(await found({})).toEqual(whole)
    expect(await found({ reverse: true, pageSize: 3 })).toEqual(reversed)
    expect(await found({ limit: 10, pageSize: 2 })).toEqual(whole.slice(0, 10))
    expect(await found({ limit: 5, reverse: true })).toEqual(reversed.slice(0, 5))
    expect(await found({ from: 3, to: 11, pageSize: 1 })).toEqual(whole.filter(at => at >= 3 && at <= 11))
    expect(await found({ from: 3, to: 11, limit: 0 })).toEqual([])
    for (const pageSize of [1, 4, 500]) {
      const seen: string[] = []
      for await (const { siblings } of handle.scan({ pageSize }))
        seen.push(`${siblings[0]!.k}${siblings[0]!.at}`)
      expect(seen).toHaveLength(49)
      expect(new Set(seen).size).toBe(49)
    }
    let counted = 0
    for await (const _ of handle.scan({ limit: 7 })) counted++
    expect(counted).toBe(7)
    // What a query gives can be written upon.
    for await (const row of handle.query('a', { from: 0, to: 0 }))
      await handle.put({ k: 'a', at: 0, by: 'both' }, { context: row.context })
    expect((await handle.get(['a', 0])).value).toEqual({ k: 'a', at: 0, by: 'both' })
  })
}, 60_000)

test('hot reports name the key that users know, not its parts', async () => {
  await run(3, async (client, cluster) => {
    await client.createTable('hot', { key: 'k', hotKeys: { writeParts: 2 } })
    const handle = client.table(rows)
    for (let v = 0; v < 200; v++) {
      await handle.put({ k: 'a', v })
      if (v % 20 === 0) await handle.delete('a')
    }
    const document = await hotPartitions(cluster.machines[0]!.node!.context, { limit: 20 })
    const keys = document.partitions.flatMap(partition => partition.keys.map(({ key }) => key))
    expect(keys.length).toBeGreaterThan(1)
    expect(new Set(keys)).toEqual(new Set(['row a']))
  })
}, 60_000)
