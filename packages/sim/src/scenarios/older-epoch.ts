/**
 * The history of figure 8 of the Raft paper, told message by message: an entry of an older epoch lies on a majority,
 * and is overwritten all the same. So nobody may carry it out before an entry of the leader's own epoch lies on a
 * majority, too. Random runs hardly meet it: a follower must get the one batch and not the next.
 *
 *   1. A leads. It takes a write, which nobody else gets.
 *   2. B leads. It begins its epoch with an entry, which nobody else gets, and dies.
 *   3. A leads again, by its own log and C's. C gets the write of 1, and not the entry that begins A's new epoch. A dies.
 *   4. B leads, by its own log and C's, since its log ends with the newer epoch. The write of 1 goes, on C and on A.
 */

import { table } from '@quorate/client/pure'
import { defaultTuning, isQuorateError, limits, type PeerId, pause } from '@quorate/core'
import { CarriedOut } from '../checkers/carried-out.ts'
import type { Violation } from '../checkers/evidence.ts'
import { ledDifferences } from '../checkers/logs.ts'
import { SimCluster } from '../world/sim-cluster.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import { Simulation } from '../world/simulation.ts'
import type { SwarmHost } from './swarm.ts'

const notes = table<{ readonly id: string; readonly text: string }>('notes', { key: 'id' })
/** Longer than a batch: what comes behind it goes in another message. */
const LONG = 'x'.repeat(limits.logBatchBytes + 1)
const WITHIN_MS = 600_000
const STEP_MS = 60_000
const LOOK_MS = 0.1

type Held = ReturnType<NonNullable<SimMachine['node']>['leaders']['partitions']['held']>[number]

const seatOf = ({ node }: SimMachine): Held['seat'] | undefined => node?.leaders.partitions.held()[0]?.seat
const leads = (machine: SimMachine): boolean => seatOf(machine)?.leading !== undefined
const endOf = (machine: SimMachine) => seatOf(machine)!.replica.log.end

/** What was violated; that the history did not take place is told as one, too. */
export async function runOlderEpoch(seed: number, host: SwarmHost): Promise<readonly Violation[]> {
  const violations: Violation[] = []
  const violate = (checker: string, message: string): void => void violations.push({ checker, message })
  const simulation = new Simulation({ seed, drain: host.drain, line: host.line })
  host.watch?.(error => simulation.fail(error))
  const history = new OlderEpoch(simulation, violate)
  let isOver = false
  history.run().then(
    () => {
      isOver = true
    },
    (error: unknown) => simulation.fail(error),
  )
  await simulation.run(WITHIN_MS, () => isOver)
  if (simulation.failure !== undefined) violate('crash', String(simulation.failure.error))
  else if (!isOver) violate('liveness', 'the history did not end')
  return violations
}

class OlderEpoch {
  readonly #cluster: SimCluster
  readonly #logs: CarriedOut
  /** Called for each long message, as it comes in. */
  #onLong: (from: PeerId, to: PeerId) => void = () => {}

  constructor(simulation: Simulation, violate: (checker: string, message: string) => void) {
    const onDeliver = (from: PeerId, to: PeerId, frame: Uint8Array): void => {
      if (frame.length > LONG.length) this.#onLong(from, to)
    }
    const options = {
      nodes: 3,
      zones: 3,
      tuning: { ...defaultTuning, gossipIntervalMs: 300 },
      storeLimits: {},
    }
    this.#cluster = new SimCluster(simulation, options, { onDeliver })
    this.#logs = new CarriedOut(this.#cluster, violate)
    this.#cluster.start()
  }

  async run(): Promise<void> {
    const { client } = this.#cluster.newClient('c1')
    await client.ready({ timeoutMs: STEP_MS })
    await client.createTable('notes', {
      key: 'id',
      partitioning: { kind: 'fixed', partitions: 1 },
      replication: { kind: 'single-leader', n: 3 },
    })
    const db = client.table(notes)
    await db.put({ id: 'short', text: '' })
    this.#logs.watch()
    await this.#until('a leader has its lease', () =>
      this.#cluster.machines.some(one => seatOf(one)?.leading?.isServing),
    )
    const { machines } = this.#cluster
    const a = machines.find(leads)!
    const others = machines.filter(one => one !== a)

    for (const other of others) this.#cut(a.peer, other.peer)
    for (const other of others) this.#cut('c1', other.peer)
    const before = endOf(a)
    await db.put({ id: 'long', text: LONG }, { timeoutMs: 200 }).catch(onlyUnknown)
    const long = endOf(a)
    if (long.position !== before.position + 1) throw new Error('A has not taken the write')

    await this.#until('B leads', () => others.some(leads))
    const b = others.find(leads)!
    const c = others.find(one => one !== b)!
    this.#cut(b.peer, c.peer)
    await this.#until('B has begun its epoch', () => endOf(b).epoch > long.epoch)
    // Until it is on its disk.
    await pause(client.clock, 20)
    b.crash('power cut')
    if (endOf(c).position !== before.position) throw new Error('C has the entry that begins the epoch of B')

    const got = this.#gotLong(a, c)
    this.#cluster.network.healAll()
    await this.#until('C has the write and no more', () => got() && endOf(c).position === long.position)
    await pause(client.clock, 100)
    a.crash('power cut')
    if (endOf(c).epoch !== long.epoch) throw new Error('C has the entry that begins the second epoch of A')

    this.#cluster.network.healAll()
    b.start()
    await this.#until('B leads again', () => seatOf(b)?.leading?.isServing === true)
    if (endOf(c).epoch === long.epoch) throw new Error('C leads')
    a.start()
    await this.#until('all are alike', () => ledDifferences(this.#cluster).length === 0)
    this.#logs.look()
  }

  /** Cuts A off from C when C gets the long message of A's second epoch: what A has sent behind it is lost. */
  #gotLong(a: SimMachine, c: SimMachine): () => boolean {
    const first = endOf(a).epoch
    let isCut = false
    this.#onLong = (from, to) => {
      if (from !== a.peer || to !== c.peer || (seatOf(a)?.leading?.epoch ?? 0) <= first) return
      this.#cluster.network.cut(a.peer, c.peer)
      isCut = true
    }
    return () => isCut
  }

  #cut(one: string, other: string): void {
    this.#cluster.network.cut(one, other)
    this.#cluster.network.cut(other, one)
  }

  async #until(what: string, ask: () => boolean | undefined): Promise<void> {
    const { simulation } = this.#cluster
    const endMs = simulation.nowMs + STEP_MS
    while (ask() !== true) {
      if (simulation.nowMs > endMs) throw new Error(`within ${STEP_MS} ms it was not so that ${what}`)
      await new Promise<void>(resolve => simulation.at(LOOK_MS * 1_000, resolve))
    }
  }
}

function onlyUnknown(error: unknown): void {
  if (!isQuorateError(error) || error.outcome !== 'unknown') throw error
}
