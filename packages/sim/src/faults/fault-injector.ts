/**
 * Does harm, by the seed: episodes of every enabled kind, each counted when it really happens.
 *
 * What may not be done is in `destruction.ts`. Clocks are wrong on fewer than half of the machines at a
 * time, since cluster time is a median: a majority of wrong clocks *is* the time.
 */

import {
  keyspaces,
  type QuorateError,
  randomBelow,
  randomChance,
  randomPick,
  randomShuffle,
  randomUnit,
  type SeededRandom,
} from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import type { NetworkFault } from '../world/sim-network.ts'
import type { StorageFault } from '../world/storage-faults.ts'
import { DestructionLedger } from './destruction.ts'
import { type FaultCounts, type FaultKind, faultKinds, noFaults } from './fault-kinds.ts'

export interface FaultOptions {
  readonly kinds: ReadonlySet<FaultKind>
  /** Mean time between episodes. */
  readonly everyMs: number
}

/** A torn write is not injected by itself: it is what a power cut may leave. */
const episodes: readonly FaultKind[] = faultKinds.filter(kind => kind !== 'torn write')

export class FaultInjector {
  readonly counts: FaultCounts = noFaults()
  readonly destruction = new DestructionLedger()
  readonly #options: FaultOptions
  readonly #random: SeededRandom
  #cluster: SimCluster | undefined
  #active = false
  readonly #wrongClocks = new Set<SimMachine>()
  /** Given up: nobody starts them any more. */
  readonly gone = new Set<SimMachine>()
  /** Called when a store goes. */
  onWipe: (machine: SimMachine) => void = () => {}

  constructor(options: FaultOptions, random: SeededRandom) {
    this.#options = options
    this.#random = random
  }

  follow(cluster: SimCluster): void {
    this.#cluster = cluster
    for (const machine of cluster.machines) this.watch(machine)
  }

  /** A machine that was added. */
  watch(machine: SimMachine): void {
    machine.onCut = () => this.#crash(machine, 'power cut', 'at a storage step')
  }

  #isGone(machine: SimMachine): boolean {
    return this.gone.has(machine)
  }

  #the(): SimCluster {
    return this.#cluster!
  }

  networkFault(fault: NetworkFault): void {
    this.counts[fault]++
  }

  storageFault(fault: StorageFault): void {
    if (fault === 'sector zeroed' || fault === 'unsynced bytes cut') this.counts['torn write']++
    else if (fault === 'unsynced bytes lost') this.counts['crash losing unsynced bytes']++
    else if (fault === 'sync failed') this.counts['failed sync']++
    else if (fault === 'disk full') this.counts['disk full']++
  }

  /** The store ended its process: the machine lives on, or goes down with it. */
  fatal(machine: SimMachine, error: QuorateError): void {
    if (error.code === 'STORE_DAMAGED') {
      machine.crash('kill')
      machine.state = 'damaged'
      return this.damaged(machine)
    }
    this.#crash(
      machine,
      randomChance(this.#random, 0.5) ? 'power cut' : 'kill',
      'the store ended the process',
    )
  }

  /** The operator empties a store that reported damage. */
  damaged(machine: SimMachine): void {
    this.#later(500 + randomBelow(this.#random, 2_000), () => {
      if (machine.state === 'damaged' && !this.#isGone(machine)) this.#wipe(machine)
    })
  }

  start(): void {
    this.#active = true
    this.#next()
  }

  #next(): void {
    const delayMs = this.#options.everyMs * (0.2 + 1.6 * randomUnit(this.#random))
    this.#later(delayMs, () => {
      if (!this.#active) return
      const enabled = episodes.filter(kind => this.#options.kinds.has(kind))
      if (enabled.length > 0) this.#strike(randomPick(this.#random, enabled))
      this.#next()
    })
  }

  /** Ends all faults: links, clocks and disks are as they should be, and every machine comes back. */
  heal(): void {
    this.#active = false
    const cluster = this.#the()
    cluster.calm()
    this.#wrongClocks.clear()
    for (const machine of cluster.machines) {
      machine.cutAfterSteps = Number.POSITIVE_INFINITY
      if (this.#isGone(machine)) continue
      if (machine.state === 'damaged') this.#wipe(machine)
      else machine.start()
    }
    cluster.simulation.tell('── healed ──')
  }

  #start(machine: SimMachine): void {
    if (!this.#isGone(machine) && !this.#the().retired.includes(machine)) machine.start()
  }

  #strike(kind: FaultKind): void {
    const standing = this.#the().machines.filter(machine => !this.#isGone(machine))
    const machine = randomPick(this.#random, standing)
    switch (kind) {
      case 'message delay':
        return this.#weather(
          {
            tailChance: 0.02 + randomUnit(this.#random) * 0.2,
            tailMs: 50 + randomBelow(this.#random, 1_500),
          },
          { tailChance: 0 },
        )
      case 'message loss':
        return this.#weather({ loss: 0.01 + randomUnit(this.#random) * 0.2 }, { loss: 0 })
      case 'message duplication':
        return this.#weather({ duplication: 0.05 + randomUnit(this.#random) * 0.3 }, { duplication: 0 })
      case 'message reordering':
        return this.#weather({ reordering: 0.05 + randomUnit(this.#random) * 0.3 }, { reordering: 0 })
      case 'one-way cut':
        return this.#cutOneWay()
      case 'partial cut':
        return this.#cutPartially()
      case 'crash losing unsynced bytes':
        return this.#crashSoon(machine)
      case 'process kill':
        return this.#crash(machine, 'kill', 'killed')
      case 'power cut of many':
        return this.#cutPowerOfMany()
      case 'pause':
        return this.#pause(machine)
      case 'clock jump':
        return this.#jump(machine)
      case 'clock drift':
        return this.#drift(machine)
      case 'slow disk':
        return this.#slow(machine)
      case 'failed sync':
        if (machine.state === 'up') machine.disk.failNextSync()
        return
      case 'disk full':
        return this.#fill(machine)
      case 'bit flip in the log':
        return this.#flipLog(machine)
      case 'bit flip in the table':
        return this.#flipTable(machine)
      case 'store wiped':
        return this.#wipeNow(machine)
      case 'torn write':
        return
    }
  }

  #later(delayMs: number, run: () => void): void {
    this.#the().simulation.at(delayMs * 1_000, run)
  }

  #tell(line: string): void {
    const { simulation } = this.#the()
    if (simulation.isTold) simulation.tell(`FAULT ${line}`)
  }

  #spanMs(): number {
    return 300 + randomUnit(this.#random) ** 2 * 8_000
  }

  #weather(
    on: Partial<SimCluster['network']['conditions']>,
    off: Partial<SimCluster['network']['conditions']>,
  ): void {
    const { network } = this.#the()
    Object.assign(network.conditions, on, { tellUnreachable: randomUnit(this.#random) })
    this.#tell(`network ${JSON.stringify(on)}`)
    this.#later(this.#spanMs(), () => {
      Object.assign(network.conditions, off)
    })
  }

  #cutOneWay(): void {
    const { network, machines } = this.#the()
    const [from, to] = randomShuffle(this.#random, machines) as [SimMachine, SimMachine]
    this.counts['one-way cut']++
    network.cut(from.id, to.id)
    this.#tell(`cut ${from.id} -> ${to.id}`)
    this.#later(this.#spanMs(), () => network.heal(from.id, to.id))
  }

  /** Some nodes are separated from some others; a third kind may see both. */
  #cutPartially(): void {
    const { network, machines } = this.#the()
    const shuffled = randomShuffle(this.#random, machines)
    const left = shuffled.slice(0, 1 + randomBelow(this.#random, Math.floor(machines.length / 2)))
    const rest = shuffled.slice(left.length)
    const right = randomChance(this.#random, 0.5)
      ? rest
      : rest.slice(0, 1 + randomBelow(this.#random, rest.length))
    this.counts['partial cut']++
    const pairs = left.flatMap(a => right.flatMap(b => [[a.id, b.id] as const, [b.id, a.id] as const]))
    for (const [from, to] of pairs) network.cut(from, to)
    this.#tell(`cut between ${left.map(m => m.id).join(' ')} and ${right.map(m => m.id).join(' ')}`)
    this.#later(this.#spanMs(), () => {
      for (const [from, to] of pairs) network.heal(from, to)
    })
  }

  /** Power goes at one of the next steps of a disk or table operation: in the middle of things. */
  #crashSoon(machine: SimMachine): void {
    if (machine.state !== 'up') return
    machine.cutAfterSteps = 1 + randomBelow(this.#random, 40)
  }

  #crash(machine: SimMachine, how: 'power cut' | 'kill', why: string): void {
    if (machine.state === 'down' || machine.state === 'damaged') return
    if (how === 'kill') this.counts['process kill']++
    this.#tell(`${how} of ${machine.id} (${why})`)
    machine.crash(how)
    const { simulation } = this.#the()
    simulation.at((100 + randomUnit(this.#random) ** 2 * 6_000) * 1_000, () => this.#start(machine))
  }

  #cutPowerOfMany(): void {
    const { machines } = this.#the()
    const spared = randomChance(this.#random, 0.5) ? 0 : 1
    this.counts['power cut of many']++
    for (const machine of randomShuffle(this.#random, machines).slice(spared)) {
      this.#crash(machine, 'power cut', 'with most others')
    }
  }

  #pause(machine: SimMachine): void {
    if (machine.state !== 'up' || machine.time.paused) return
    this.counts.pause++
    machine.time.pause()
    const { life } = machine
    this.#tell(`pause of ${machine.id}`)
    this.#later(this.#spanMs(), () => {
      if (machine.life === life && machine.time.paused) machine.time.resume()
    })
  }

  #mayTurnClock(machine: SimMachine): boolean {
    const wrongMax = Math.floor((this.#the().machines.length - 1) / 2)
    if (!this.#wrongClocks.has(machine) && this.#wrongClocks.size >= wrongMax) return false
    this.#wrongClocks.add(machine)
    return true
  }

  #jump(machine: SimMachine): void {
    if (!this.#mayTurnClock(machine)) return
    const byMs =
      randomPick(this.#random, [1, -1]) *
      randomPick(this.#random, [200, 2_000, 20_000, 3_600_000]) *
      randomUnit(this.#random)
    this.counts['clock jump']++
    machine.time.jumpWall(byMs)
    this.#tell(`clock of ${machine.id} jumps by ${Math.round(byMs)} ms`)
    this.#rightLater(machine)
  }

  #drift(machine: SimMachine): void {
    if (!this.#mayTurnClock(machine)) return
    const rate = 0.97 + randomUnit(this.#random) * 0.06
    this.counts['clock drift']++
    machine.time.setRate(rate)
    this.#tell(`clock of ${machine.id} runs at ${rate.toFixed(3)}`)
    this.#rightLater(machine)
  }

  #rightLater(machine: SimMachine): void {
    this.#later(2_000 + this.#spanMs(), () => {
      machine.time.setRate(1)
      machine.time.correctWall()
      this.#wrongClocks.delete(machine)
    })
  }

  #slow(machine: SimMachine): void {
    const factor = 5 + randomBelow(this.#random, 300)
    this.counts['slow disk']++
    const { disk, table } = machine
    disk.slowness = factor
    if (randomChance(this.#random, 0.5)) table.slowness = factor
    this.#tell(`disk of ${machine.id} is ${factor} times slower`)
    this.#later(this.#spanMs(), () => {
      disk.slowness = 1
      table.slowness = 1
    })
  }

  #fill(machine: SimMachine): void {
    const { disk, table } = machine
    disk.setCapacity(disk.usedBytes + randomBelow(this.#random, 4_000))
    if (randomChance(this.#random, 0.3)) {
      table.full = true
      this.counts['disk full']++
    }
    this.#tell(`disk of ${machine.id} is nearly full`)
    this.#later(this.#spanMs(), () => {
      disk.setCapacity(Number.POSITIVE_INFINITY)
      table.full = false
    })
  }

  #flipLog(machine: SimMachine): void {
    const names = machine.disk.names().filter(name => machine.disk.size(name) > 0)
    if (names.length === 0 || !this.destruction.allows(machine)) return
    const { name, offset } = machine.disk.flipBit(randomPick(this.#random, names))
    this.counts['bit flip in the log']++
    this.destruction.logFlipped(machine, name, this.#the().simulation.nowMs)
    this.#tell(`bit flipped in ${name} of ${machine.id} at ${offset}`)
    // Damage in a log is met when it is read: at a restart, mostly.
    if (randomChance(this.#random, 0.6)) this.#crashSoon(machine)
  }

  #flipTable(machine: SimMachine): void {
    if (!this.destruction.allows(machine)) return
    const spaces = randomChance(this.#random, 0.9)
      ? [keyspaces.row, keyspaces.tree]
      : [keyspaces.acceptor, keyspaces.meta]
    const keys = machine.table
      .keys()
      .filter(key => spaces.some(space => key.startsWith(space)) && machine.table.peek(key)!.length > 0)
    if (keys.length === 0) return
    const { nowMs } = this.#the().simulation
    for (let i = 0; i <= randomBelow(this.#random, 3); i++) {
      const key = randomPick(this.#random, keys)
      machine.table.flipBit(key)
      this.counts['bit flip in the table']++
      if (key.startsWith(keyspaces.row)) this.destruction.rowFlipped(machine, key, nowMs)
      else if (!key.startsWith(keyspaces.tree))
        this.destruction.promiseFlipped(machine, key, machine.table.peek(key)!, nowMs)
      this.#tell(`bit flipped in a value of ${machine.id} under "${key.charAt(0)}"`)
    }
  }

  #wipeNow(machine: SimMachine): void {
    if (!this.destruction.allows(machine)) return
    if (machine.state === 'up') machine.crash('power cut')
    if (machine.state === 'down') this.#wipe(machine)
  }

  #wipe(machine: SimMachine): void {
    const { simulation } = this.#the()
    this.counts['store wiped']++
    this.destruction.wiped(machine, simulation.nowMs)
    this.onWipe(machine)
    machine.wipe()
    this.#tell(`store of ${machine.id} wiped`)
    this.#later(100 + randomBelow(this.#random, 1_500), () => this.#start(machine))
  }
}
