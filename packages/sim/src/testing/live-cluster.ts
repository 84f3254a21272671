/** Test set-up: nodes in simulated time with a client on them, for what one test does and then expects. */

import type { QuorateClient } from '@quorate/client/pure'
import { defaultTuning, type NodeTuning, pause } from '@quorate/core'
import { expect } from 'vitest'
import { drain } from '../node-runner/drain.ts'
import { type ClusterHooks, SimCluster } from '../world/sim-cluster.ts'
import { Simulation } from '../world/simulation.ts'

export interface World {
  readonly client: QuorateClient
  readonly cluster: SimCluster
  readonly simulation: Simulation
}

export interface LiveOptions {
  readonly seed?: number
  readonly nodes?: number
  /** Default: each node in one of its own. */
  readonly zones?: number
  readonly tuning?: Partial<NodeTuning>
  readonly hooks?: ClusterHooks
  /** Called when the nodes have been started and before anyone speaks with them. */
  readonly trouble?: (cluster: SimCluster, simulation: Simulation) => void
  /** Simulated; what is not done by then has failed. */
  readonly withinMs?: number
}

/** Runs `work` against a live cluster, and fails when it does, when a process did, or when time is up. */
export async function withCluster(
  options: LiveOptions,
  work: (world: World) => Promise<void>,
): Promise<void> {
  const { seed = 1, nodes = 3, zones = nodes, hooks = {}, withinMs = 900_000 } = options
  const simulation = new Simulation({ seed, drain })
  const tuning = { ...defaultTuning, gossipIntervalMs: 300, ...options.tuning }
  const cluster = new SimCluster(simulation, { nodes, zones, tuning, storeLimits: {} }, hooks)
  cluster.start()
  options.trouble?.(cluster, simulation)
  const { client } = cluster.newClient('c1')
  let done = false
  let failure: unknown
  client
    .ready({ timeoutMs: 20_000 })
    .then(() => work({ client, cluster, simulation }))
    .then(
      () => {
        done = true
      },
      (error: unknown) => {
        failure = error
      },
    )
  await simulation.run(withinMs, () => done || failure !== undefined)
  if (failure !== undefined) throw failure
  expect(simulation.failure?.error).toBeUndefined()
  expect(done).toBe(true)
}

/** Waits until `ask` says yes, on the simulation's time. */
export async function until(
  { client }: Pick<World, 'client'>,
  ask: () => boolean,
  withinMs = 300_000,
  lookMs = 100,
): Promise<void> {
  const end = client.clock.monotonicMs() + withinMs
  while (!ask()) {
    if (client.clock.monotonicMs() > end) throw new Error(`not so within ${withinMs} ms: ${ask}`)
    await pause(client.clock, lookMs)
  }
}

export async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = []
  for await (const row of rows) out.push(row)
  return out
}
