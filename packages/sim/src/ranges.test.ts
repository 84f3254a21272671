/** Ranges over live nodes: order, resumption, how many partitions are asked at once, and pages that are slow. */

import { table } from '@quorate/client/pure'
import { pause, rangeMessage } from '@quorate/core'
import { expect, test } from 'vitest'
import { collect, withCluster } from './testing/live-cluster.ts'

const rows = table<{ k: string; v: number }>('rows', { key: 'k' })
const events = table<{ k: string; v: number }>('events', { key: 'k' })
const readings = table<{ sensor: string; at: number }>('readings', { key: ['sensor', 'at'] })
const ROWS = 300
const name = (i: number): string => `row-${String(i).padStart(3, '0')}`

const KIND_REQUEST = 0

/** Varint behind the first byte of a frame: the id of the request; and what follows it. */
function idOf(frame: Uint8Array): { id: string; next: number } {
  let at = 1
  while (frame[at]! >= 128) at++
  return { id: frame.subarray(1, at + 1).join(), next: frame[at + 1]! }
}

/** Counts requests for pages by clients that have not been answered yet. */
function pagesOnTheWay() {
  const open = new Set<string>()
  const seen = { most: 0, all: 0 }
  return {
    seen,
    onDeliver: (from: string, to: string, frame: Uint8Array): void => {
      const { id, next } = idOf(frame)
      if (frame[0] === KIND_REQUEST && next === rangeMessage.type && from === 'c1') {
        open.add(`${to}/${id}`)
        seen.all++
        seen.most = Math.max(seen.most, open.size)
      }
      if (frame[0] !== KIND_REQUEST && to === 'c1') open.delete(`${from}/${id}`)
    },
  }
}

test('a scan gives every row once, in one order, whatever is asked at once and per page', async () => {
  await withCluster({ seed: 31, nodes: 5, tuning: { tokensPerNode: 8 } }, async ({ client }) => {
    await client.createTable('rows', { key: 'k' })
    const handle = client.table(rows)
    for (let v = 0; v < ROWS; v++) await handle.put({ k: name(v), v })
    const whole = (await collect(handle.scan({ concurrency: 1 }))).map(({ value }) => value!.k)
    expect([...whole].sort()).toEqual(Array.from({ length: ROWS }, (_, v) => name(v)))
    for (const options of [
      {},
      { concurrency: 3, pageSize: 1 },
      { concurrency: 64, pageSize: 7 },
      { r: 'all' as const },
    ]) {
      expect((await collect(handle.scan(options))).map(({ value }) => value!.k)).toEqual(whole)
    }
    for (const limit of [0, 1, 7, ROWS - 1, ROWS, ROWS + 1]) {
      const some = await collect(handle.scan({ limit, pageSize: 4 }))
      expect(some.map(({ value }) => value!.k)).toEqual(whole.slice(0, limit))
    }
    await expect(collect(handle.scan({ concurrency: 0 }))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(collect(handle.scan({ limit: 1.5 }))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(collect(handle.scan({ from: 'a' }))).rejects.toThrow(/by the hash of its keys/)
  })
})

test('a range goes on behind any of its rows, also elsewhere; a token of another range is refused', async () => {
  await withCluster({ seed: 32, tuning: { tokensPerNode: 4 } }, async ({ client, cluster }) => {
    await client.createTable('rows', { key: 'k' })
    await client.createTable('readings', { key: { partition: 'sensor', sort: 'at' } })
    const handle = client.table(rows)
    for (let v = 0; v < 40; v++) await handle.put({ k: name(v), v })
    const whole = await collect(handle.scan({ pageSize: 3 }))
    const other = cluster.newClient('c2').client
    await other.ready()
    for (const [at, { resume }] of whole.entries()) {
      const rest = await collect(other.table(rows).scan({ resume, pageSize: 5 }))
      expect(rest.map(({ value }) => value)).toEqual(whole.slice(at + 1).map(({ value }) => value))
    }
    const series = client.table(readings)
    for (let at = 0; at < 30; at++) await series.put({ sensor: 's', at })
    for (const reverse of [false, true]) {
      const range = { from: 5, to: 20, reverse }
      const all = await collect(series.query('s', range))
      expect(all.map(({ value }) => value!.at)).toEqual(
        Array.from({ length: 16 }, (_, i) => (reverse ? 20 - i : 5 + i)),
      )
      for (const [at, { resume }] of all.entries()) {
        const rest = await collect(series.query('s', { ...range, resume, limit: 4 }))
        expect(rest.map(({ value }) => value!.at)).toEqual(
          all.slice(at + 1, at + 5).map(({ value }) => value!.at),
        )
      }
      const { resume } = all[3]!
      for (const wrong of [
        { ...range, to: 21 },
        { ...range, reverse: !reverse },
        { ...range, from: 4 },
      ])
        await expect(collect(series.query('s', { ...wrong, resume }))).rejects.toThrow(/another range/)
      await expect(collect(series.query('other', { ...range, resume }))).rejects.toThrow(/another range/)
    }
    for (const resume of ['', 'x', '%%%', 'AQAAAAA', 'AgAAAABy'])
      await expect(collect(handle.scan({ resume }))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})

test('a query of a table in parts goes on behind any row; a scan of it cannot, and says so', async () => {
  await withCluster({ seed: 36, nodes: 5 }, async ({ client }) => {
    await client.createTable('readings', {
      key: { partition: 'sensor', sort: 'at' },
      conflict: { kind: 'siblings' },
      hotKeys: { writeParts: 4 },
    })
    const series = client.table(readings)
    for (let at = 0; at < 25; at++) await series.put({ sensor: 's', at })
    for (const reverse of [false, true]) {
      const range = { from: 3, to: 22, reverse }
      const all = await collect(series.query('s', range))
      expect(all).toHaveLength(20)
      for (const [at, { resume }] of all.entries()) {
        const rest = await collect(series.query('s', { ...range, resume, limit: 5, pageSize: 2 }))
        expect(rest.map(({ value }) => value)).toEqual(all.slice(at + 1, at + 6).map(({ value }) => value))
      }
    }
    const [first] = await collect(series.scan({ limit: 1 }))
    expect(first!.resume).toBeUndefined()
    await expect(collect(series.scan({ resume: 'AQ' }))).rejects.toThrow(/keeps its rows in parts/)
  })
})

test('a range table is scanned between keys and backwards, while its partitions split', async () => {
  const tuning = { splitIntervalMs: 200, sweepIntervalMs: 2_000 }
  await withCluster({ seed: 33, tuning }, async ({ client, cluster }) => {
    await client.createTable('events', { key: 'k', partitioning: { kind: 'range', splitBytes: 4_096 } })
    const handle = client.table(events)
    let written = 0
    const writing = (async () => {
      for (; written < ROWS; written++) await handle.put({ k: name(written), v: written })
    })()
    while (written < ROWS) {
      const least = written
      const [from, to] = [Math.floor(least / 3), Math.floor((2 * least) / 3)]
      const wanted = Array.from({ length: to - from + 1 }, (_, i) => name(from + i))
      const found = await collect(handle.scan({ from: name(from), to: name(to), pageSize: 5 }))
      if (least > to) expect(found.map(({ value }) => value!.k)).toEqual(wanted)
      const back = await collect(handle.scan({ from: name(from), to: name(to), pageSize: 5, reverse: true }))
      if (least > to) expect(back.map(({ value }) => value!.k)).toEqual(wanted.reverse())
      await pause(client.clock, 20)
    }
    await writing
    expect(cluster.machines[0]!.node!.catalog.named('events').map.partitions.length).toBeGreaterThan(2)
    await expect(collect(handle.scan({ from: 'b', to: 'a' }))).rejects.toThrow(/ends before it starts/)
  })
})

test('no more partitions are asked at once than was said, and not many for few rows', async () => {
  const ways = pagesOnTheWay()
  await withCluster(
    { seed: 34, nodes: 5, tuning: { tokensPerNode: 8 }, hooks: { onDeliver: ways.onDeliver } },
    async ({ client }) => {
      await client.createTable('rows', { key: 'k' })
      const handle = client.table(rows)
      for (let v = 0; v < ROWS; v++) await handle.put({ k: name(v), v })
      const took = async (concurrency: number): Promise<{ most: number; ms: number }> => {
        ways.seen.most = 0
        const begunMs = client.clock.monotonicMs()
        expect(await collect(handle.scan({ concurrency }))).toHaveLength(ROWS)
        return { most: ways.seen.most, ms: client.clock.monotonicMs() - begunMs }
      }
      const [one, eight] = [await took(1), await took(8)]
      expect(one.most).toBe(1)
      expect(eight.most).toBeGreaterThan(4)
      expect(eight.most).toBeLessThanOrEqual(8)
      expect(eight.ms).toBeLessThan(one.ms / 3)
      ways.seen.all = 0
      expect(await collect(handle.scan({ limit: 3 }))).toHaveLength(3)
      expect(ways.seen.all).toBeLessThanOrEqual(3)
    },
  )
})

test('pages that a stopped node does not answer are asked of another one; a budget bounds how often', async () => {
  await withCluster({ seed: 35, tuning: { tokensPerNode: 2 } }, async ({ client, cluster }) => {
    await client.createTable('rows', { key: 'k' })
    const handle = client.table(rows)
    for (let v = 0; v < 50; v++) await handle.put({ k: name(v), v })
    for (let i = 0; i < 20; i++) await collect(handle.scan())
    const counted = (): number =>
      cluster.machines.slice(0, 2).reduce((sum, { node }) => sum + node!.context.counters.hedges, 0)
    expect(counted()).toBe(0)
    const begunMs = client.clock.monotonicMs()
    cluster.machines[2]!.time.pause()
    const found = await collect(handle.scan({ r: 2 }))
    expect(found).toHaveLength(50)
    expect(found.every(({ receipt }) => receipt.copies === 2)).toBe(true)
    // Without hedges whoever asks the stopped node first waits for it: two seconds, and more of a coordinator.
    expect(client.clock.monotonicMs() - begunMs).toBeLessThan(200)
    expect(counted()).toBeGreaterThan(0)
    expect(found.some(({ receipt }) => receipt.hedged)).toBe(true)
    cluster.machines[2]!.time.resume()
  })
})
