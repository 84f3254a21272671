/** Machines, network and clients of one run, made from one seed. */

import type { NodeConfig, NodeId, NodeTuning, PeerId, QuorateError, StoreLimits } from '@quorate/core'
import { makeClient, type SimClient } from './sim-client.ts'
import { SimMachine } from './sim-machine.ts'
import { calmConditions, type NetworkFault, SimNetwork } from './sim-network.ts'
import type { Simulation } from './simulation.ts'
import type { StorageFault } from './storage-faults.ts'

export interface ClusterOptions {
  readonly nodes: number
  readonly zones: number
  readonly tuning: NodeTuning
  readonly storeLimits: Partial<StoreLimits>
}

export interface ClusterHooks {
  readonly onNetworkFault?: (fault: NetworkFault) => void
  readonly onStorageFault?: (fault: StorageFault) => void
  readonly onFatal?: (machine: SimMachine, error: QuorateError) => void
  readonly onDamaged?: (machine: SimMachine, error: QuorateError) => void
  readonly onUp?: (machine: SimMachine) => void
  readonly onEnd?: (machine: SimMachine) => void
  readonly onDeliver?: (from: PeerId, to: PeerId, frame: Uint8Array) => void
}

export class SimCluster {
  readonly simulation: Simulation
  readonly network: SimNetwork
  /** In use: initial members, and newcomers until they are retired. */
  readonly machines: SimMachine[]
  readonly retired: SimMachine[] = []
  readonly #options: ClusterOptions
  readonly #hooks: ClusterHooks
  #named: number

  constructor(simulation: Simulation, options: ClusterOptions, hooks: ClusterHooks = {}) {
    this.simulation = simulation
    this.network = new SimNetwork({
      random: simulation.random.fork(),
      ...(hooks.onNetworkFault === undefined ? {} : { onFault: hooks.onNetworkFault }),
      ...(hooks.onDeliver === undefined ? {} : { onDeliver: hooks.onDeliver }),
    })
    const members = Array.from({ length: options.nodes }, (_, i) => ({
      id: `n${i + 1}` as NodeId,
      address: `n${i + 1}:7000`,
      http: `n${i + 1}:8000`,
      zone: `z${(i % options.zones) + 1}`,
      region: 'r1',
      weight: 1,
    }))
    this.#options = options
    this.#hooks = hooks
    this.#named = options.nodes
    this.machines = members.map(({ id }) => this.#machine({ id, members, tuning: options.tuning }))
  }

  #machine(config: NodeConfig): SimMachine {
    const { simulation } = this
    const hooks = this.#hooks
    return new SimMachine({
      simulation,
      network: this.network,
      config,
      seed: simulation.random.uint32(),
      storeLimits: this.#options.storeLimits,
      onStorageFault: hooks.onStorageFault ?? (() => {}),
      onFatal: (machine, error) => {
        simulation.processEnded()
        simulation.tell(`${machine.id} FATAL ${error.code}: ${error.message}`)
        if (hooks.onFatal !== undefined) hooks.onFatal(machine, error)
        else machine.crash('kill')
      },
      onDamaged: hooks.onDamaged ?? (() => {}),
      onEnd: hooks.onEnd ?? (() => {}),
      onUp: machine => {
        simulation.tell(`${machine.id} up (life ${machine.life}, store ${machine.stores})`)
        hooks.onUp?.(machine)
      },
    })
  }

  /** A machine that nobody has seen, told to join; it is not started yet. */
  newcomer(zone: string): SimMachine {
    const id = `n${++this.#named}` as NodeId
    const self = { id, address: `${id}:7000`, http: `${id}:8000`, zone, region: 'r1', weight: 1 }
    const seeds = this.machines
      .slice(0, 3)
      .map(machine => ({ peer: machine.peer, address: `${machine.id}:7000` }))
    const machine = this.#machine({
      id,
      members: [self],
      tuning: this.#options.tuning,
      join: { seeds, cluster: '', newZone: false },
    })
    this.machines.push(machine)
    return machine
  }

  /** No member any more: it is shut down, and what is on its disk stays to be looked at. */
  retire(machine: SimMachine): void {
    const at = this.machines.indexOf(machine)
    if (at < 0) return
    this.machines.splice(at, 1)
    this.retired.push(machine)
  }

  start(): void {
    for (const machine of this.machines) machine.start()
  }

  machine(id: string): SimMachine {
    return [...this.machines, ...this.retired].find(machine => machine.id === id)!
  }

  newClient(name: string): SimClient {
    const seeds = this.machines.map(machine => ({ peer: machine.peer, address: `${machine.id}:7000` }))
    return makeClient(this.simulation, this.network, this.simulation.random.fork(), name, seeds)
  }

  /** All faults of network and clocks end; machines that are down are not started here. */
  calm(): void {
    this.network.healAll()
    Object.assign(this.network.conditions, calmConditions)
    for (const { time, disk, table } of this.machines) {
      if (time.paused) time.resume()
      time.setRate(1)
      time.correctWall()
      disk.slowness = 1
      table.slowness = 1
      disk.setCapacity(Number.POSITIVE_INFINITY)
      table.full = false
    }
  }
}
