/** Tables with leaders when disks are full or hang, registers answer late, rows and logs grow: work goes on, and nothing is told that is not so. */

import { equal, increment, set, table } from '@quorate/client/pure'
import { isQuorateError, type NodeId, pause, restoreEntry, type Stamp } from '@quorate/core'
import { expect, test } from 'vitest'
import { ledDifferences } from './checkers/logs.ts'
import { cutBothWays, led, nextLeader, posts, sealed, seatOf, settledLeader } from './testing/led-world.ts'
import { until, type World, withCluster } from './testing/live-cluster.ts'
import type { SimMachine } from './world/sim-machine.ts'

const outcomeOf = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error)

function hang({ disk, table: stored }: SimMachine): void {
  disk.slowness = 1e9
  stored.slowness = 1e9
}

/** Another client, which knows the table. */
async function secondClient({ cluster }: World) {
  const { client } = cluster.newClient('c2')
  await client.ready({ timeoutMs: 20_000 })
  await client.table(posts).get('p')
  return client
}

/** The leader and the second client reach each other and nobody else. */
function divide(world: World, leader: SimMachine, rest: readonly SimMachine[]): void {
  for (const other of rest) {
    cutBothWays(world, leader.peer, other.peer)
    cutBothWays(world, 'c2', other.peer)
  }
  cutBothWays(world, 'c1', leader.peer)
}

test('a refusal that is asked for again is told when it is committed, and not before', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [old, ...rest] = await settledLeader(world)
    const other = await secondClient(world)
    divide(world, old, rest)
    // With an operation of the caller's: an earlier try of it may be on its way.
    const options = { if: equal('n', 7), operation: other.newOperation(), timeoutMs: 400 }
    const steps = [set('x', 'applied')]
    const second = outcomeOf(other.table(posts).update('p', steps, options))
    await pause(client.clock, 150)
    const third = await outcomeOf(other.table(posts).update('p', steps, options))
    await second
    await nextLeader(world, rest)
    await db.put({ id: 'p', n: 7 }, { timeoutMs: 5_000 })
    const first = await db.update('p', steps, { ...options, timeoutMs: 5_000 })
    expect(first.applied).toBe(true)
    expect(isQuorateError(third) && third.outcome).toBe('unknown')
  })
})

test('a row that sessions change stays open to sessions: what it is caused by is settled', async () => {
  const notes = table<{ readonly id: string; readonly n: number }>('notes', { key: 'id' })
  await withCluster({ seed: 5 }, async world => {
    const { client } = world
    await client.createTable('posts', led())
    await client.createTable('notes', { key: 'id', replication: { n: 3, r: 2, w: 2 } })
    await sealed(world)
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    for (let i = 0; i < 300; i++) {
      const session = client.session()
      await client.table(notes).put({ id: `user-${i}`, n: i }, { session })
      await db.update('p', [increment('n')], { session })
    }
    expect((await db.get('p')).value!.n).toBe(300)
  })
})

test('a replica is filled while writes go on and the log is at its bounds', async () => {
  const tuning = { lateWriteMs: 1_000, logKeptMs: 1_000, logEntriesKept: 100, logEntriesMax: 3_000 }
  await withCluster({ seed: 5, tuning }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    const x = 'x'.repeat(2_000)
    const fifty = Array.from({ length: 50 }, (_, at) => at)
    for (let i = 0; i < 2_000; i += 50)
      await Promise.all(fifty.map(at => db.put({ id: `r${i + at}`, n: 0, x })))
    const [leader, follower] = await settledLeader(world)
    follower!.crash('kill')
    for (let i = 0; i < 4_000; i += 50) await Promise.all(fifty.map(at => db.put({ id: `s${at}`, n: i })))
    const log = () => seatOf(leader).replica.log
    await until(world, () => log().first > 2_100)
    let isWriting = true
    const write = async (): Promise<void> => {
      for (let i = 0; isWriting; i++) {
        await Promise.all([1, 2, 3, 4].map(at => db.put({ id: `s${at}`, n: i }, { timeoutMs: 20_000 })))
        await pause(client.clock, 10)
      }
    }
    const writing = write()
    // A filling takes seconds, in which the log would be cut.
    cluster.network.slow(leader.peer, follower!.peer, 300)
    follower!.start()
    let [fillings, was] = [0, false]
    await until(
      world,
      () => {
        const seat = follower!.node?.leaders.partitions.held()[0]?.seat
        if (seat === undefined) return false
        if (seat.replica.isLoading && !was) fillings++
        was = seat.replica.isLoading
        return fillings > 0 && seat.isReadable && seat.replica.carriedOut > log().shape.last - 200
      },
      60_000,
      10,
    )
    isWriting = false
    await writing
    expect(fillings).toBeLessThan(3)
  })
})

test.each([
  1, 2, 3, 4,
])('followers whose disks are full keep promising: reads go on (seed %i)', async seed => {
  await withCluster({ seed }, async world => {
    const { client } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [, ...rest] = await settledLeader(world)
    let isWriting = true
    const writers = Array.from({ length: 8 }, async (_, at) => {
      for (let i = 0; isWriting; i++)
        await outcomeOf(db.put({ id: `w${at}`, n: i, x: 'x'.repeat(300) }, { timeoutMs: 1_000 }))
    })
    await pause(client.clock, 500)
    for (const { disk } of rest) disk.setCapacity(disk.usedBytes)
    await pause(client.clock, 3_000)
    isWriting = false
    await Promise.all(writers)
    for (let i = 0; i < 10; i++) {
      expect((await db.get('p', { timeoutMs: 2_000 })).value).toEqual({ id: 'p', n: 0 })
      await pause(client.clock, 500)
    }
  })
})

test.each(['deleted', 'raced'])('a put is not restored over what came after it (%s)', async kind => {
  await withCluster({ seed: 5 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [old, ...rest] = await settledLeader(world)
    const other = await secondClient(world)
    divide(world, old, rest)
    await outcomeOf(other.table(posts).put({ id: 'p', n: 1 }, { timeoutMs: 300 }))
    old.crash('kill')
    await nextLeader(world, rest)
    if (kind === 'deleted') {
      await db.put({ id: 'p', n: 2 }, { timeoutMs: 5_000 })
      await db.delete('p')
    }
    cluster.network.healAll()
    old.start()
    await until(world, () => old.node !== undefined && ledDifferences(cluster).length === 0)
    await until(world, () => old.node!.time.heardPeers > 0)
    const { context, leaders } = old.node!
    const [entry] = [...context.ledger.list(undefined, 0 as Stamp, 100)]
    const logSince = leaders.logSince.bind(leaders)
    const restore = (force = false): Promise<unknown> => restoreEntry(context, entry!.id, { logSince, force })
    if (kind === 'raced') {
      // Written between the look at the row and the write.
      const { rpc } = context
      const request = rpc.request.bind(rpc)
      rpc.request = async (peer, message, given, timeoutMs) => {
        const reply = await request(peer, message, given, timeoutMs)
        if (message.name !== 'read') return reply
        rpc.request = request
        await db.put({ id: 'p', n: 3 }, { timeoutMs: 5_000 })
        return reply
      }
    }
    await expect(restore()).rejects.toMatchObject({ code: 'CONFLICT' })
    expect((await db.get('p')).value).toEqual(kind === 'deleted' ? undefined : { id: 'p', n: 3 })
    // Asked for with these words, it is done.
    await restore(true)
    expect((await db.get('p')).value).toEqual({ id: 'p', n: 1 })
  })
})

test('a member that was asked into the set in vain, and hangs, does not stop writes', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client } = world
    await client.createTable('posts', led({ ack: 'in-sync', minInSync: 2 }))
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [leader, follower] = await settledLeader(world)
    follower!.crash('kill')
    await db.put({ id: 'p', n: 1 }, { timeoutMs: 60_000 })
    await until(world, () => seatOf(leader).leading!.members.registered.length === 2)
    const { registers } = leader.node!.coordination
    const change = registers.change.bind(registers)
    let asked = 0
    registers.change = async (key, fn, operation, options) => {
      if (!key.startsWith('map/')) return change(key, fn, operation, options)
      asked++
      return { kind: 'unknown', reason: 'no quorum answered' } as never
    }
    follower!.start()
    await until(world, () => asked > 0, 60_000, 1)
    hang(follower!)
    await pause(client.clock, 12_000)
    registers.change = change
    await pause(client.clock, 48_000)
    await db.put({ id: 'p', n: 2 }, { timeoutMs: 30_000 })
  })
})

test('with fewer replicas in sync than asked for, writes are refused with the reason, and reads go on', async () => {
  await withCluster({ seed: 6 }, async world => {
    const { client } = world
    await client.createTable('posts', led({ ack: 'in-sync', minInSync: 3 }))
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [leader, follower] = await settledLeader(world)
    const { epoch } = seatOf(leader).leading!
    follower!.crash('kill')
    await until(world, () => seatOf(leader).leading?.members.registered.length === 2)
    await expect(db.put({ id: 'p', n: 1 }, { timeoutMs: 3_000 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^2 replicas are in sync .* asks for 3/),
    })
    for (let i = 0; i < 10; i++) {
      expect((await db.get('p')).value).toEqual({ id: 'p', n: 0 })
      await pause(client.clock, 1_000)
    }
    expect(seatOf(leader).leading!.epoch).toBe(epoch)
    follower!.start()
    await db.put({ id: 'p', n: 2 }, { timeoutMs: 60_000 })
  })
})

test('a log of few large entries is bounded in bytes, too', async () => {
  const tuning = { lateWriteMs: 1_000, logKeptMs: 1_000, logEntriesKept: 1_000, logBytesMax: 100_000 }
  await withCluster({ seed: 5, tuning }, async ({ client, cluster }) => {
    await client.createTable('posts', led())
    const db = client.table(posts)
    for (let i = 0; i < 300; i++) await db.put({ id: 'p', n: i, x: 'x'.repeat(10_000) })
    await pause(client.clock, 60_000)
    const bytes = cluster.machines.map(machine => seatOf(machine).replica.log.bytes)
    expect(Math.max(...bytes)).toBeLessThan(200_000)
  })
})

test.each(['dead', 'stuck'])('writes go on when the disk of the only other zone is %s', async kind => {
  await withCluster({ seed: 5, zones: 2 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led({ ack: 'one', otherZone: true }))
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [leader] = await settledLeader(world)
    const zoneOf = ({ id }: SimMachine) => leader.node!.catalog.member(id as string as NodeId)!.zone
    const isAlone = (one: SimMachine): boolean =>
      cluster.machines.every(other => other === one || zoneOf(other) !== zoneOf(one))
    const other = cluster.machines.find(isAlone)!
    if (leader === other) {
      const held = leader.node!.leaders.partitions.held()[0]!
      const heir = cluster.machines.find(machine => machine !== other)!
      await leader.node!.leaders.handOver.run(held, held.seat.leading!, heir.id as string as NodeId)
      await until(world, () => seatOf(heir).leading?.isServing === true)
    }
    await db.put({ id: 'p', n: 1 })
    if (kind === 'dead') other.crash('kill')
    else hang(other)
    await pause(client.clock, 20_000)
    await db.put({ id: 'p', n: 2 }, { timeoutMs: 30_000 })
  })
})

test('the place of a reader with a name is kept while nothing more comes', async () => {
  await withCluster({ seed: 7 }, async ({ client, cluster }) => {
    await client.createTable('posts', led())
    const db = client.table(posts)
    for (let i = 0; i < 20; i++) await db.put({ id: `p${i}`, n: i })
    const { client: reading } = cluster.newClient('c2')
    await reading.ready()
    const changes = reading.table(posts).changes({ from: 'start', reader: 'index' })
    for (let i = 0; i < 20; i++) await changes.next()
    // It asks for more, waits, and dies.
    void changes.next().catch(() => {})
    await pause(client.clock, 3_000)
    const again = client.table(posts).changes({ reader: 'index', untilNow: true })
    expect((await again.next()).done).toBe(true)
  })
})

test('a feed waits for as long as nothing happens, and asks no node in vain meanwhile', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    // An answer takes its time to come back.
    for (const { peer } of world.cluster.machines) world.cluster.network.slow(peer, 'c1', 20)
    const seen: string[] = []
    const following = (async () => {
      for await (const event of db.changes({ from: 'start' })) {
        if (event.kind === 'change') seen.push(String(event.key[0]))
        if (seen.length === 2) return
      }
    })()
    await pause(client.clock, 60_000)
    const began = client.clock.monotonicMs()
    await db.put({ id: 'q', n: 1 })
    await following
    expect(seen).toEqual(['p', 'q'])
    expect(client.clock.monotonicMs() - began).toBeLessThan(1_000)
  })
})
