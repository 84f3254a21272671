/**
 * Histories told message by message, which chance hardly finds: three nodes, a table of one partition with a leader, and
 * what happens to them, step by step. That a history does not come about is an error of it.
 */

import { type QuorateClient, table } from '@quorate/client/pure'
import { defaultTuning, type PeerId } from '@quorate/core'
import { CarriedOut } from '../checkers/carried-out.ts'
import type { Violation } from '../checkers/evidence.ts'
import { SimCluster } from '../world/sim-cluster.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import { Simulation } from '../world/simulation.ts'
import type { SwarmHost } from './swarm.ts'

export const notes = table<{ readonly id: string; readonly text: string }>('notes', { key: 'id' })

const WITHIN_MS = 600_000
const STEP_MS = 60_000
const LOOK_MS = 0.1

type Held = ReturnType<NonNullable<SimMachine['node']>['leaders']['partitions']['held']>[number]

export const seatOf = ({ node }: SimMachine): Held['seat'] | undefined =>
  node?.leaders.partitions.held()[0]?.seat
export const leads = (machine: SimMachine): boolean => seatOf(machine)?.leading !== undefined
export const serves = (machine: SimMachine): boolean => seatOf(machine)?.leading?.isServing === true

export type History = (stage: ToldStage) => Promise<void>

/** What was violated; that the history did not take place is told as one, too. */
export async function runTold(
  history: History,
  seed: number,
  host: SwarmHost,
): Promise<readonly Violation[]> {
  const violations: Violation[] = []
  const violate = (checker: string, message: string): void => void violations.push({ checker, message })
  const simulation = new Simulation({ seed, drain: host.drain, line: host.line })
  host.watch?.(error => simulation.fail(error))
  const stage = new ToldStage(simulation, violate)
  let isOver = false
  history(stage).then(
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

export class ToldStage {
  readonly cluster: SimCluster
  readonly violate: (checker: string, message: string) => void
  readonly logs: CarriedOut
  /** Called for each message, as it comes in. */
  onDeliver: (from: PeerId, to: PeerId, frame: Uint8Array) => void = () => {}

  constructor(simulation: Simulation, violate: (checker: string, message: string) => void) {
    const onDeliver = (from: PeerId, to: PeerId, frame: Uint8Array): void => this.onDeliver(from, to, frame)
    const tuning = { ...defaultTuning, gossipIntervalMs: 300 }
    this.cluster = new SimCluster(simulation, { nodes: 3, zones: 3, tuning, storeLimits: {} }, { onDeliver })
    this.violate = violate
    this.logs = new CarriedOut(this.cluster, violate)
    this.cluster.start()
  }

  /** The table is there with one row, and a leader has its lease. */
  async begin(client: QuorateClient): Promise<[SimMachine, ...SimMachine[]]> {
    await client.ready({ timeoutMs: STEP_MS })
    await client.createTable('notes', {
      key: 'id',
      partitioning: { kind: 'fixed', partitions: 1 },
      replication: { kind: 'single-leader', n: 3 },
    })
    await client.table(notes).put({ id: 'note', text: '' })
    this.logs.watch()
    const { machines } = this.cluster
    await this.until('a leader has its lease', () => machines.some(serves))
    const leader = machines.find(leads)!
    return [leader, ...machines.filter(one => one !== leader)]
  }

  cut(one: string, other: string): void {
    this.cluster.network.cut(one, other)
    this.cluster.network.cut(other, one)
  }

  async until(what: string, ask: () => boolean): Promise<void> {
    const { simulation } = this.cluster
    const endMs = simulation.nowMs + STEP_MS
    while (!ask()) {
      if (simulation.nowMs > endMs) throw new Error(`within ${STEP_MS} ms it was not so that ${what}`)
      await new Promise<void>(resolve => simulation.at(LOOK_MS * 1_000, resolve))
    }
  }
}
