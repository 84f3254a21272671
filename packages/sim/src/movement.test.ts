/** Growing and shrinking a cluster of live nodes, with nothing in its way and with the mover killed at each step. */

import { table } from '@quorate/client/pure'
import { changeChunk, pause, type TableSpecification, withMove } from '@quorate/core'
import { expect, test } from 'vitest'
import { differences } from './checkers/convergence.ts'
import { until, type World, withCluster } from './testing/live-cluster.ts'

const rows = table<{ k: string; v: number }>('rows', { key: 'k' })

const run = (work: (world: World) => Promise<void>): Promise<void> =>
  withCluster({ seed: 5, tuning: { sweepIntervalMs: 2_000, tokensPerNode: 4 }, withinMs: 600_000 }, work)

async function carryOut({ client, cluster }: World): Promise<number> {
  const { control } = cluster.machines[0]!.node!
  const plan = await control.plan()
  expect(plan.problems).toEqual([])
  await control.commit(plan.id)
  await until({ client }, () => control.changes.task === undefined)
  expect(control.changes.history.at(-1)).toMatchObject({ id: plan.id, outcome: 'done' })
  return plan.moves
}

const partitionings: readonly NonNullable<TableSpecification['partitioning']>[] = [
  { kind: 'ring' },
  { kind: 'fixed', partitions: 32 },
  { kind: 'modulo', buckets: 16 },
  { kind: 'range', splitPoints: ['row-030', 'row-060'] },
]

for (const partitioning of partitionings) {
  test(`a ${partitioning.kind} table grows from three nodes to five and shrinks back, under writes`, async () => {
    await run(async world => {
      const { client, cluster } = world
      await client.createTable('rows', { key: 'k', partitioning })
      const name = (i: number): string => `row-${String(i).padStart(3, '0')}`
      for (let i = 0; i < 100; i++) await client.table(rows).put({ k: name(i), v: i })
      let writing = true
      let written = 0
      const writer = (async () => {
        while (writing) {
          const k = name(written % 100)
          const { context } = await client.table(rows).get(k)
          await client.table(rows).put({ k, v: 1_000 + written++ }, { context })
          await pause(client.clock, 1)
        }
      })()
      const newcomers = [cluster.newcomer('z1'), cluster.newcomer('z2')]
      for (const machine of newcomers) machine.start()
      const { catalog } = cluster.machines[0]!.node!
      await until({ client }, () => catalog.members.members.length === 5)
      expect(await carryOut(world)).toBeGreaterThan(0)
      const held = newcomers.map(({ node }) => node!.trees.rows(catalog.named('rows').descriptor.id))
      expect(Math.min(...held)).toBeGreaterThan(0)
      for (const { id } of newcomers)
        await cluster.machines[0]!.node!.control.stage({ kind: 'leave', node: id })
      await carryOut(world)
      expect(catalog.members.members.map(member => member.id)).toEqual(['n1', 'n2', 'n3'])
      writing = false
      await writer
      for (const machine of newcomers) {
        cluster.retire(machine)
        machine.crash('kill')
      }
      await until({ client }, () => differences(cluster).length === 0)
      for (let i = 0; i < 100; i++) {
        const { siblings } = await client.table(rows).get(name(i))
        expect(siblings).toHaveLength(1)
      }
      expect(written).toBeGreaterThan(100)
    })
  }, 60_000)
}

test('a move that is queued for a task that is over is taken back, not carried out', async () => {
  await run(async ({ client, cluster }) => {
    await client.createTable('rows', { key: 'k', partitioning: { kind: 'fixed', partitions: 4 } })
    const newcomer = cluster.newcomer('z1')
    newcomer.start()
    const [n1] = cluster.machines.map(machine => machine.node!)
    await until({ client }, () => n1!.catalog.members.members.length === 4)
    const { descriptor, map } = n1!.catalog.named('rows')
    const [partition] = map.partitions
    const to = [newcomer.id, ...partition!.settled.slice(1)]
    // What a committer does that was cut off while its task was taken back.
    const queued = await n1!.coordination.maps.change(
      descriptor.id,
      partition!.chunk,
      chunk =>
        changeChunk(chunk!, entry =>
          entry.id === partition!.id
            ? withMove(entry, { task: 'p-over', session: 0, stage: 'queued', to })
            : entry,
        )!,
      n1!.coordination.operation(),
    )
    expect(queued.kind).toBe('committed')
    const isQuiet = (): boolean =>
      cluster.machines.every(({ node }) =>
        node!.catalog.findNamed('rows')?.map.partitions.every(({ move }) => move === undefined),
      )
    await until({ client }, isQuiet)
    expect(n1!.catalog.named('rows').map.partitions[0]!.replicas).toEqual(partition!.settled)
  })
})

test('a plan is refused when it is unknown, stale, spent, or another runs; nothing is changed then', async () => {
  await run(async ({ client, cluster }) => {
    await client.createTable('rows', { key: 'k', partitioning: { kind: 'fixed', partitions: 8 } })
    const newcomer = cluster.newcomer('z1')
    newcomer.start()
    const [n1, n2] = cluster.machines.map(machine => machine.node!)
    await until({ client }, () => [n1, n2].every(node => node!.catalog.members.members.length === 4))
    const refused = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'was not refused',
        (error: Error) => error.message,
      )
    const version = n1!.catalog.named('rows').map.version
    expect(await refused(n1!.control.commit('p-000000000000'))).toMatch(/there is no plan p-000000000000/)
    const stale = await n1!.control.plan()
    await n1!.control.stage({ kind: 'reweigh', node: 'n1', weight: 2 })
    expect(await refused(n1!.control.commit(stale.id))).toMatch(/is stale/)
    expect(n1!.catalog.named('rows').map.version).toBe(version)
    await n1!.control.clear()
    const plan = await n1!.control.plan()
    const both = await Promise.all([
      refused(n1!.control.commit(plan.id)),
      refused(n2!.control.commit(plan.id)),
    ])
    expect(both.filter(message => message === 'was not refused')).toHaveLength(1)
    await until({ client }, () => n1!.control.changes.task === undefined)
    expect(await refused(n1!.control.commit(plan.id))).toMatch(/is spent: it was done before/)
    expect(n1!.control.changes.history.map(({ id }) => id)).toEqual([plan.id])
  })
})
