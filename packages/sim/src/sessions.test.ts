/** Sessions of leaderless tables at r = 1, w = 1, where nothing is promised by itself: what they keep, and what not. */

import {
  type QuorateClient,
  type Session,
  sessionCookie,
  sessionFromRequest,
  table,
} from '@quorate/client/pure'
import { limits, pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { collect, type World, withCluster } from './testing/live-cluster.ts'

interface Row {
  k: string
  v: number
}

const weak = { n: 3, r: 1, w: 1 } as const
const lww = { key: 'k', replication: weak, conflict: { kind: 'lww' } } as const
const rows = table<Row>('rows', { key: 'k' })

/** Frames overtake each other between different nodes, as they do where some are far away. */
const spread = ({ cluster }: World): void => {
  Object.assign(cluster.network.conditions, { tailChance: 0.4, tailMs: 60 })
}

const sum = (world: World, counter: 'sessionRowsSettled' | 'sessionReadsWidened'): number =>
  world.cluster.machines.reduce((total, { node }) => total + (node?.counters[counter] ?? 0), 0)

/** How often a read did not show the write before it, of `times`. */
async function lostReads(client: QuorateClient, times: number, session?: Session): Promise<number> {
  let lost = 0
  const handle = client.table(rows)
  for (let v = 1; v <= times; v++) {
    const k = `k${v % 5}`
    await handle.put({ k, v }, { session })
    const { value } = await handle.get(k, { session })
    if (value?.v !== v) lost++
  }
  return lost
}

test('without a session a read misses the write before it; in one it never does', async () => {
  await withCluster({ seed: 4 }, async world => {
    const { client } = world
    await client.createTable('rows', lww)
    spread(world)
    expect(await lostReads(client, 100)).toBeGreaterThan(10)
    expect(await lostReads(client, 100, client.session())).toBe(0)
    expect(sum(world, 'sessionReadsWidened')).toBeGreaterThan(10)
  })
}, 60_000)

/** How often an answer was shown whose question was not, by a reader who asks for the answer first. */
async function answersFirst({ client, cluster }: World, inSession: boolean): Promise<number> {
  const [asks, answers, looks] = ['asks', 'answers', 'looks'].map(
    name => cluster.newClient(name + inSession).client,
  )
  const table = (of: QuorateClient | undefined) => of!.table(rows)
  let wrong = 0
  for (let v = 1; v <= 60; v++) {
    const session = () => (inSession ? client.session() : undefined)
    await table(asks).put({ k: `question${inSession}`, v }, { session: session() })
    const second = session()
    let found = await table(answers).get(`question${inSession}`, { session: second })
    while (found.value?.v !== v) {
      await pause(client.clock, 1)
      found = await table(answers).get(`question${inSession}`, { session: second })
    }
    await table(answers).put({ k: `answer${inSession}`, v }, { session: second })
    const third = session()
    const answer = await table(looks).get(`answer${inSession}`, { session: third })
    const question = await table(looks).get(`question${inSession}`, { session: third })
    if ((answer.value?.v ?? 0) > (question.value?.v ?? 0)) wrong++
  }
  return wrong
}

test('without sessions an answer is seen before its question; in sessions, of three different clients, never', async () => {
  await withCluster({ seed: 2 }, async world => {
    await world.client.createTable('rows', lww)
    spread(world)
    expect(await answersFirst(world, false)).toBeGreaterThan(0)
    expect(await answersFirst(world, true)).toBe(0)
  })
}, 60_000)

test('rows read together show no answer without its question', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client, cluster } = world
    await client.createTable('rows', lww)
    spread(world)
    const reader = cluster.newClient('reader').client.table(rows)
    const session = client.session()
    const handle = client.table(rows)
    let plain = 0
    let looked = 0
    let v = 0
    const look = async (): Promise<void> => {
      while (v < 150) {
        const [q, a] = await Promise.all([reader.get('question'), reader.get('answer')])
        if ((a.value?.v ?? 0) > (q.value?.v ?? 0)) plain++
        const [question, answer] = await reader.getMany(['question', 'answer'])
        expect(answer!.value?.v ?? 0).toBeLessThanOrEqual(question!.value?.v ?? 0)
        looked++
      }
    }
    const looking = [look(), look(), look()]
    while (v < 150) {
      v++
      await handle.put({ k: 'question', v }, { session })
      await handle.put({ k: 'answer', v }, { session })
    }
    await Promise.all(looking)
    expect(looked).toBeGreaterThan(100)
    expect(plain).toBeGreaterThan(0)
  })
}, 60_000)

test('a token goes from client to client and over a restart of every node; concurrent calls join theirs', async () => {
  await withCluster({ seed: 6 }, async ({ client, cluster }) => {
    await client.createTable('rows', lww)
    const session = client.session()
    const handle = client.table(rows)
    const names = Array.from({ length: 3 * limits.sessionCallsMax }, (_, i) => `c${i}`)
    await Promise.all(names.slice(0, 20).map((k, v) => handle.put({ k, v }, { session })))
    for (const machine of cluster.machines) machine.crash('kill')
    for (const machine of cluster.machines) machine.start()
    const other = cluster.newClient('other').client
    await other.ready({ timeoutMs: 60_000 })
    const request = { Cookie: sessionCookie(session).split(';')[0] }
    const again = sessionFromRequest(other, request)
    for (const [v, k] of names.slice(0, 20).entries()) {
      const { value } = await other.table(rows).get(k, { session: again, timeoutMs: 60_000 })
      expect(value?.v).toBe(v)
    }
  })
}, 60_000)

test('a forged token, or one of another cluster, is refused by name and changes nothing', async () => {
  let foreign = ''
  await withCluster({ seed: 7 }, async ({ client }) => {
    await client.createTable('rows', lww)
    const session = client.session()
    await client.table(rows).put({ k: 'a', v: 1 }, { session })
    foreign = session.token
  })
  await withCluster({ seed: 8 }, async ({ client }) => {
    await client.createTable('rows', lww)
    const handle = client.table(rows)
    await handle.put({ k: 'a', v: 1 }, { w: 'all' })
    const own = client.session()
    await handle.get('a', { session: own })
    const forged = own.bytes
    forged[forged.length - 1]! ^= 1
    for (const session of [client.session(forged), client.session(foreign)]) {
      const refused = { code: 'BAD_SESSION', outcome: 'not-applied' }
      await expect(handle.put({ k: 'a', v: 2 }, { session })).rejects.toMatchObject(refused)
      await expect(handle.delete('a', { session })).rejects.toMatchObject(refused)
      await expect(handle.get('a', { session })).rejects.toMatchObject(refused)
      await expect(collect(handle.scan({ session }))).rejects.toMatchObject(refused)
    }
    expect((await handle.get('a', { r: 'all' })).value).toEqual({ k: 'a', v: 1 })
    expect(() => client.session('not a token!')).toThrow(expect.objectContaining({ code: 'BAD_SESSION' }))
  })
}, 60_000)

test('rows past the bound are settled: the session goes on, its promises hold, and its token stays small', async () => {
  await withCluster({ seed: 9 }, async world => {
    const { client } = world
    await client.createTable('rows', lww)
    const handle = client.table(rows)
    const session = client.session()
    const count = 4 * limits.causesMax
    for (let v = 0; v < count; v++) await handle.put({ k: `k${v}`, v }, { session })
    expect(sum(world, 'sessionRowsSettled')).toBeGreaterThan(count / 2)
    expect(session.bytes.length).toBeLessThan(limits.causesBytesMax + 100)
    for (let v = 0; v < count; v++) {
      const { value, receipt } = await handle.get(`k${v}`, { session })
      expect(value?.v).toBe(v)
      expect(receipt.copies).toBeGreaterThanOrEqual(2)
    }
  })
}, 60_000)

test('a row that cannot be shown fails with the reason, and comes when its home is back', async () => {
  await withCluster({ seed: 10 }, async ({ client, cluster }) => {
    await client.createTable('rows', { ...lww, conflict: { kind: 'siblings' } })
    const handle = client.table(rows)
    const session = client.session()
    await handle.put({ k: 'a', v: 1 }, { w: 'all' })
    const { context } = await handle.get('a', { session: client.session() })
    // Until every node has heard of the key of tokens.
    await pause(client.clock, 10_000)
    // The others hear nothing of the next write before its coordinator goes.
    const nodes = cluster.machines.map(({ id }) => id as string)
    for (const from of nodes) for (const to of nodes) if (from !== to) cluster.network.cut(from, to)
    const put = await handle.put({ k: 'a', v: 2 }, { session, context })
    const machine = cluster.machines.find(({ id }) => id === put.receipt.coordinator)!
    machine.crash('kill')
    cluster.network.healAll()
    await pause(client.clock, 10_000)
    expect((await handle.get('a')).value?.v).toBe(1)
    const refused = { code: 'SESSION_NOT_REACHED' }
    await expect(handle.get('a', { session })).rejects.toMatchObject(refused)
    await expect(handle.put({ k: 'a', v: 3 }, { session })).rejects.toMatchObject(refused)
    machine.start()
    const { siblings } = await handle.get('a', { session, timeoutMs: 60_000 })
    expect(siblings.map(({ v }) => v)).toEqual([2])
    await handle.put({ k: 'a', v: 3 }, { session })
    expect((await handle.get('a', { session })).siblings.map(({ v }) => v)).toEqual([2, 3])
  })
}, 60_000)

test('scans and queries show what the session has written, where other pages would lack it', async () => {
  await withCluster({ seed: 11 }, async world => {
    const { client } = world
    await client.createTable('rows', {
      ...lww,
      partitioning: { kind: 'range', auto: false, splitPoints: ['k4'] },
    })
    const handle = client.table(rows)
    spread(world)
    const session = client.session()
    let missedWithout = 0
    for (let v = 0; v < 40; v++) {
      const k = `k${v % 9}`
      await handle.put({ k, v }, { session })
      const plain = await collect(handle.scan({ pageSize: 4 }))
      if (!plain.some(({ value }) => value?.k === k && value.v === v)) missedWithout++
      const seen = await collect(handle.scan({ session, pageSize: 4 }))
      expect(seen.find(({ value }) => value?.k === k)?.value?.v).toBe(v)
      const names = seen.map(({ value }) => value!.k)
      expect(names).toEqual([...new Set(names)].sort())
    }
    expect(missedWithout).toBeGreaterThan(0)
  })
}, 60_000)
