/**
 * One machine of the cluster: disk, table and clock that outlive the processes on it, and the node that
 * runs there now, if any.
 *
 * A crash ends a life: the node is halted, its clock is killed, its transport is detached, and the disk's
 * mount ends, so nothing of it runs on. A power cut loses what was not synced; a killed process leaves the
 * machine's cache behind. A store that reports damage waits for its operator, who wipes it; the node then
 * joins again under a new incarnation.
 */

import {
  isQuorateError,
  Node,
  type NodeConfig,
  type NodeId,
  type PeerId,
  type QuorateError,
  SeededRandom,
  type StoreLimits,
} from '@quorate/core'
import { MachineTime, ProcessClock } from './machine-time.ts'
import { SimDisk } from './sim-disk.ts'
import type { SimNetwork } from './sim-network.ts'
import { SimTable } from './sim-table.ts'
import type { Simulation } from './simulation.ts'
import type { StorageFault } from './storage-faults.ts'

export type MachineState = 'down' | 'opening' | 'up' | 'damaged'

export interface SimMachineOptions {
  readonly simulation: Simulation
  readonly network: SimNetwork
  readonly config: NodeConfig
  readonly seed: number
  readonly storeLimits: Partial<StoreLimits>
  readonly onStorageFault: (fault: StorageFault) => void
  /** The store ended the process. */
  readonly onFatal: (machine: SimMachine, error: QuorateError) => void
  readonly onDamaged: (machine: SimMachine, error: QuorateError) => void
  readonly onUp: (machine: SimMachine) => void
  /** The process ends; its node may still be looked at. */
  readonly onEnd: (machine: SimMachine) => void
}

const FULL_RETRY_MS = 2_000

export class SimMachine {
  readonly id: NodeId
  readonly peer: PeerId
  readonly time: MachineTime
  readonly #options: SimMachineOptions
  readonly #random: SeededRandom
  disk: SimDisk
  table: SimTable
  state: MachineState = 'down'
  node: Node | undefined
  /** Lives of a process begun on this machine. */
  life = 0
  /** Stores this machine has had. */
  stores = 1
  /** Cuts the power when so many more steps of storage operations have begun or ended. */
  cutAfterSteps = Number.POSITIVE_INFINITY
  /** What a cut at a storage step does, besides ending the process. */
  onCut: () => void = () => {}
  #clock: ProcessClock | undefined

  constructor(options: SimMachineOptions) {
    this.#options = options
    this.id = options.config.id
    this.peer = options.config.id as string as PeerId
    this.#random = new SeededRandom(options.seed)
    this.time = new MachineTime(options.simulation, 1_000 + (options.seed % 1_000_000), 0)
    const { disk, table } = this.#newStorage()
    this.disk = disk
    this.table = table
    options.network.listen(this.peer, addressOf(options.config, this.id))
  }

  #newStorage(): { disk: SimDisk; table: SimTable } {
    const world = {
      clock: new ProcessClock(this.time),
      random: this.#random.fork(),
      latencyMaxMs: 0.8,
      onFault: this.#options.onStorageFault,
      onOperation: () => {
        if (--this.cutAfterSteps > 0) return
        this.cutAfterSteps = Number.POSITIVE_INFINITY
        this.onCut()
      },
    }
    return { disk: new SimDisk(world), table: new SimTable(world) }
  }

  start(): void {
    if (this.state !== 'down') return
    const { simulation, network, config, storeLimits } = this.#options
    const life = ++this.life
    this.state = 'opening'
    const clock = new ProcessClock(this.time)
    this.#clock = clock
    const world = {
      clock,
      random: this.#random.fork(),
      disk: this.disk.mount(),
      table: this.table.mount(),
      transport: network.attach(this.peer, this.time),
    }
    // A store may end its process, and be found damaged, while the node is still being opened.
    const alive = (): boolean => this.life === life && (this.state === 'opening' || this.state === 'up')
    const hooks = {
      storeLimits,
      onFatal: (error: QuorateError) => {
        if (alive()) this.#options.onFatal(this, error)
      },
      onTrouble: (message: string) => simulation.tell(`${this.id} trouble: ${message}`),
      onNews: (message: string) => simulation.tell(`${this.id}: ${message}`),
    }
    Node.open(world, config, hooks).then(
      node => {
        // Opened, and yet found damaged on the way: the process has ended already.
        if (!alive()) return
        this.node = node
        this.state = 'up'
        this.#options.onUp(this)
      },
      (error: unknown) => {
        if (alive()) this.#notOpened(error)
      },
    )
  }

  #notOpened(error: unknown): void {
    const { simulation } = this.#options
    if (!isQuorateError(error)) return simulation.fail(error)
    this.#end()
    this.disk.processKill()
    simulation.tell(`${this.id} did not open: ${error.code}: ${error.message}`)
    if (error.code === 'STORE_DAMAGED') {
      this.state = 'damaged'
      this.#options.onDamaged(this, error)
    } else if (error.code === 'STORE_FULL' || error.code === 'STORE_FAILED') {
      simulation.at(FULL_RETRY_MS * 1_000, () => this.start())
    } else simulation.fail(error)
  }

  /** Ends the process, with the power or without it. */
  crash(how: 'power cut' | 'kill'): void {
    if (this.state === 'down') return
    this.#end()
    if (how === 'power cut') {
      this.disk.powerCut()
      this.table.powerCut()
    } else {
      this.disk.processKill()
    }
  }

  #end(): void {
    this.cutAfterSteps = Number.POSITIVE_INFINITY
    if (this.time.paused) this.time.resume()
    if (this.node !== undefined) this.#options.onEnd(this)
    this.node?.halt()
    this.node = undefined
    this.#clock?.kill()
    this.#clock = undefined
    this.#options.network.detach(this.peer)
    this.state = 'down'
  }

  /** The operator puts in an empty disk. The machine must be down. */
  wipe(): void {
    this.state = 'down'
    const { disk, table } = this.#newStorage()
    this.disk = disk
    this.table = table
    this.stores++
  }
}

function addressOf(config: NodeConfig, id: NodeId): string {
  return config.members.find(member => member.id === id)!.address
}
