/** Tables with one leader per partition, on live nodes in simulated time. */

import { equal, increment, set, table } from '@quorate/client/pure'
import { pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { until, type World, withCluster } from './testing/live-cluster.ts'

interface Post {
  readonly id: string
  readonly likes: number
  readonly text?: string
}
const posts = table<Post>('posts', { key: 'id' })

const led = (more: object = {}) => ({
  key: 'id',
  partitioning: { kind: 'fixed', partitions: 4 },
  replication: { kind: 'single-leader' as const, n: 3, ...more },
})

/** Partitions and who leads them, as a node has it. */
const leaders = ({ cluster }: World) =>
  cluster.machines.flatMap(({ node }) =>
    (node?.leaders.partitions.held() ?? []).flatMap(({ seat, partition }) =>
      seat.leading?.isServing === true ? [{ node: node!.config.id, partition: partition.id }] : [],
    ),
  )

test('a row is written, changed under a condition, and read', async () => {
  await withCluster({}, async world => {
    const { client } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    const put = await db.put({ id: 'p1', likes: 0 })
    expect(put.applied).toBe(true)
    expect(put.receipt.log).toMatchObject({ byLeader: true, epoch: 1 })
    expect(put.receipt.copies).toBeGreaterThanOrEqual(2)
    await db.update('p1', [increment('likes', 3), set('text', 'hello')])
    const refused = await db.update('p1', [increment('likes')], { if: equal('likes', 7) })
    expect(refused).toMatchObject({ applied: false, current: { id: 'p1', likes: 3, text: 'hello' } })
    await db.update('p1', row => ({ ...row, likes: row.likes + 1 }))
    expect((await db.get('p1')).value).toEqual({ id: 'p1', likes: 4, text: 'hello' })
    await db.update('p2', [increment('likes')])
    expect((await db.get('p2')).value).toEqual({ id: 'p2', likes: 1 })
    await db.delete('p1')
    expect((await db.get('p1')).value).toBeUndefined()
  })
})

test('writes go on when a leader is gone, with nothing acknowledged lost', async () => {
  await withCluster({ nodes: 3 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    for (let i = 0; i < 20; i++) await db.put({ id: `p${i}`, likes: i })
    await until(world, () => leaders(world).length === 4)
    const victim = leaders(world)[0]!.node
    cluster.machines.find(({ id }) => id === victim)!.crash('power cut')
    const before = client.clock.monotonicMs()
    for (let i = 0; i < 20; i++) await db.update(`p${i}`, [increment('likes', 100)])
    expect(client.clock.monotonicMs() - before).toBeLessThan(5_000)
    for (let i = 0; i < 20; i++) expect((await db.get(`p${i}`)).value?.likes).toBe(i + 100)
    await pause(client.clock, 100)
  })
})
