/** Writes that come late, again, or under a name used before, against live nodes that collect as they go. */

import { type QuorateClient, table } from '@quorate/client/pure'
import {
  type ByteString,
  decodeCell,
  encodeKey,
  isTombstone,
  type NodeTuning,
  pause,
  rowKey,
  type TableId,
  tokenOf,
} from '@quorate/core'
import { expect, test } from 'vitest'
import { withCluster } from './testing/live-cluster.ts'
import type { SimCluster } from './world/sim-cluster.ts'

const rows = table<{ k: string; v: unknown }>('rows', { key: 'k' })

interface TwoClients {
  readonly clients: readonly [QuorateClient, QuorateClient]
  readonly cluster: SimCluster
}

const run = (tuning: Partial<NodeTuning>, work: (world: TwoClients) => Promise<void>): Promise<void> => {
  const quick = { sweepIntervalMs: 400, sweepRecheckMs: 50, tokensPerNode: 2, collectIntervalMs: 500 }
  return withCluster(
    { seed: 77, tuning: { ...quick, ...tuning }, withinMs: 400_000 },
    async ({ client, cluster }) => {
      const other = cluster.newClient('c2').client
      await other.ready({ timeoutMs: 20_000 })
      await work({ clients: [client, other], cluster })
    },
  )
}

function keyOf(id: TableId, name: string): ByteString {
  const partitionKey = encodeKey(name)
  return rowKey(id, tokenOf(partitionKey), partitionKey, '' as ByteString)
}

/** Is the row collected everywhere: gone, or without superseded operations? */
function isCollected(cluster: SimCluster, key: ByteString): boolean {
  return cluster.machines.every(({ node }) => {
    const stored = node?.store.get(key)
    return (
      stored === undefined || (stored instanceof Uint8Array && decodeCell(stored).superseded.length === 0)
    )
  })
}

for (const how of ['deleted', 'overwritten'] as const) {
  test(`a put that is tried again long after its value was ${how} changes nothing, restarts or not`, async () => {
    // After a restart it is the scrub that finds what can be collected.
    await run({ scrubIntervalMs: 5_000 }, async ({ clients: [late, other], cluster }) => {
      const { id } = await other.createTable('rows', { key: 'k' })
      await late.describe('rows')
      const { clock } = other
      const mine = other.table(rows)
      // No answer reaches c1: its put is applied, and it waits to try again.
      for (const { id: node } of cluster.machines) cluster.network.cut(node, 'c1')
      const put = late.table(rows).put({ k: 'a', v: 'X' }, { timeoutMs: 60_000 })
      const ended = put.then(
        () => 'ok',
        () => 'failed',
      )
      await pause(clock, 1_000)
      let found = await mine.get('a', { r: 'all' })
      expect(found.value).toEqual({ k: 'a', v: 'X' })
      if (how === 'deleted') await mine.delete('a', { context: found.context, w: 'all' })
      for (let i = 0; how === 'overwritten' && i < 5; i++) {
        await mine.put({ k: 'a', v: i }, { context: found.context, w: 'all' })
        found = await mine.get('a', { r: 'all' })
      }
      await pause(clock, 10_000)
      // What a restart forgets must not be what the answer rests on.
      for (const machine of cluster.machines) {
        machine.crash('kill')
        machine.start()
        await pause(clock, 4_000)
      }
      cluster.network.healAll()
      expect(await ended).toBe('ok')
      await pause(clock, 1_000)
      const after = await mine.get('a', { r: 'all' })
      expect(after.siblings).toEqual(how === 'deleted' ? [] : [{ k: 'a', v: 4 }])
      // Once no client can be trying any more, it is collected.
      const key = keyOf(id, 'a')
      for (let i = 0; i < 200 && !isCollected(cluster, key); i++) await pause(clock, 1_000)
      expect(isCollected(cluster, key)).toBe(true)
    })
  })
}

test('one operation id used for two rows names two operations', async () => {
  await run({}, async ({ clients: [client] }) => {
    await client.createTable('rows', { key: 'k' })
    const operation = client.newOperation()
    for (const k of ['debit', 'credit']) {
      const { repeated } = await client.table(rows).put({ k, v: 1 }, { operation, w: 'all' })
      expect(repeated).toBe(false)
      expect((await client.table(rows).get(k, { r: 'all' })).value).toEqual({ k, v: 1 })
    }
  })
})

test('rows written again after a delete do not keep others from being collected', async () => {
  await run({ lateWriteMs: 200 }, async ({ clients: [client], cluster }) => {
    const { id } = await client.createTable('rows', { key: 'k' })
    const mine = client.table(rows)
    for (let i = 0; i < 60; i++) {
      await mine.put({ k: `again${i}`, v: 0 }, { w: 'all' })
      await mine.delete(`again${i}`, { w: 'all' })
      await mine.put({ k: `again${i}`, v: 1 }, { w: 'all' })
      await mine.put({ k: `gone${i}`, v: 0 }, { w: 'all' })
      await mine.delete(`gone${i}`, { w: 'all' })
    }
    const left = (): number => {
      const stores = cluster.machines.map(({ node }) => node!.store)
      const keys = Array.from({ length: 60 }, (_, i) => keyOf(id, `gone${i}`))
      const isLeft = (stored: unknown) => stored instanceof Uint8Array && isTombstone(decodeCell(stored))
      return keys.filter(key => stores.some(store => isLeft(store.get(key)))).length
    }
    for (let i = 0; i < 600 && left() > 0; i++) await pause(client.clock, 100)
    expect(left()).toBe(0)
  })
})
