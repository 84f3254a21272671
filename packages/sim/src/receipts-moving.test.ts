/** Receipts of writes to a partition that moves: what holds for the homes of before and for those to be. */

import { table } from '@quorate/client/pure'
import { changeChunk, withMove } from '@quorate/core'
import { expect, test } from 'vitest'
import { until, withCluster } from './testing/live-cluster.ts'

const rows = table<{ k: string; v: number }>('rows', { key: 'k' })

test('a stand-in for a home to be voids the overlap: reads ask that set', async () => {
  await withCluster({ seed: 71, nodes: 5 }, async ({ client, cluster }) => {
    await client.createTable('rows', {
      key: 'k',
      partitioning: { kind: 'fixed', partitions: 1 },
      replication: { n: 3, r: 1, w: 3, sloppy: true },
    })
    const n1 = cluster.machines[0]!.node!
    const { descriptor, map } = n1.catalog.named('rows')
    const { settled } = map.partitions[0]!
    const coming = cluster.machines.find(({ id }) => id !== 'n1' && !settled.includes(id))!
    const to = [settled[0]!, settled[1]!, coming.id]
    coming.crash('kill')
    await until({ client }, () =>
      cluster.machines.every(
        ({ node }) => node === undefined || node.coordination.membership.isSuspected(coming.id),
      ),
    )
    // It waits there: the one that comes cannot say that it knows.
    await n1.coordination.maps.change(
      descriptor.id,
      0,
      chunk =>
        changeChunk(chunk!, entry => withMove(entry, { task: 'p-over', session: 1, stage: 'read-new', to }))!,
      n1.coordination.operation(),
    )
    const { receipt } = await client.table(rows).put({ k: 'row', v: 1 }, { timeoutMs: 60_000 })
    expect(receipt.answered.map(({ role }) => role)).toContain('fallback')
    expect(receipt.copies).toBe(2)
    expect(receipt.overlap).toBe(false)
  })
})
