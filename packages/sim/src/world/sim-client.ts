/** One client machine: the production client on the simulated network. */

import { QuorateClient, type Seed } from '@quorate/client/pure'
import type { PeerId, SeededRandom } from '@quorate/core'
import { MachineTime, ProcessClock } from './machine-time.ts'
import type { SimNetwork } from './sim-network.ts'
import type { Simulation } from './simulation.ts'

export interface SimClient {
  readonly name: string
  readonly client: QuorateClient
}

export function makeClient(
  simulation: Simulation,
  network: SimNetwork,
  random: SeededRandom,
  name: string,
  seeds: readonly Seed[],
): SimClient {
  const time = new MachineTime(simulation, 500)
  const client = new QuorateClient({
    transport: network.attach(name as PeerId, time),
    clock: new ProcessClock(time),
    random,
    seeds,
  })
  return { name, client }
}
