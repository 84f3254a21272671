/** Cells, values and requests at their limits, against live nodes: refused or served, never harmful. */

import { type QuorateClient, table } from '@quorate/client/pure'
import {
  type ByteString,
  type CellValue,
  decodeCell,
  durable,
  emptyCell,
  encodeCell,
  encodeDocument,
  encodeKey,
  type Incarnation,
  isQuorateError,
  limits,
  mergeCells,
  type OperationId,
  pause,
  prefixEnd,
  rangeMessage,
  rowKey,
  type Stamp,
  type TableId,
  tablePrefix,
  tokenOf,
} from '@quorate/core'
import { expect, test } from 'vitest'
import { type LiveOptions, withCluster } from './testing/live-cluster.ts'
import type { SimCluster } from './world/sim-cluster.ts'
import type { Simulation } from './world/simulation.ts'

const rows = table<{ k: string; v: unknown }>('rows', { key: 'k' })

const run = (
  work: (client: QuorateClient, cluster: SimCluster) => Promise<void>,
  trouble?: LiveOptions['trouble'],
): Promise<void> =>
  withCluster(
    {
      seed: 77,
      tuning: { sweepIntervalMs: 400, sweepRecheckMs: 50, tokensPerNode: 2 },
      withinMs: 120_000,
      ...(trouble === undefined ? {} : { trouble }),
    },
    ({ client, cluster }) => work(client, cluster),
  )

test('what merging makes can be decoded, also past every bound that coordinators keep', () => {
  const actor = (name: string): Incarnation => name.repeat(8) as Incarnation
  const side = (name: string, from: number) => {
    const intervals: number[] = []
    const values: CellValue[] = []
    for (let i = 0; i < limits.intervalsMax; i++) {
      const stamp = (from + 4 * i) as Stamp
      intervals.push(stamp, stamp)
      if (i < limits.siblingsMax) {
        const operation = `${name}${i}`.padStart(16, '0') as OperationId
        values.push({ actor: actor('A'), stamp, operation, value: new Uint8Array([1]) })
      }
    }
    return { ...emptyCell, context: [{ actor: actor('A'), intervals }], values }
  }
  const merged = mergeCells(side('x', 10), side('y', 12))
  expect(merged.context[0]!.intervals.length / 2).toBe(2 * limits.intervalsMax)
  expect(decodeCell(encodeCell(merged))).toEqual(merged)
})

test('a row that merging has made larger than a message keeps no other from being swept', async () => {
  await run(async (client, cluster) => {
    const { id } = await client.createTable('rows', { key: 'k', replication: { n: 3, r: 1, w: 1 } })
    const { view, key } = locate(client, id, 'huge')
    const values: CellValue[] = []
    const piece = encodeDocument({ k: 'huge', v: 'x'.repeat(900_000) })
    for (let i = 0; i < 20; i++) {
      const operation = `huge${i}`.padStart(16, '0') as OperationId
      values.push({ actor: 'ACTOR---' as Incarnation, stamp: (8 + i) as Stamp, operation, value: piece })
    }
    const context = [{ actor: 'ACTOR---' as Incarnation, intervals: [8, 8 + 19] }]
    const huge = encodeCell({ ...emptyCell, context, values })
    expect(huge.length).toBeGreaterThan(limits.cellBytesMax)
    const contexts = cluster.machines.map(machine => machine.node!.context)
    for (const { rows, store } of contexts.slice(0, 1)) {
      rows.merge(view, key, huge)
      await durable(store, store.handed)
    }
    const near = locate(client, id, 'near')
    const one = { ...emptyCell, context: context, values: values.slice(0, 1) }
    contexts[1]!.rows.merge(view, near.key, encodeCell(one))
    const refused = () => contexts.reduce((sum, { counters }) => sum + counters.sweepRowsRefused, 0)
    const everywhere = () => contexts.every(({ store }) => store.get(near.key) !== undefined)
    for (let i = 0; i < 400 && !(refused() > 0 && everywhere()); i++) await pause(client.clock, 100)
    expect([refused() > 0, everywhere()]).toEqual([true, true])
    const error = await client
      .table(rows)
      .get('huge', { r: 'all', timeoutMs: 3_000 })
      .then(
        () => undefined,
        (reason: unknown) => reason,
      )
    expect(isQuorateError(error) && error.code).toBe('VALUE_TOO_LARGE')
    await client.table(rows).delete('huge', { w: 'all' })
    expect((await client.table(rows).get('huge', { r: 'all' })).siblings).toEqual([])
  })
})

test('a disk that is full while the cluster forms delays it and no more', async () => {
  // From no room at all to room for everything: each step of the forming meets the full disk once.
  for (let room = 0; room <= 1_500; room += 60) {
    await run(
      async client => {
        await pause(client.clock, 5_000)
        await client.createTable('rows', { key: 'k' })
        await client.table(rows).put({ k: 'a', v: 1 })
      },
      (cluster, simulation) => fillDisksWhileForming(cluster, simulation, room),
    )
  }
})

function fillDisksWhileForming(cluster: SimCluster, simulation: Simulation, room: number): void {
  const filled = new Set<string>()
  const look = (): void => {
    for (const { id, node, disk } of cluster.machines) {
      if (node === undefined || filled.has(id)) continue
      filled.add(id)
      disk.setCapacity(disk.usedBytes + room)
    }
    if (filled.size < cluster.machines.length) simulation.at(50, look)
  }
  look()
  simulation.at(4_000_000, () => {
    for (const { disk } of cluster.machines) disk.setCapacity(Number.POSITIVE_INFINITY)
  })
}

function locate(client: QuorateClient, id: TableId, name: string) {
  const view = client.router.catalog.view(id)
  const partitionKey = encodeKey(name)
  return { view, key: rowKey(id, tokenOf(partitionKey), partitionKey, '' as ByteString) }
}

test('siblings that are too large to merge are shown as siblings', async () => {
  await run(async client => {
    await client.createTable('rows', { key: 'k', conflict: { kind: 'merge:union' } })
    const big = (letter: string) => Array.from({ length: 6 }, (_, i) => letter.repeat(100_000) + i)
    await client.table(rows).put({ k: 'a', v: big('x') })
    await client.table(rows).put({ k: 'a', v: big('y') })
    const found = await client.table(rows).get('a')
    expect(found.siblings).toHaveLength(2)
    await client.table(rows).put({ k: 'a', v: 'small' }, { context: found.context })
    expect((await client.table(rows).get('a')).value).toEqual({ k: 'a', v: 'small' })
  })
})

test('a write tried again is acknowledged by as many homes as the first time', async () => {
  await run(async client => {
    await client.createTable('rows', { key: 'k' })
    const operation = client.newOperation()
    for (const repeated of [false, true, true, true]) {
      const written = await client.table(rows).put({ k: 'a', v: 1 }, { operation, w: 'all' })
      expect([written.repeated, written.receipt.copies]).toEqual([repeated, 3])
    }
    const found = await client.table(rows).get('a', { r: 'all' })
    expect(found.siblings).toEqual([{ k: 'a', v: 1 }])
    // What the answer to a second try gives is a context as good as the first one's.
    const again = await client.table(rows).put({ k: 'a', v: 1 }, { operation })
    await client.table(rows).put({ k: 'a', v: 2 }, { context: again.context })
    expect((await client.table(rows).get('a', { r: 'all' })).siblings).toEqual([{ k: 'a', v: 2 }])
    // And a second try after its value has been replaced changes nothing.
    expect((await client.table(rows).put({ k: 'a', v: 1 }, { operation })).repeated).toBe(true)
    const late = client.table(rows).put({ k: 'a', v: 1 }, { operation, context: found.context })
    expect((await late).repeated).toBe(true)
    expect((await client.table(rows).get('a', { r: 'all' })).siblings).toEqual([{ k: 'a', v: 2 }])
  })
})

test('a loser as large as a row may be goes to the ledger', async () => {
  await run(async (client, cluster) => {
    await client.createTable('rows', { key: 'k', conflict: { kind: 'lww' } })
    const first = await client.table(rows).put({ k: 'a', v: 'x'.repeat(limits.valueBytesMax - 64) })
    // A context that has seen nothing of it: this write is concurrent with the first, and wins.
    const nothing = (await client.table(rows).get('other')).context
    await client.table(rows).put({ k: 'a', v: 'winner' }, { context: nothing })
    expect((await client.table(rows).get('a')).value).toEqual({ k: 'a', v: 'winner' })
    expect(first.repeated).toBe(false)
    const recorded = cluster.machines.reduce(
      (sum, machine) => sum + (machine.node?.context.ledger.count ?? 0),
      0,
    )
    expect(recorded).toBeGreaterThan(0)
  })
})

test('a range beyond its partition is refused', async () => {
  await run(async client => {
    const { id } = await client.createTable('rows', { key: 'k' })
    const { map } = client.router.catalog.view(id)
    const prefix = tablePrefix(id)
    const ask = (from: ByteString, to: ByteString) =>
      client.rpc.request(
        'n1' as never,
        rangeMessage,
        {
          table: id as number,
          mapVersion: map.partitions[0]!.version,
          level: 0,
          hops: 0,
          from,
          to,
          reverse: false,
          limit: 10,
          session: undefined,
          staleMs: 0,
        },
        1_000,
      )
    for (const to of ['s' as ByteString, prefixEnd(prefix)!]) {
      const error = await ask(prefix, to).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(isQuorateError(error) && error.message).toContain('outside its partition')
    }
  })
})

test('a call whose signal is aborted sends nothing and says so', async () => {
  await run(async client => {
    await client.createTable('rows', { key: 'k' })
    const signal = { aborted: true, addEventListener: () => {}, removeEventListener: () => {} }
    const error = await client
      .table(rows)
      .put({ k: 'a', v: 1 }, { signal })
      .then(
        () => undefined,
        (reason: unknown) => reason,
      )
    expect(error).toMatchObject({ code: 'CANCELLED', outcome: 'not-applied' })
    expect((await client.table(rows).get('a')).siblings).toEqual([])
  })
})
