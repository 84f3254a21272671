/** Test set-up: a table with one led partition, or a few, on live nodes; who leads it, and cutting that one off. */

import { table } from '@quorate/client/pure'
import { pause } from '@quorate/core'
import type { SimMachine } from '../world/sim-machine.ts'
import { until, type World } from './live-cluster.ts'

export interface Post {
  readonly id: string
  readonly n: number | string
  readonly x?: string
}
export const posts = table<Post>('posts', { key: 'id' })

export const led = (more: object = {}, partitions = 1) => ({
  key: 'id',
  partitioning: { kind: 'fixed', partitions },
  replication: { kind: 'single-leader' as const, n: 3, ...more },
})

type Held = ReturnType<NonNullable<SimMachine['node']>['leaders']['partitions']['held']>[number]

/** The replica of the table's only partition. */
export const seatOf = ({ node }: SimMachine): Held['seat'] => node!.leaders.partitions.held()[0]!.seat

/** Its leader, when followers have promised it their lease, and the others. */
export async function settledLeader({ client, cluster }: World): Promise<[SimMachine, ...SimMachine[]]> {
  await pause(client.clock, 2_000)
  const leader = cluster.machines.find(machine => seatOf(machine).leading !== undefined)!
  return [leader, ...cluster.machines.filter(machine => machine !== leader)]
}

export function cutBothWays({ cluster }: World, a: string, b: string): void {
  cluster.network.cut(a as never, b as never)
  cluster.network.cut(b as never, a as never)
}

/** Another client that knows the cluster, and then can reach one machine only. */
export async function clientOf(world: World, machine: SimMachine) {
  const { client } = world.cluster.newClient('c2')
  await client.ready({ timeoutMs: 20_000 })
  await client.table(posts).get('p')
  return {
    client,
    db: client.table(posts),
    /** From now on it reaches nobody else. */
    confine: () => {
      for (const other of world.cluster.machines) if (other !== machine) cutBothWays(world, 'c2', other.peer)
    },
  }
}

/** The leader reaches none of the others, and the test's own client reaches only those. */
export function isolate(world: World, leader: SimMachine): void {
  for (const other of world.cluster.machines)
    if (other !== leader) cutBothWays(world, leader.peer, other.peer)
  cutBothWays(world, 'c1', leader.peer)
}

export const nextLeader = (world: World, others: readonly SimMachine[]): Promise<void> =>
  until(world, () => others.some(machine => seatOf(machine).leading?.isServing === true), 10_000, 5)

/** Until sessions can be given out, and checked, by every node. */
export const sealed = (world: World): Promise<void> =>
  until(world, () =>
    world.cluster.machines.every(({ node }) => {
      try {
        return node!.context.sealOfSessions() !== undefined
      } catch {
        return false
      }
    }),
  )
