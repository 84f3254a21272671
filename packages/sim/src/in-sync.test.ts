/** In-sync sets on live nodes: what counts while the register is asked for a larger one. */

import { table } from '@quorate/client/pure'
import { pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { until, withCluster } from './testing/live-cluster.ts'

interface Row {
  readonly id: string
}

test('a set that is being grown counts, whatever other news the map has: nothing acknowledged is lost', async () => {
  await withCluster({ seed: 3, nodes: 3 }, async world => {
    const { client, cluster } = world
    const names = ['t0', 't1', 't2', 't3', 't4', 't5']
    const replication = { kind: 'single-leader' as const, n: 3, ack: 'in-sync' as const, minInSync: 2 }
    for (const name of names)
      await client.createTable(name, {
        key: 'id',
        partitioning: { kind: 'fixed', partitions: 1 },
        replication,
      })
    await pause(client.clock, 3_000)
    const leadOf = (name: string, machine: (typeof cluster.machines)[number]) =>
      machine.node!.catalog.named(name).map.partitions[0]!.lead!
    const leaderOf = (name: string) => leadOf(name, cluster.machines[0]!).leader
    // Two tables of one leader, A; C goes, and both sets are A and B.
    const [first, second] = names
      .flatMap(one => names.map(two => [one, two] as const))
      .find(([one, two]) => one !== two && leaderOf(one) === leaderOf(two))!
    const A = cluster.machine(leaderOf(first)!)
    const [C, B] = cluster.machines.filter(machine => machine !== A) as [typeof A, typeof A]
    const db = client.table(table<Row>(first, { key: 'id' }))
    await db.put({ id: 'before' })
    C.crash('power cut')
    await until(world, () => [first, second].every(name => leadOf(name, A).inSync.length === 2))
    // C comes back. The register has the larger set of the first table at once; A hears that late, and before it news of
    // the second table. Then A is cut from C.
    const registerOf = (name: string) => `map/${A.node!.catalog.named(name).descriptor.id}/0`
    const { registers } = A.node!.coordination
    const change = registers.change.bind(registers)
    let hasGrown = false
    let isCut = false
    registers.change = async (key, fn, operation, options) => {
      if (key === registerOf(first) && !hasGrown) {
        const outcome = await B.node!.coordination.registers.change(key, fn, operation, options)
        hasGrown = outcome.kind === 'committed'
        while (hasGrown && !isOver) await pause(client.clock, 10)
        return outcome
      }
      if (key !== registerOf(second) || isCut) return change(key, fn, operation, options)
      while (!hasGrown) await pause(client.clock, 1)
      const outcome = await change(key, fn, operation, options)
      cluster.network.cut(A.peer, C.peer)
      cluster.network.cut(C.peer, A.peer)
      isCut = true
      return outcome
    }
    let isOver = false
    C.start()
    await until(world, () => isCut, 60_000, 1)
    const put = db.put({ id: 'meanwhile' }, { timeoutMs: 800 })
    await expect(put).rejects.toMatchObject({ outcome: 'unknown' })
    isOver = true
    cluster.network.healAll()
    await db.put({ id: 'after' }, { timeoutMs: 20_000 })
    for (const id of ['before', 'after'])
      expect((await db.get(id, { timeoutMs: 20_000 })).value).toEqual({ id })
  })
})
