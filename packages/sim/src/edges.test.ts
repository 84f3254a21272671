/** Cells, values and requests at their limits, against live nodes: refused or served, never harmful. */

import { type QuorateClient, table } from '@quorate/client/pure'
import {
  type ByteString,
  type CellValue,
  decodeCell,
  defaultTuning,
  emptyCell,
  encodeCell,
  type Incarnation,
  isQuorateError,
  limits,
  mergeCells,
  type OperationId,
  prefixEnd,
  rangeMessage,
  type Stamp,
  tablePrefix,
} from '@quorate/core'
import { expect, test } from 'vitest'
import { drain } from './node-runner/drain.ts'
import { SimCluster } from './world/sim-cluster.ts'
import { Simulation } from './world/simulation.ts'

const rows = table<{ k: string; v: unknown }>('rows', { key: 'k' })

async function withCluster(
  work: (client: QuorateClient, cluster: SimCluster) => Promise<void>,
): Promise<void> {
  const simulation = new Simulation({ seed: 77, drain })
  const tuning = {
    ...defaultTuning,
    gossipIntervalMs: 300,
    sweepIntervalMs: 400,
    sweepRecheckMs: 50,
    tokensPerNode: 2,
  }
  const cluster = new SimCluster(simulation, { nodes: 3, zones: 3, tuning, storeLimits: {} })
  cluster.start()
  const { client } = cluster.newClient('c1')
  let done = false
  let failure: unknown
  client
    .ready({ timeoutMs: 20_000 })
    .then(() => work(client, cluster))
    .then(
      () => {
        done = true
      },
      (error: unknown) => {
        failure = error
      },
    )
  await simulation.run(120_000, () => done || failure !== undefined)
  if (failure !== undefined) throw failure
  expect(simulation.failure?.error).toBeUndefined()
  expect(done).toBe(true)
}

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

test('siblings that are too large to merge are shown as siblings', async () => {
  await withCluster(async client => {
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

test('a loser as large as a row may be goes to the ledger', async () => {
  await withCluster(async (client, cluster) => {
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
  await withCluster(async client => {
    const { id } = await client.createTable('rows', { key: 'k' })
    const { map } = client.router.catalog.view(id)
    const prefix = tablePrefix(id)
    const ask = (from: ByteString, to: ByteString) =>
      client.rpc.request(
        'n1' as never,
        rangeMessage,
        {
          table: id as number,
          mapVersion: map.version,
          level: 0,
          hops: 0,
          token: 0,
          from,
          to,
          reverse: false,
          limit: 10,
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
  await withCluster(async client => {
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
