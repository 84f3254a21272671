/** Range tables on live nodes that split where they grow, merge where they do not, and say what cannot be split. */

import { table } from '@quorate/client/pure'
import { describeBoundary, type HotPartition, hotPartitions, type Partition, pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { differences } from './checkers/convergence.ts'
import { collect, until, type World, withCluster } from './testing/live-cluster.ts'

const SPLIT_MS = 200

const run = (work: (world: World) => Promise<void>): Promise<void> =>
  withCluster(
    {
      seed: 11,
      tuning: {
        sweepIntervalMs: 2_000,
        collectIntervalMs: 500,
        lateWriteMs: 500,
        splitIntervalMs: SPLIT_MS,
      },
    },
    work,
  )

const partitionsOf = ({ cluster }: World, name: string): readonly Partition[] =>
  cluster.machines[0]!.node!.catalog.named(name).map.partitions

const done = (world: World) => ({
  splits: world.cluster.machines.reduce((sum, { node }) => sum + node!.splitter.splits, 0),
  merges: world.cluster.machines.reduce((sum, { node }) => sum + node!.splitter.merges, 0),
})

async function hottest({ cluster }: World, name: string): Promise<HotPartition> {
  const { context, catalog } = cluster.machines[0]!.node!
  const found = await hotPartitions(context, { table: catalog.named(name).descriptor.id, limit: 10 })
  expect(found.unanswered).toEqual([])
  return found.partitions[0]!
}

async function values<T>(rows: AsyncIterable<{ readonly value: T | undefined }>): Promise<T[]> {
  return (await collect(rows)).flatMap(({ value }) => (value === undefined ? [] : [value]))
}

const events = table<{ at: number; text: string }>('events', { key: 'at' })
const readings = table<{ sensor: string; at: number; text: string }>('readings', { key: ['sensor', 'at'] })
const text = 'x'.repeat(100)
const range = (more: object = {}) => ({ kind: 'range', splitBytes: 4_096, ...more })

test('a table fed with timestamps splits by size and is named for what it is; nothing is lost or doubled', async () => {
  await run(async world => {
    const { client } = world
    await client.createTable('events', { key: 'at', partitioning: range({ splitBytes: 16_384 }) })
    const handle = client.table(events)
    let written = 0
    for (; written < 400; written++) {
      await handle.put({ at: 1_000 + written, text })
      await pause(client.clock, 80)
      // Readers go on over splits.
      if (written % 50 === 0) expect(await values(handle.scan({ pageSize: 7 }))).toHaveLength(written + 1)
    }
    expect(partitionsOf(world, 'events').length).toBeGreaterThan(4)
    const found = await hottest(world, 'events')
    expect(found.pattern).toBe('ever-growing key')
    expect(found.advice).toContain('put something before it in the key')
    const all = await values(handle.scan({ pageSize: 10 }))
    expect(all.map(({ at }) => at)).toEqual(Array.from({ length: written }, (_, i) => 1_000 + i))
    await until(world, () => differences(world.cluster).length === 0)
  })
}, 60_000)

test('the same readings by sensor and time are spread, stay together by sensor, and are read both ways', async () => {
  await run(async world => {
    const { client } = world
    await client.createTable('readings', {
      key: { partition: 'sensor', sort: 'at' },
      partitioning: range({ splitBytes: 2_048 }),
    })
    const handle = client.table(readings)
    const sensors = Array.from({ length: 12 }, (_, i) => `s${String(i).padStart(2, '0')}`)
    for (let at = 0; at < 30; at++)
      for (const sensor of sensors) {
        await handle.put({ sensor, at, text })
        await pause(client.clock, 15)
      }
    const partitions = partitionsOf(world, 'readings')
    expect(partitions.length).toBeGreaterThan(4)
    for (const { from } of partitions.slice(1)) expect(describeBoundary(from)).toMatch(/^s\d\d$/)
    expect((await hottest(world, 'readings')).pattern).not.toBe('ever-growing key')
    for (const sensor of sensors) {
      const forwards = await values(handle.query(sensor, { pageSize: 4 }))
      expect(forwards.map(({ at }) => at)).toEqual(Array.from({ length: 30 }, (_, i) => i))
      const backwards = await values(handle.query(sensor, { pageSize: 4, reverse: true }))
      expect(backwards.map(({ at }) => at)).toEqual(Array.from({ length: 30 }, (_, i) => 29 - i))
    }
    // Each of them is larger than what would split it, and says why it is not.
    const refusals = world.cluster.machines.flatMap(({ node }) => node!.splitter.refusals())
    expect(refusals.some(({ why }) => why.includes('all rows here have one partition key, s'))).toBe(true)
  })
}, 60_000)

test('rows at, just before and just behind a boundary are found by get, query and scan', async () => {
  await run(async world => {
    const { client } = world
    await client.createTable('readings', {
      key: { partition: 'sensor', sort: 'at' },
      partitioning: range({ splitBytes: 2_048 }),
    })
    const handle = client.table(readings)
    const name = (i: number): string => `s${String(i).padStart(3, '0')}`
    for (let i = 0; i < 100; i++) await handle.put({ sensor: name(i), at: 0, text })
    await until(world, () => partitionsOf(world, 'readings').length > 6)
    const boundaries = partitionsOf(world, 'readings')
      .slice(1)
      .map(({ from }) => describeBoundary(from))
    for (const [n, boundary] of boundaries.entries()) {
      const before = `${boundary.slice(0, -1)}${String.fromCharCode(boundary.charCodeAt(boundary.length - 1) - 1)}~`
      const around = [before, boundary, `${boundary}\0`, `${boundary} `]
      for (const sensor of around)
        for (const at of [-1, 0, 1])
          if (sensor !== boundary || at !== 0) await handle.put({ sensor, at, text: `${n}` })
      for (const sensor of around) {
        for (const at of [-1, 0, 1])
          expect((await handle.get([sensor, at])).value).toMatchObject({ sensor, at })
        const forwards = await values(handle.query(sensor, { pageSize: 1 }))
        expect(forwards.map(row => row.at)).toEqual([-1, 0, 1])
        const backwards = await values(handle.query(sensor, { reverse: true, pageSize: 1 }))
        expect(backwards.map(row => row.at)).toEqual([1, 0, -1])
      }
    }
    const keys = (await values(handle.scan({ pageSize: 3 }))).map(({ sensor, at }) => `${sensor}/${at}`)
    expect(new Set(keys).size).toBe(keys.length)
    expect(keys.length).toBe(100 + boundaries.length * (12 - 1))
  })
}, 60_000)

test('cold neighbours merge again after deletes, not before the quiet time, and given boundaries stay', async () => {
  await run(async world => {
    const { client } = world
    await client.createTable('events', { key: 'at', partitioning: range({ splitPoints: [5_000] }) })
    const handle = client.table(events)
    for (let i = 0; i < 200; i++) await handle.put({ at: 1_000 + i, text })
    await until(world, () => partitionsOf(world, 'events').length > 5)
    const grown = done(world)
    for (let i = 0; i < 200; i++) {
      if (i % 80 === 0) continue
      const { context } = await handle.get(1_000 + i)
      await handle.delete(1_000 + i, { context })
    }
    expect(done(world).merges).toBe(0)
    await until(world, () => partitionsOf(world, 'events').length === 2)
    expect(describeBoundary(partitionsOf(world, 'events')[1]!.from)).toBe('5000')
    const left = await values(handle.scan())
    expect(left.map(({ at }) => at)).toEqual([1_000, 1_080, 1_160])
    const settled = done(world)
    expect(settled.merges).toBe(settled.splits)
    // And then there is peace.
    await pause(client.clock, 100 * SPLIT_MS)
    expect(done(world)).toEqual(settled)
    expect(settled.splits).toBeGreaterThanOrEqual(grown.splits)
    await until(world, () => differences(world.cluster).length === 0)
  })
}, 60_000)

test('load splits a range; a single hot key is refused, and hot says why', async () => {
  await run(async world => {
    const { client } = world
    const partitioning = range({ splitBytes: 1_000_000, splitOperationsPerSecond: 20 })
    await client.createTable('events', { key: 'at', partitioning })
    const handle = client.table(events)
    for (let i = 0; i < 40; i++) await handle.put({ at: i, text })
    for (let n = 0; n < 1_000 && partitionsOf(world, 'events').length === 1; n++) {
      await handle.get((n * 7) % 40)
      await pause(client.clock, 15)
    }
    expect(partitionsOf(world, 'events').length).toBeGreaterThan(1)
    for (let n = 0; n < 3_000; n++) {
      await handle.get(3)
      await pause(client.clock, 15)
    }
    const found = await hottest(world, 'events')
    expect(found).toMatchObject({ pattern: 'single key' })
    expect(found.keys[0]!.key).toBe('row 3')
    expect(found.advice).toContain('one key cannot be split')
    expect(found.refused).toMatch(
      /operations a second.*(one key is \d+ % of the load.*the key is 3|one partition key, 3)/,
    )
  })
}, 60_000)
