/** A cluster that may balance itself: once, only when it was told to, and never because somebody died. */

import { type QuorateClient, table } from '@quorate/client/pure'
import { type NodeId, pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { until, withCluster } from './testing/live-cluster.ts'
import type { SimCluster } from './world/sim-cluster.ts'

const rows = table<{ k: string; text: string }>('rows', { key: 'k' })
const LOOK_MS = 500
const PARTITIONS = 12
const letter = (index: number): string => String.fromCharCode('a'.charCodeAt(0) + index)
const policy = { by: 'bytes', above: 1.4, below: 1.2, everyMs: 120_000, bytesMax: 1_000_000 }

class World {
  readonly cluster: SimCluster
  readonly client: QuorateClient

  constructor(client: QuorateClient, cluster: SimCluster) {
    this.client = client
    this.cluster = cluster
  }

  node(index: number) {
    return this.cluster.machines[index]!.node!
  }

  get control() {
    return this.node(0).control
  }

  /** Twelve ranges with one copy each, four to a node. */
  async createTable(): Promise<void> {
    await this.client.createTable('rows', {
      key: 'k',
      partitioning: {
        kind: 'range',
        splitPoints: Array.from({ length: PARTITIONS - 1 }, (_, index) => letter(index + 1)),
        auto: false,
      },
      replication: { n: 1, r: 1, w: 1 },
    })
  }

  /** As many rows in so many of the ranges that this node keeps. */
  async burden(home: NodeId, ranges: number, rowsEach: number): Promise<void> {
    const { partitions } = this.node(1).catalog.named('rows').map
    const own = partitions.flatMap(({ settled }, index) => (settled[0] === home ? [index] : []))
    for (const index of own.slice(0, ranges))
      for (let i = 0; i < rowsEach; i++)
        await this.client.table(rows).put({ k: `${letter(index)}${i}`, text: 'x'.repeat(200) })
  }

  until(ask: () => boolean, withinMs: number): Promise<void> {
    return until(this, ask, withinMs)
  }

  pause(ms: number): Promise<void> {
    return pause(this.client.clock, ms)
  }

  /** Plans that were made without an operator, and are done. */
  plans(): number {
    return this.node(1).control.changes.history.filter(({ origin }) => origin === 'auto').length
  }
}

const run = (work: (world: World) => Promise<void>): Promise<void> =>
  withCluster(
    { seed: 7, tuning: { autoIntervalMs: LOOK_MS }, withinMs: 1_200_000 },
    async ({ client, cluster }) => {
      const world = new World(client, cluster)
      await world.createTable()
      await work(world)
    },
  )

test('is off until it is switched on; then makes one plan, in history as its own, with the way back', async () => {
  await run(async world => {
    await world.burden('n1' as NodeId, 3, 30)
    await world.pause(30 * LOOK_MS)
    expect(world.control.changes.history).toEqual([])
    await world.control.switchAuto(policy)
    await world.until(() => world.plans() === 1, 30_000)
    await world.pause(100 * LOOK_MS)
    const { history, auto } = await world.control.refresh()
    expect(history).toHaveLength(1)
    expect(history[0]).toMatchObject({ outcome: 'done', origin: 'auto', moves: 2 })
    expect(history[0]!.undo).toHaveLength(2)
    expect(history[0]!.undo[0]).toMatch(/^quorate cluster move rows \d+ --from n[23] --to n1$/)
    expect(auto).toMatchObject({ phase: 'armed', lastPlan: history[0]!.id })
    const homes = world
      .node(0)
      .catalog.named('rows')
      .map.partitions.map(({ settled }) => settled[0])
    expect(homes.filter(home => home === 'n1')).toHaveLength(2)
  })
}, 60_000)

test('a dead member starts nothing, however long; a plan waits until it is back', async () => {
  await run(async world => {
    await world.burden('n1' as NodeId, 3, 30)
    const [, , third] = world.cluster.machines
    third!.crash('kill')
    await world.until(() => world.node(0).context.isSuspected('n3' as NodeId), 60_000)
    await world.control.switchAuto(policy)
    await world.pause(400 * LOOK_MS)
    const { history, task, auto } = await world.control.refresh()
    expect([history, task, auto!.lastMs]).toEqual([[], undefined, 0])
    const says = world.node(0).coordination.membership.get('n1' as NodeId, 'auto')
    expect(says).toBe('nothing is planned while n3 cannot be asked')
    third!.start()
    await world.until(() => world.plans() === 1, 60_000)
  })
}, 60_000)

test('makes no second plan before its time, also when every process was started anew', async () => {
  await run(async world => {
    await world.burden('n1' as NodeId, 3, 30)
    await world.control.switchAuto(policy)
    await world.until(() => world.plans() === 1, 30_000)
    const firstMs = world.client.clock.monotonicMs()
    await world.until(() => world.control.changes.auto?.phase === 'armed', 30_000)
    for (const machine of world.cluster.machines) machine.crash('kill')
    for (const machine of world.cluster.machines) machine.start()
    await world.until(() => world.cluster.machines.every(({ node }) => node !== undefined), 60_000)
    await world.burden('n2' as NodeId, 4, 60)
    await world.until(() => world.plans() === 2, 300_000)
    expect(world.client.clock.monotonicMs() - firstMs).toBeGreaterThan(policy.everyMs - 15_000)
  })
}, 60_000)
