/** Reads from the memory of their coordinator: who writes through it never finds a state from before the write. */

import { type QuorateClient, table } from '@quorate/client/pure'
import { pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { withCluster } from './testing/live-cluster.ts'
import type { SimCluster } from './world/sim-cluster.ts'

const rows = table<{ k: string; v: number }>('rows', { key: 'k' })

const run = (
  hotReadCacheMs: number,
  work: (client: QuorateClient, cluster: SimCluster) => Promise<void>,
): Promise<void> =>
  withCluster({ seed: 3, tuning: { hotReadCacheMs }, withinMs: 600_000 }, ({ client, cluster }) =>
    work(client, cluster),
  )

const hits = (cluster: SimCluster): number =>
  cluster.machines.reduce((sum, { node }) => {
    const counters = node!.hotReads.counters
    return sum + (counters === undefined ? 0 : counters.hits + counters.joined)
  }, 0)

test('whoever writes through a coordinator and reads there with r=1 finds the write, or a newer one', async () => {
  await run(5_000, async (client, cluster) => {
    await client.createTable('rows', { key: 'k' })
    const handle = client.table(rows)
    const written = new Map<string, number>()
    let context: Awaited<ReturnType<typeof handle.put>>['context'] | undefined
    let writing = true
    let reads = 0
    const reader = async (): Promise<void> => {
      while (writing) {
        const least = new Map(written)
        const { value, receipt } = await handle.get('a', { r: 'one' })
        const bound = least.get(receipt.coordinator)
        if (bound !== undefined) expect(value!.v).toBeGreaterThanOrEqual(bound)
        expect(receipt.copies).toBe(1)
        reads++
        await pause(client.clock, 1)
      }
    }
    const readers = [0, 1, 2, 3].map(reader)
    for (let v = 0; v < 200; v++) {
      const put = await handle.put({ k: 'a', v }, context === undefined ? {} : { context })
      context = put.context
      written.set(put.receipt.coordinator, v)
      await pause(client.clock, v % 5)
    }
    writing = false
    await Promise.all(readers)
    const { receipt } = await handle.delete('a', { context: context! })
    for (let n = 0; n < 20; n++) {
      const found = await handle.get('a', { r: 'one' })
      if (found.receipt.coordinator === receipt.coordinator) expect(found.value).toBeUndefined()
    }
    expect(reads).toBeGreaterThan(500)
    expect(hits(cluster)).toBeGreaterThan(100)
  })
}, 60_000)

test('a quorum read never comes from memory; without the setting nothing does', async () => {
  await run(60_000, async (client, cluster) => {
    await client.createTable('rows', { key: 'k' })
    const handle = client.table(rows)
    await handle.put({ k: 'a', v: 1 })
    for (let n = 0; n < 20; n++) {
      const { receipt } = await handle.get('a', { r: 'quorum' })
      expect(receipt.copies).toBe(2)
    }
    expect(hits(cluster)).toBe(0)
    for (let n = 0; n < 20; n++) await handle.get('a', { r: 'one' })
    expect(hits(cluster)).toBe(17)
  })
  await run(0, async (client, cluster) => {
    await client.createTable('rows', { key: 'k' })
    for (let n = 0; n < 20; n++) await client.table(rows).get('a', { r: 'one' })
    expect(hits(cluster)).toBe(0)
  })
}, 60_000)
