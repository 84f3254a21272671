/** Leaders that are none any more, and writes that come late or twice: what each may say, and must not. */

import { equal, increment, set } from '@quorate/client/pure'
import {
  isQuorateError,
  type NodeId,
  pause,
  peekSession,
  restoreEntry,
  type Stamp,
  sealSession,
} from '@quorate/core'
import { expect, test } from 'vitest'
import { ledDifferences } from './checkers/logs.ts'
import {
  clientOf,
  cutBothWays,
  isolate,
  led,
  nextLeader,
  posts,
  sealed,
  seatOf,
  settledLeader,
} from './testing/led-world.ts'
import { until, withCluster } from './testing/live-cluster.ts'

/** The error that a call ends with, or what it gave. */
const outcomeOf = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error)

test.each([1, 2, 3])('a follower of a deposed leader does not say that it is fresh (seed %i)', async seed => {
  await withCluster({ seed, nodes: 5 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led({ n: 5 }))
    const db = client.table(posts)
    await db.put({ id: 'p', n: 1 })
    const [leader, follower, ...rest] = await settledLeader(world)
    for (const one of [leader, follower!]) {
      for (const other of rest) cutBothWays(world, one.peer, other.peer)
      cutBothWays(world, 'c1', one.peer)
    }
    await nextLeader(world, rest)
    await db.put({ id: 'p', n: 2 }, { timeoutMs: 5_000 })
    const acknowledgedMs = client.clock.monotonicMs()
    for (let i = 0; i < 60; i++) {
      await pause(client.clock, 50)
      const lacks = client.clock.monotonicMs() - acknowledgedMs
      expect(seatOf(follower!).staleMs()).toBeGreaterThan(lacks - 50)
    }
    cluster.network.healAll()
  })
})

test('a deposed leader judges no update by its row', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'p', n: 'text' })
    const [old, ...rest] = await settledLeader(world)
    const other = await clientOf(world, old)
    isolate(world, old)
    other.confine()
    await nextLeader(world, rest)
    await db.put({ id: 'p', n: 1 }, { timeoutMs: 5_000 })
    // By the row of the deposed leader n is a text, and cannot be incremented.
    const error = await outcomeOf(other.db.update('p', [increment('n')], { timeoutMs: 1_000 }))
    expect(isQuorateError(error) && error.code).not.toBe('BAD_REQUEST')
    expect(isQuorateError(error)).toBe(true)
  })
})

test('a leader that hands over answers nothing while another may lead', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'p', n: 1 })
    const [old, heir, third] = await settledLeader(world)
    const other = await clientOf(world, old)
    const { registers } = old.node!.coordination
    const change = registers.change.bind(registers)
    let isDecided = false
    registers.change = async (key, fn, operation, options) => {
      if (!key.startsWith('map/')) return change(key, fn, operation, options)
      const outcome = await heir!.node!.coordination.registers.change(key, fn, operation, options)
      isDecided = true
      for (const machine of [heir!, third!]) cutBothWays(world, old.peer, machine.peer)
      cutBothWays(world, 'c1', old.peer)
      other.confine()
      // The replies of the acceptors come late.
      await pause(client.clock, 1_000)
      return outcome
    }
    const held = old.node!.leaders.partitions.held()[0]!
    const over = outcomeOf(
      old.node!.leaders.handOver.run(held, held.seat.leading!, heir!.id as string as NodeId),
    )
    await until(world, () => isDecided && seatOf(heir!).leading?.isServing === true, 10_000, 1)
    await db.put({ id: 'p', n: 2 }, { timeoutMs: 5_000 })
    const told = await outcomeOf(
      other.db.update('p', [set('x', 'late')], { if: equal('n', 2), timeoutMs: 200 }),
    )
    expect(isQuorateError(told)).toBe(true)
    await over
    cluster.network.healAll()
  })
})

test.each([
  'statement',
  'logical',
] as const)('a write of the %s log that was cut, tried again and done is not restored on top', async log => {
  await withCluster({ seed: 5 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led({ log }))
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [old, ...rest] = await settledLeader(world)
    for (const other of rest) cutBothWays(world, old.peer, other.peer)
    const writing = db.update('p', [increment('n')], { timeoutMs: 60_000 })
    await pause(client.clock, 300)
    old.crash('kill')
    expect((await writing).applied).toBe(true)
    if (log === 'logical') await db.update('p', [increment('n', 10)])
    const before = (await db.get('p')).value
    cluster.network.healAll()
    old.start()
    await until(world, () => old.node !== undefined && ledDifferences(cluster).length === 0)
    await until(world, () => old.node!.time.heardPeers > 0)
    const { context, leaders } = old.node!
    const [entry] = [...context.ledger.list(undefined, 0 as Stamp, 100)]
    const logSince = leaders.logSince.bind(leaders)
    await expect(restoreEntry(context, entry!.id, { logSince })).rejects.toMatchObject({ code: 'CONFLICT' })
    expect((await db.get('p')).value).toEqual(before)
    // By force neither: the log has the operation, and nothing is done twice.
    await expect(restoreEntry(context, entry!.id, { logSince, force: true })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    expect((await db.get('p')).value).toEqual(before)
  })
})

test('a session that is full is refused before anything is ordered, and harms nobody', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client, simulation } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [leader] = await settledLeader(world)
    await sealed(world)
    const known = Array.from({ length: 1024 }, (_, partition) => ({
      table: 999,
      partition,
      epoch: 1,
      position: 1,
    }))
    const seal = leader.node!.context.sealOfSessions()
    const session = client.session(sealSession({ led: known, rows: [], settled: [] }, seal))
    const others = [db.put({ id: 'p', n: 1 }), ...[1, 2, 3].map(i => db.put({ id: `q${i}`, n: 1 }))]
    const full = db.update('p', [set('x', 'no')], { if: equal('n', 7), session, timeoutMs: 3_000 })
    await expect(full).rejects.toMatchObject({ code: 'SESSION_FULL', outcome: 'not-applied' })
    await Promise.all(others)
    expect(simulation.failure).toBeUndefined()
  })
})

test('a deposed leader tells no session that its log was rolled back', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await sealed(world)
    const session = client.session()
    await db.put({ id: 'p', n: 0 }, { session })
    const [old, ...rest] = await settledLeader(world)
    const other = await clientOf(world, old)
    isolate(world, old)
    other.confine()
    await nextLeader(world, rest)
    await db.put({ id: 'p', n: 1 }, { timeoutMs: 5_000, session })
    const own = other.client.session(session.token)
    const error = await outcomeOf(other.db.put({ id: 'p', n: 2 }, { timeoutMs: 1_000, session: own }))
    expect(isQuorateError(error) && error.code).not.toBe('SESSION_ROLLED_BACK')
    expect(isQuorateError(error)).toBe(true)
  })
})

test('a replica that lost its store and its fence goes by the epoch of its map', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led())
    await client.table(posts).put({ id: 'p', n: 0 })
    const [old, ...rest] = await settledLeader(world)
    for (const other of rest) cutBothWays(world, old.peer, other.peer)
    await nextLeader(world, rest)
    const emptied = rest.find(machine => seatOf(machine).leading === undefined)!
    emptied.crash('kill')
    emptied.wipe()
    emptied.start()
    cluster.network.healAll()
    const knows = (): boolean => (emptied.node?.leaders.partitions.held()[0]?.seat.lead?.epoch ?? 0) >= 2
    await until(world, knows, 20_000, 1)
    const told = { last: 3, mapVersion: 1, everywhere: 0, asOf: 0 as Stamp, unclean: 0, storeFormat: 1 }
    const before = { epoch: 0, position: 0 }
    const append = () =>
      seatOf(emptied).append(old.id as string as NodeId, { epoch: 1, before, committed: 0, ...told }, [])
    expect(append).toThrow(/epoch 1 leads no more/)
    cluster.network.healAll()
  })
})

test('a feed up to now has what was acknowledged before, though the leader is out of reach', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'first', n: 0 })
    const [leader] = await settledLeader(world)
    cutBothWays(world, 'c1', leader.peer)
    let from = 'start'
    for (let i = 0; i < 20; i++) {
      const { receipt } = await db.put({ id: `p${i}`, n: i })
      let last = ''
      for await (const event of db.changes({ from, untilNow: true })) {
        from = event.resume
        last = event.position
      }
      expect(last).toBe(`${receipt.log!.epoch}/${receipt.log!.position}`)
    }
  })
})

test('a condition that was refused stays refused: no try of it that comes late is applied', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led())
    const db = client.table(posts)
    await db.put({ id: 'p', n: 0 })
    const [leader] = await settledLeader(world)
    const { client: slow } = cluster.newClient('c2')
    await slow.ready({ timeoutMs: 20_000 })
    await slow.table(posts).get('p')
    cluster.network.slow('c2' as never, leader.peer, 8_000)
    const update = slow
      .table(posts)
      .update('p', [set('x', 'applied')], { if: equal('n', 7), timeoutMs: 5_000 })
    expect(await update).toMatchObject({ applied: false, current: { id: 'p', n: 0 } })
    await db.put({ id: 'p', n: 7 })
    // Its first try reaches the leader, and the condition holds by now.
    await pause(client.clock, 12_000)
    expect((await db.get('p')).value).toEqual({ id: 'p', n: 7 })
  })
})

test('load alone changes no leader: slow disks, and more writes than they take', async () => {
  await withCluster({ seed: 9 }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led({}, 4))
    const db = client.table(posts)
    await settledLeader(world)
    for (const { disk, table } of cluster.machines) {
      disk.slowness = 2_500
      table.slowness = 2_500
    }
    const text = 'x'.repeat(500)
    const until1Ms = client.clock.monotonicMs() + 20_000
    let [done, refused] = [0, 0]
    const writers = Array.from({ length: 40 }, async (_, writer) => {
      for (let i = 0; client.clock.monotonicMs() < until1Ms; i++)
        await db.put({ id: `p${writer}`, n: i, x: text }, { timeoutMs: 10_000 }).then(
          () => void done++,
          () => void refused++,
        )
    })
    await Promise.all(writers)
    expect(done).toBeGreaterThan(10)
    for (const { node } of cluster.machines) {
      expect(node!.counters.elections).toBe(0)
      for (const { lead } of node!.catalog.named('posts').map.partitions) expect(lead!.epoch).toBe(1)
    }
  })
})

test('failovers in a series wait longer each time, and an operator is asked', async () => {
  await withCluster({ seed: 10 }, async world => {
    const { client, cluster, simulation } = world
    const told: string[] = []
    const tell = simulation.tell.bind(simulation)
    simulation.tell = (line: string): void => {
      told.push(line)
      tell(line)
    }
    await client.createTable('posts', led())
    const db = client.table(posts)
    const tookMs: number[] = []
    for (let i = 0; i < 6; i++) {
      const [leader] = await settledLeader(world)
      const begunMs = client.clock.monotonicMs()
      isolate(world, leader)
      await db.put({ id: 'p', n: i }, { timeoutMs: 60_000 })
      tookMs.push(client.clock.monotonicMs() - begunMs)
      cluster.network.healAll()
    }
    expect(told.some(line => line.includes('trouble') && line.includes('has changed its leader'))).toBe(true)
    expect(tookMs.at(-1)!).toBeGreaterThan(2 * tookMs[0]!)
  })
})

test('a row that is made of what it was inherits what that was caused by', async () => {
  await withCluster({ seed: 11 }, async world => {
    const { client } = world
    await client.createTable('posts', led({}, 8))
    await sealed(world)
    const db = client.table(posts)
    const asking = client.session()
    const { receipt } = await db.put({ id: 'question', n: 1 }, { session: asking })
    await db.put({ id: 'answer', n: 1 }, { session: asking })
    // One who knows of no question, and one without a session, add to the answer.
    await db.update('answer', [increment('n')], { session: client.session() })
    await db.update('answer', [increment('n')])
    const reading = client.session()
    expect((await db.get('answer', { session: reading })).value?.n).toBe(3)
    const { epoch, position } = receipt.log!
    const known = peekSession(reading.bytes).led
    expect(known).toContainEqual(expect.objectContaining({ epoch, position }))
    // What is overwritten is no part of what is there.
    await db.put({ id: 'answer', n: 9 })
    const later = client.session()
    await db.get('answer', { session: later })
    expect(peekSession(later.bytes).led).toHaveLength(1)
  })
})

test('a refusal names the entry that the row is as of, and not an older one', async () => {
  await withCluster({ seed: 12 }, async ({ client }) => {
    await client.createTable('posts', led())
    const db = client.table(posts)
    const put = await db.put({ id: 'p', n: 1 })
    const refused = await db.update('p', [increment('n')], { if: equal('n', 2) })
    expect(refused.applied).toBe(false)
    expect(refused.receipt.log!.position).toBeGreaterThanOrEqual(put.receipt.log!.position)
    expect(refused.receipt.guarantee).toMatch(
      /^nothing was changed: the leader n\d judged the row as of entry/,
    )
  })
})

test('what a dead leader keeps from being done names partition and leader, not the nodes that were asked', async () => {
  await withCluster({ seed: 13 }, async world => {
    const { client } = world
    // Of what the leader alone has nobody else leads by itself.
    await client.createTable('posts', led({ ack: 'none' }))
    const db = client.table(posts)
    await db.put({ id: 'p', n: 1 })
    const [leader] = await settledLeader(world)
    leader.crash('kill')
    for (const call of [
      () => db.get('p', { timeoutMs: 3_000 }),
      () => db.put({ id: 'p', n: 2 }, { timeoutMs: 3_000 }),
    ])
      await expect(call()).rejects.toMatchObject({
        code: 'NOT_LEADER',
        message: expect.stringMatching(new RegExp(`^partition 0 of "posts": ${leader.id}, which leads it`)),
      })
  })
})
