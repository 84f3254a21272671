/** Tables with leaders while their partitions move: who may be filled, who may lead, and what a plan that comes twice finds. */

import { table } from '@quorate/client/pure'
import { type NodeId, pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { led, posts } from './testing/led-world.ts'
import { until, type World, withCluster } from './testing/live-cluster.ts'
import type { SimMachine } from './world/sim-machine.ts'

/** A fourth node asks to join; the plan that takes it in is committed. */
async function grow(
  world: World,
  beforeCommit: (newcomer: SimMachine) => void = () => {},
): Promise<{ newcomer: SimMachine; plan: string }> {
  const { cluster } = world
  const newcomer = cluster.newcomer('z1')
  newcomer.start()
  const { catalog, control } = cluster.machines[0]!.node!
  await until(world, () => catalog.members.members.length === 4)
  const { id } = await control.plan()
  beforeCommit(newcomer)
  await control.commit(id)
  return { newcomer, plan: id }
}

const heldOf = ({ node }: SimMachine) => node?.leaders.partitions.held() ?? []

test('a filling ends with its seat: a plan that was cancelled and is carried out again loses no row', async () => {
  const tuning = { lateWriteMs: 1_000, logKeptMs: 1_000, logEntriesKept: 5 }
  await withCluster({ seed: 5, tuning }, async world => {
    const { client, cluster } = world
    await client.createTable('posts', led({}, 4))
    const db = client.table(table<{ id: string; text: string }>('posts', { key: 'id' }))
    const text = 'x'.repeat(100_000)
    for (let i = 0; i < 120; i++) await db.put({ id: `p${i}`, text }, { timeoutMs: 20_000 })
    // So that a new home is filled with rows, page by page, and not sent the log.
    await until(world, () =>
      cluster.machines.every(machine => heldOf(machine).every(({ seat }) => seat.replica.log.first > 5)),
    )
    const slow = (to: SimMachine, ms: number): void => {
      for (const machine of cluster.machines)
        if (machine !== to) cluster.network.slow(machine.peer, to.peer, ms)
    }
    const { newcomer, plan } = await grow(world, joined => slow(joined, 700))
    const rowsOf = (machine: SimMachine, { partition: { from, to } }: ReturnType<typeof heldOf>[number]) =>
      [...machine.node!.context.store.scan(from, to)].length
    await until(world, () => heldOf(newcomer).some(({ seat }) => seat.replica.isLoading), 60_000, 20)
    const begun = heldOf(newcomer).filter(({ seat }) => seat.replica.isLoading)
    await until(world, () => begun.some(held => rowsOf(newcomer, held) > 4), 60_000, 20)
    const { control } = cluster.machines[0]!.node!
    await control.cancel(plan)
    await until(world, () => heldOf(newcomer).length === 0, 100_000, 20)
    await pause(client.clock, 20_000)
    slow(newcomer, 0)
    await until(world, () => control.changes.task === undefined, 100_000)
    await control.commit((await control.plan()).id)
    await until(world, () => control.changes.task === undefined, 100_000)
    await pause(client.clock, 3_000)
    for (const held of heldOf(newcomer)) {
      expect(held.seat.isReadable).toBe(true)
      expect(rowsOf(newcomer, held)).toBe(rowsOf(cluster.machine(held.partition.lead!.leader!), held))
    }
    for (let i = 0; i < 120; i++)
      expect((await db.get(`p${i}`, { timeoutMs: 20_000 })).value?.text).toBe(text)
  })
})

test('a home that is getting ready is handed nothing, and the leader goes on', async () => {
  await withCluster({ seed: 5 }, async world => {
    const { client, cluster, simulation } = world
    await client.createTable('posts', led({}, 4))
    const db = client.table(posts)
    for (let i = 0; i < 20; i++) await db.put({ id: `p${i}`, n: 0 })
    const { newcomer } = await grow(world)
    const id = newcomer.id as string as NodeId
    const preparing = () =>
      cluster.machines
        .flatMap(machine => heldOf(machine).map(held => ({ machine, held })))
        .find(
          ({ held: { seat, partition } }) =>
            seat.leading?.isServing === true &&
            partition.holders.includes(id) &&
            !partition.writeSets.flat().includes(id) &&
            seat.leading.replication.matchedOf(id) > 0,
        )
    await until(world, () => preparing() !== undefined, 60_000, 1)
    const { machine, held } = preparing()!
    const handed = machine.node!.leaders.handOver.run(held, held.seat.leading!, id)
    await expect(handed).rejects.toMatchObject({ code: 'BAD_REQUEST', message: /getting ready/ })
    expect(held.seat.leading?.isClosing).toBe(false)
    await pause(client.clock, 100)
    expect(simulation.failure).toBeUndefined()
  })
})

const COUNTING = ['write-both', 'stream', 'verify']

test.each([
  1, 2, 3, 4, 5, 6,
])('a leader that dies in the middle of a move has a successor (seed %i)', async seed => {
  await withCluster({ seed }, async world => {
    const { client, cluster, simulation } = world
    await client.createTable('posts', led({}, 4))
    const db = client.table(posts)
    for (let i = 0; i < 20; i++) await db.put({ id: `p${i}`, n: 0 })
    const { newcomer } = await grow(world)
    const moving = () =>
      cluster.machines
        .filter(machine => machine !== newcomer)
        .flatMap(machine => heldOf(machine).map(held => ({ machine, held })))
        .find(
          ({ held: { seat, partition, view } }) =>
            seat.leading?.isServing === true &&
            cluster.machines.every(({ node }) =>
              COUNTING.includes(
                node!.catalog.find(view.descriptor.id)!.map.find(partition.id)!.move?.stage ?? '',
              ),
            ),
        )
    await until(world, () => moving() !== undefined, 60_000, 1)
    const { machine: old, held } = moving()!
    const others = cluster.machines.filter(machine => machine !== old && machine !== newcomer)
    // What it orders now reaches the new home alone.
    for (const other of others) cluster.network.cut(old.peer, other.peer)
    const writes = Array.from({ length: 20 }, (_, i) =>
      db.put({ id: `p${i}`, n: 1 }, { timeoutMs: 1_000 }).catch(() => undefined),
    )
    await pause(client.clock, 15)
    old.crash('power cut')
    const epochs = others.map(
      ({ node }) =>
        () =>
          node!.catalog.find(held.view.descriptor.id)!.map.find(held.partition.id)!.lead!.epoch,
    )
    await until(world, () => epochs.some(epoch => epoch() > held.partition.lead!.epoch), 20_000)
    await Promise.all(writes)
    await db.put({ id: 'p0', n: 2 }, { timeoutMs: 20_000 })
    expect(simulation.failure).toBeUndefined()
    cluster.network.healAll()
  })
})
