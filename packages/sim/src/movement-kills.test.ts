/**
 * A process dies at every step of a move, and the move goes on: for each stage a run in which the driver, the
 * source, the receiver or a home that stays is cut off from power the moment the stage is seen, and comes back.
 */

import { table } from '@quorate/client/pure'
import { MOVE_STAGES, type MoveStage, pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { differences } from './checkers/convergence.ts'
import { until, type World, withCluster } from './testing/live-cluster.ts'
import type { SimCluster } from './world/sim-cluster.ts'
import type { SimMachine } from './world/sim-machine.ts'

const rows = table<{ k: string; v: number }>('rows', { key: 'k' })
const ROWS = 60

const run = (seed: number, work: (world: World) => Promise<void>): Promise<void> =>
  withCluster(
    {
      seed,
      nodes: 4,
      tuning: { sweepIntervalMs: 2_000, tokensPerNode: 2, moveBytesPerSecond: 3_000, movesAtOnce: 2 },
    },
    work,
  )

const roles = ['driver', 'receiver', 'leaver', 'home that stays'] as const

/** Which machine plays the role in the first partition that is seen in the stage. */
function find(cluster: SimCluster, role: (typeof roles)[number], stage: MoveStage): SimMachine | undefined {
  const moving = cluster.machines.flatMap(({ node }) =>
    (node?.catalog.views() ?? []).flatMap(({ map }) =>
      map.partitions.filter(partition => partition.move?.stage === stage),
    ),
  )
  const [partition] = moving
  if (partition === undefined) return undefined
  const { settled, move } = partition
  const id =
    role === 'driver'
      ? cluster.machines.find(({ node }) => node?.control.isDriver())?.id
      : role === 'receiver'
        ? move!.to.find(node => !settled.includes(node))
        : role === 'leaver'
          ? settled.find(node => !move!.to.includes(node))
          : settled.find(node => move!.to.includes(node))
  return cluster.machines.find(machine => machine.id === id)
}

for (const [at, stage] of MOVE_STAGES.entries()) {
  for (const [which, role] of roles.entries()) {
    test(`the ${role} loses its power in ${stage}, and the move ends as planned`, async () => {
      await run(100 + at * 10 + which, async ({ client, cluster }) => {
        await client.createTable('rows', { key: 'k' })
        const put = (i: number, v: number) =>
          client.table(rows).put({ k: `row-${i}`, v }, { timeoutMs: 60_000 })
        for (let i = 0; i < ROWS; i++) await put(i, i)
        const newcomer = cluster.newcomer('z1')
        newcomer.start()
        const { catalog } = cluster.machines[0]!.node!
        await until({ client }, () => catalog.members.members.length === 5)
        const { control } = cluster.machines[1]!.node!
        const plan = await control.plan()
        expect(plan.problems).toEqual([])
        await control.commit(plan.id)
        let struck: SimMachine | undefined
        let tries = 0
        while (struck === undefined && tries++ < 20_000) {
          struck = find(cluster, role, stage)
          if (struck === undefined) await pause(client.clock, 1)
        }
        expect(struck, `${stage} was seen`).toBeDefined()
        struck!.crash('power cut')
        for (let i = 0; i < ROWS; i += 7) await put(i, 1_000 + i)
        await pause(client.clock, 3_000)
        struck!.start()
        await until({ client }, () => struck!.node !== undefined)
        await until({ client }, () =>
          cluster.machines.every(({ node }) => {
            const changes = node?.control.changes
            return changes?.task === undefined && changes?.history.length === 1
          }),
        )
        expect(cluster.machines[0]!.node!.control.changes.history[0]).toMatchObject({ outcome: 'done' })
        await until({ client }, () => differences(cluster).length === 0)
        for (let i = 0; i < ROWS; i++) {
          const { siblings } = await client.table(rows).get(`row-${i}`, { r: 'all', timeoutMs: 60_000 })
          const versions = siblings.map(({ v }) => v)
          expect(versions).toContain(i % 7 === 0 ? 1_000 + i : i)
        }
      })
    }, 60_000)
  }
}
