/** Who goes, or is a newcomer again, has handed over what it kept for others: a write may rest on it alone. */

import { table } from '@quorate/client/pure'
import { pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { differences } from './checkers/convergence.ts'
import { until, type World, withCluster } from './testing/live-cluster.ts'

const rows = table<{ k: string; v: number }>('rows', { key: 'k' })
const ROWS = 40

/** A newcomer is in a task that moves nothing yet; then a home is down, and writes rest on hints of the newcomer. */
async function hintsOnNewcomer({ client, cluster }: World) {
  await client.createTable('rows', {
    key: 'k',
    partitioning: { kind: 'fixed', partitions: 4 },
    replication: { n: 3, r: 2, w: 2, sloppy: true },
  })
  const put = (v: number) => client.table(rows).put({ k: `row-${v}`, v }, { timeoutMs: 60_000 })
  const newcomer = cluster.newcomer('z1')
  newcomer.start()
  const { catalog, control, coordination } = cluster.machines[0]!.node!
  await until({ client }, () => catalog.members.members.length === 4)
  const plan = await control.plan()
  const { id } = await control.commit(plan.id)
  await control.pause(id)
  const [, , down] = cluster.machines
  down!.crash('kill')
  await until({ client }, () => coordination.membership.isSuspected(down!.id))
  for (let v = 0; v < ROWS; v++) await put(v)
  await until({ client }, () => Number(coordination.membership.get(newcomer.id, 'hints') ?? 0) > 0)
  const state = () => catalog.members.members.find(member => member.id === newcomer.id)?.state
  return { control, id, down: down!, newcomer, state }
}

test('a newcomer of a cancelled task stays a member until what it kept for others is theirs', async () => {
  await withCluster({ seed: 61, tuning: { sweepIntervalMs: 2_000_000 } }, async world => {
    const { client, cluster } = world
    const { control, id, down, newcomer, state } = await hintsOnNewcomer(world)
    await control.cancel(id)
    await pause(client.clock, 20_000)
    expect(newcomer.node!.context.hints.count).toBeGreaterThan(0)
    expect(state()).toBe('active')
    down.start()
    await until({ client }, () => control.changes.task === undefined)
    expect(newcomer.node!.context.hints.count).toBe(0)
    expect(state()).toBe('staged')
    await until({ client }, () => differences(cluster).length === 0)
    for (let v = 0; v < ROWS; v++)
      expect((await client.table(rows).get(`row-${v}`, { r: 'all' })).value).toMatchObject({ v })
  })
})

test('a member that leaves keeps nothing new for others', async () => {
  await withCluster({ seed: 62, nodes: 5 }, async ({ client, cluster }) => {
    await client.createTable('rows', {
      key: 'k',
      partitioning: { kind: 'fixed', partitions: 8 },
      replication: { n: 3, r: 2, w: 3, sloppy: true },
    })
    const { control, coordination, catalog } = cluster.machines[0]!.node!
    const [, , , down, leaver] = cluster.machines
    await control.stage({ kind: 'leave', node: leaver!.id })
    const { id } = await control.commit((await control.plan()).id)
    await control.pause(id)
    await until({ client }, () => leaver!.node!.catalog.member(leaver!.id)?.state === 'leaving')
    down!.crash('kill')
    await until({ client }, () => coordination.membership.isSuspected(down!.id))
    const stoodIn = new Set<string>()
    for (let v = 0; v < ROWS; v++) {
      const { receipt } = await client.table(rows).put({ k: `row-${v}`, v }, { timeoutMs: 60_000 })
      for (const { node } of receipt.answered.filter(({ role }) => role === 'fallback')) stoodIn.add(node)
    }
    expect(catalog.member(leaver!.id)?.state).toBe('leaving')
    expect(stoodIn.size).toBeGreaterThan(0)
    expect([...stoodIn]).not.toContain(leaver!.id)
  })
})
