/** Tables with one leader per partition, on live nodes in simulated time. */

import { type ChangesOptions, equal, increment, set, table } from '@quorate/client/pure'
import { logAppendMessage, pause, restoreEntry, type Stamp } from '@quorate/core'
import { expect, test } from 'vitest'
import { ledDifferences } from './checkers/logs.ts'
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

async function carryOut({ client, cluster }: World): Promise<number> {
  const { control } = cluster.machines[0]!.node!
  const plan = await control.plan()
  expect(plan.problems).toEqual([])
  await control.commit(plan.id)
  await until({ client }, () => control.changes.task === undefined)
  expect(control.changes.history.at(-1)).toMatchObject({ id: plan.id, outcome: 'done' })
  return plan.moves
}

test.each([
  'majority',
  'in-sync',
  'all',
  'none',
] as const)('under "%s" a table grows from three nodes to five and shrinks back, under appends', async ack => {
  await withCluster(
    { seed: 5, tuning: { logEntriesKept: 40, logEntriesMax: 60 }, withinMs: 600_000 },
    async world => {
      const { client, cluster } = world
      await client.createTable('posts', led({ ack }))
      const db = client.table(posts)
      const counts = new Map<string, number>()
      let writing = true
      const writer = (async () => {
        for (let i = 0; writing; i++) {
          const key = `p${i % 20}`
          await db.update(key, [increment('likes')], { timeoutMs: 20_000 })
          counts.set(key, (counts.get(key) ?? 0) + 1)
          await pause(client.clock, 2)
        }
      })()
      const newcomers = [cluster.newcomer('z1'), cluster.newcomer('z2')]
      for (const machine of newcomers) machine.start()
      const { catalog } = cluster.machines[0]!.node!
      await until({ client }, () => catalog.members.members.length === 5)
      expect(await carryOut(world)).toBeGreaterThan(0)
      const held = newcomers.map(({ node }) => node!.trees.rows(catalog.named('posts').descriptor.id))
      expect(Math.max(...held)).toBeGreaterThan(0)
      for (const { id } of newcomers)
        await cluster.machines[0]!.node!.control.stage({ kind: 'leave', node: id })
      await carryOut(world)
      writing = false
      await writer
      for (const machine of newcomers) {
        cluster.retire(machine)
        machine.crash('kill')
      }
      await until({ client }, () => ledDifferences(cluster).length === 0)
      for (const [key, likes] of counts) expect((await db.get(key)).value).toMatchObject({ likes })
    },
  )
}, 60_000)

test('a session reads its writes from any replica, and the reply after the question', async () => {
  await withCluster({ seed: 3 }, async world => {
    const { client } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    let missed = 0
    for (let i = 0; i < 60; i++) {
      await db.put({ id: `p${i}`, likes: i })
      if ((await db.get(`p${i}`, { read: 'any' })).value === undefined) missed++
    }
    // Followers hear of a commit with the next message: without a session the row may not be there yet.
    expect(missed).toBeGreaterThan(0)
    for (let i = 0; i < 60; i++) {
      const session = client.session()
      await db.put({ id: `q${i}`, likes: i }, { session })
      expect((await db.get(`q${i}`, { read: 'session', session })).value?.likes).toBe(i)
      const reader = client.session()
      await db.put({ id: `answer${i}`, likes: i }, { session })
      if ((await db.get(`answer${i}`, { read: 'any', session: reader })).value === undefined) continue
      expect((await db.get(`q${i}`, { read: 'session', session: reader })).value?.likes).toBe(i)
    }
  })
})

test('an unclean election is a plan that says its price; what it cost is in the ledger, and can be had back', async () => {
  await withCluster({ seed: 9 }, async world => {
    const { client, cluster, simulation } = world
    await client.createTable('posts', {
      ...led({ ack: 'none' }),
      partitioning: { kind: 'fixed', partitions: 1 },
    })
    const db = client.table(posts)
    const session = client.session()
    for (let i = 0; i < 10; i++) await db.put({ id: `p${i}`, likes: i }, { session })
    const leader = leaders(world)[0]!.node
    const old = cluster.machine(leader)
    const others = cluster.machines.filter(machine => machine !== old)
    await until(world, () =>
      others.every(({ node }) => node!.leaders.partitions.held()[0]!.seat.end.position === 11),
    )
    // Acknowledged by a leader that nobody hears any more.
    for (const { peer } of others) {
      cluster.network.cut(old.peer, peer)
      cluster.network.cut(peer, old.peer)
    }
    for (let i = 0; i < 5; i++) await db.put({ id: `lost${i}`, likes: i }, { session })
    let resume = ''
    for await (const event of db.changes({ from: 'start', untilNow: true })) resume = event.resume
    old.crash('power cut')
    await pause(client.clock, 2_000)
    const { unclean } = others[0]!.node!.leaders
    const plan = await unclean.plan('posts')
    expect(plan.items).toHaveLength(1)
    expect(plan.items[0]).toMatchObject({
      before: leader,
      loss: { after: { epoch: 1, position: 11 }, onlyOn: [leader] },
    })
    await expect(unclean.commit('posts', 'u-000000000000')).rejects.toMatchObject({ code: 'CONFLICT' })
    await unclean.commit('posts', plan.id)
    await db.put({ id: 'after', likes: 1 })
    expect((await db.get('lost0')).value).toBeUndefined()
    await expect(db.get('p0', { session })).rejects.toMatchObject({ code: 'SESSION_ROLLED_BACK' })
    const { value: event } = await db.changes({ from: resume }).next()
    expect(event).toMatchObject({ kind: 'truncated', position: '1/11' })
    cluster.network.healAll()
    old.start()
    await until(world, () => old.node !== undefined && ledDifferences(cluster).length === 0)
    const ledger = [...old.node!.context.ledger.list(undefined, 0 as never, 100)]
    expect(ledger.map(({ reason }) => reason)).toEqual(Array(5).fill('cut-possibly-acknowledged'))
    const { id } = ledger[0]!
    await until(world, () => old.node!.time.heardPeers > 0)
    const { context, leaders: parts } = old.node!
    const logSince = parts.logSince.bind(parts)
    expect((await restoreEntry(context, id, { logSince })).repeated).toBe(false)
    expect((await db.get('lost0')).value).toEqual({ id: 'lost0', likes: 0 })
    await expect(restoreEntry(context, id, { logSince })).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(unclean.commit('posts', plan.id)).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(simulation.failure).toBeUndefined()
  })
})

test('the feed tells every change once, in order, over a change of leader', async () => {
  await withCluster({ seed: 4 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', { ...led(), partitioning: { kind: 'fixed', partitions: 2 } })
    const db = client.table(posts)
    await db.put({ id: 'before', likes: 0 })
    const seen = new Map<string, number[]>()
    let resume = ''
    let done = false
    const read = async (from: string, count: number): Promise<void> => {
      for await (const event of db.changes({ from })) {
        expect(event.kind).toBe('change')
        if (event.kind !== 'change') return
        const { id, likes } = event.after!
        seen.set(id, [...(seen.get(id) ?? []), likes])
        expect(event.before?.likes ?? 0).toBe(likes - 1)
        resume = event.resume
        if ([...seen.values()].flat().length === count) return
      }
    }
    const first = read('now', 30)
    await pause(client.clock, 100)
    const writing = (async () => {
      for (let i = 0; i < 60; i++) {
        await db.update(`p${i % 4}`, [increment('likes')], { timeoutMs: 20_000 })
        if (i === 20) cluster.machine(leaders(world)[0]!.node).crash('power cut')
      }
      done = true
    })()
    await first
    await read(resume, 60)
    await writing
    expect(done).toBe(true)
    for (const likes of seen.values()) expect(likes).toEqual(Array.from({ length: 15 }, (_, i) => i + 1))
    const all: string[] = []
    for await (const event of db.changes({ from: 'start', untilNow: true }))
      if (event.kind === 'change') all.push(String(event.key[0]))
    expect(all).toHaveLength(61)
    await expect(db.changes({ from: 'nonsense' }).next()).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await client.createTable('plain', { key: 'id' })
    const plain = client.table(table<Post>('plain', { key: 'id' }))
    await expect(plain.changes().next()).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})

test('a log is kept for a reader with a name, and for no other; its place survives its process', async () => {
  const tuning = { lateWriteMs: 1_000, logKeptMs: 5_000, logEntriesKept: 20 }
  await withCluster({ seed: 12, tuning }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', { ...led(), partitioning: { kind: 'fixed', partitions: 1 } })
    const db = client.table(posts)
    const read = async (options: ChangesOptions): Promise<number[]> => {
      const seen: number[] = []
      for await (const event of db.changes(options))
        if (event.kind === 'change') seen.push(event.after!.likes)
      return seen
    }
    const add = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await db.update('p', [increment('likes')], { timeoutMs: 20_000 })
    }
    const logs = () =>
      cluster.machines.map(({ node }) => node!.leaders.partitions.held()[0]!.seat.replica.log)
    await add(10)
    const reader = 'indexer'
    expect(await read({ reader, from: 'start', limit: 4 })).toEqual([1, 2, 3, 4])
    await add(60)
    await pause(client.clock, 60_000)
    // Long past what is kept by age and number: kept for the reader, on each replica.
    for (const log of logs()) expect(log.first).toBeLessThanOrEqual(6)
    cluster.machine(leaders(world)[0]!.node).crash('power cut')
    const rest = Array.from({ length: 66 }, (_, i) => i + 5)
    expect(await read({ reader, untilNow: true })).toEqual(rest)
    expect(await read({ reader, untilNow: true })).toEqual([])
    expect(await db.changesReaders()).toMatchObject([
      { name: reader, resume: expect.stringMatching(/^\d+@0:/) },
    ])
    for (const machine of cluster.machines) if (machine.node === undefined) machine.start()
    await until(world, () => cluster.machines.every(({ node }) => node !== undefined))
    await until(world, () => logs().every(log => log.first > 40))
    await expect(read({ from: 'start', untilNow: true })).rejects.toMatchObject({ code: 'FEED_GONE' })
    expect(await db.forgetChangesReader(reader)).toBe(true)
    expect(await db.forgetChangesReader(reader)).toBe(false)
    const [other] = (await db.changesReaders()) ?? []
    expect(other).toBeUndefined()
    await expect(read({ from: '99@0:1/1' })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(read({ reader: 'x'.repeat(65) })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})

test('a log that grew too many bytes is cut although a reader lacks them; the reader learns of it', async () => {
  const tuning = { lateWriteMs: 1_000, logKeptMs: 600_000, logEntriesKept: 5, logBytesMax: 20_000 }
  await withCluster({ seed: 13, tuning }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', { ...led(), partitioning: { kind: 'fixed', partitions: 1 } })
    const db = client.table(posts)
    const text = 'x'.repeat(500)
    const read = async (): Promise<void> => {
      for await (const _ of db.changes({ reader: 'slow', from: 'start', limit: 1 }));
    }
    await db.put({ id: 'p', likes: 0, text })
    await read()
    for (let i = 1; i < 100; i++) await db.put({ id: 'p', likes: i, text })
    await until(world, () =>
      cluster.machines.every(({ node }) => {
        const { log } = node!.leaders.partitions.held()[0]!.seat.replica
        return log.bytes <= 20_000 && log.bytes > 10_000
      }),
    )
    await expect(read()).rejects.toMatchObject({ code: 'FEED_GONE' })
  })
})

test('a physical log of another store format is refused with the reason, before any of it is taken', async () => {
  await withCluster({ seed: 15 }, async world => {
    const { client, cluster } = world
    const one = { partitioning: { kind: 'fixed', partitions: 1 } }
    await client.createTable('posts', { ...led({ log: 'physical' }), ...one })
    await client.createTable('others', { ...led({ log: 'logical' }), ...one })
    await client.table(posts).put({ id: 'p', likes: 1 })
    await until(world, () => leaders(world).length === 2)
    const sent = async (name: string) => {
      const { descriptor, map } = cluster.machines[0]!.node!.catalog.named(name)
      const { leader, epoch } = map.partitions[0]!.lead!
      const from = cluster.machine(leader!)
      const follower = cluster.machines.find(machine => machine !== from)!
      const { log } = follower.node!.leaders.partitions.find(descriptor.id, 0)!.seat.replica
      const { end } = log
      const request = {
        table: descriptor.id as number,
        partition: 0,
        epoch,
        before: end,
        committed: 0,
        entries: [],
      }
      const told = {
        last: end.position,
        mapVersion: 1,
        everywhere: 0,
        asOf: 0 as Stamp,
        unclean: 0,
        storeFormat: 99,
      }
      const { rpc } = from.node!.context
      return rpc.request(follower.peer, logAppendMessage, { ...request, ...told }, 1_000)
    }
    await expect(sent('posts')).rejects.toMatchObject({
      code: 'PROTOCOL_VERSION',
      message: expect.stringContaining('of format 99'),
    })
    expect((await sent('others')).matched).toBeGreaterThan(0)
  })
})

test('"one" in another zone waits for that zone while it answers, and not when it is gone', async () => {
  // n1 and n3 are in one zone, n2 in another, which is far away.
  await withCluster({ seed: 6, nodes: 3, zones: 2 }, async world => {
    const { client, cluster } = world
    const one = { partitioning: { kind: 'fixed', partitions: 1 } }
    await client.createTable('posts', { ...led({ ack: 'one', otherZone: true }), ...one })
    await client.createTable('near', { ...led({ ack: 'one' }), ...one })
    const near = client.table(table<Post>('near', { key: 'id' }))
    const far = client.table(posts)
    const [n1, n2] = [cluster.machine('n1'), cluster.machine('n2')]
    await until(world, () => leaders(world).filter(({ node }) => node === 'n1').length === 2)
    const took = async (db: typeof far): Promise<number> => {
      const begunMs = client.clock.monotonicMs()
      await db.put({ id: 'p', likes: 1 })
      return client.clock.monotonicMs() - begunMs
    }
    await took(far)
    await took(near)
    cluster.network.slow(n1.peer, n2.peer, 100)
    expect(await took(near)).toBeLessThan(60)
    expect(await took(far)).toBeGreaterThan(100)
    n2.crash('power cut')
    await pause(client.clock, 3_000)
    expect(await took(far)).toBeLessThan(60)
  })
})
