/** Everything that moves rows between nodes, composed, and kept up with what operators do and what users feel. */

import { isQuorateError } from '../base/errors.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { Janitor } from '../movement/janitor.ts'
import { Mover } from '../movement/mover.ts'
import { Receiver } from '../movement/receiver.ts'
import { serveMoves } from '../movement/source.ts'
import { Splitter } from '../movement/splitter.ts'
import { LatencyLevel, Throttle } from '../movement/throttle.ts'
import { pause } from '../ports/pause.ts'
import type { Sweeper } from '../sweep/sweeper.ts'
import type { Trees } from '../sweep/trees.ts'
import { AutoBalancer } from './auto-balancer.ts'
import { ClusterControl } from './cluster-control.ts'
import type { Coordination } from './coordination.ts'
import { askHot, reportsOf, serveHot } from './hot.ts'
import type { LeaderParts } from './leader-parts.ts'
import type { NodeTuning } from './node-config.ts'

const FOLLOW_MS = 1_000
/** Gossip tells of changes; once in so many looks they are read whether it did or not. */
const FOLLOW_READS = 5
/** Of words that gossip carries. */
const TOLD_CHARS = 200

export interface MovementOptions {
  readonly node: NodeContext
  readonly coordination: Coordination
  readonly sweeper: Sweeper
  readonly trees: Trees
  readonly tuning: NodeTuning
  readonly freeBytes: () => number
  readonly leaders: LeaderParts
}

export class MovementParts {
  readonly control: ClusterControl
  readonly mover: Mover
  readonly receiver: Receiver
  readonly throttle: Throttle
  readonly splitter: Splitter
  readonly #options: MovementOptions
  readonly #janitor: Janitor
  readonly #auto: AutoBalancer
  #stopped = false

  constructor(options: MovementOptions) {
    this.#options = options
    const { node, coordination, sweeper, trees, tuning, freeBytes, leaders } = options
    const mapsAreKept = (): boolean => coordination.maps.keep()
    this.control = new ClusterControl({
      node,
      coordination,
      tokensPerNode: tuning.tokensPerNode,
      bytesPerSecond: tuning.moveBytesPerSecond,
      parallel: tuning.movesAtOnce,
    })
    this.throttle = new Throttle(node.clock, tuning.moveBytesPerSecond)
    this.receiver = new Receiver({
      node,
      sweeper,
      throttle: this.throttle,
      isRunning: task => this.control.isRunning(task),
      taskOfNow: () => this.control.changes.task,
      mapsAreKept,
      pageBytes: tuning.movePageBytes,
      isWholeUnder: (table, partition, version) =>
        leaders.partitions.find(table, partition)?.seat.isWholeUnder(version) === true,
    })
    this.mover = new Mover({
      node,
      isDriver: () => this.control.isDriver(),
      task: () => this.control.driven(),
      knownTask: () => this.control.changes.task?.id,
      taskOfNow: async () => (await this.control.refresh()).task?.id,
      change: (table, index, change) => this.control.changeMap(table, index, change),
      finish: task => this.control.finish(task),
    })
    this.#janitor = new Janitor(node, mapsAreKept)
    const giveUpLead = leaders.handOver.toOneOf.bind(leaders.handOver)
    serveMoves({ node, sweeper, trees, mapsAreKept, freeBytes, giveUpLead })
    this.splitter = new Splitter({
      node,
      trees,
      intervalMs: tuning.splitIntervalMs,
      change: (table, index, change) => this.control.changeMap(table, index, change),
      ask: async (table, nodes, leastPerSecond) => {
        const replies = await askHot(node, nodes, { table, leastPerSecond })
        return [...replies.values()].map(reportsOf)
      },
      isCommitting: () => this.control.changes.task?.state === 'committing',
    })
    serveHot(node, () => this.splitter.refusals())
    this.#auto = new AutoBalancer({
      node,
      intervalMs: tuning.autoIntervalMs,
      isDriver: () => coordination.hasRegisters && this.control.isDriver(),
      known: () => this.control.changes,
      refresh: () => this.control.refresh(),
      arm: () => this.control.armAuto(),
      commit: (...given) => this.control.commitAuto(...given),
      tell: words => coordination.membership.set('auto', words.slice(0, TOLD_CHARS)),
    })
  }

  start(): void {
    this.mover.start()
    this.#janitor.start()
    this.splitter.start()
    this.#auto.start()
    void this.#follow()
  }

  stop(): void {
    this.#stopped = true
    this.mover.stop()
    this.receiver.stop()
    this.#janitor.stop()
    this.splitter.stop()
    this.#auto.stop()
  }

  async #follow(): Promise<void> {
    const { node, coordination } = this.#options
    const level = new LatencyLevel()
    for (let turn = 0; !this.#stopped; turn++) {
      await pause(node.clock, FOLLOW_MS)
      if (this.#stopped) return
      try {
        if (turn % FOLLOW_READS === 0) await this.control.follow()
        await this.control.tidyUp()
      } catch (error) {
        // No quorum of the registers now: what is known goes on, and is looked at again.
        if (!isQuorateError(error)) throw error
      }
      const { task } = this.control.changes
      if (task !== undefined) this.throttle.begin(task.id, task.bytesPerSecond)
      const strain = level.look(node.latency.p99(), task !== undefined, this.throttle.isAtFloor())
      coordination.membership.set('strain', Math.round(strain * 10) / 10)
      this.throttle.look(this.#greatestStrain())
    }
  }

  #greatestStrain(): number {
    const { node, coordination } = this.#options
    const { membership } = coordination
    return node.catalog.members.members
      .filter(({ id }) => !membership.isSuspected(id))
      .reduce((most, { id }) => Math.max(most, Number(membership.get(id, 'strain') ?? 0)), 0)
  }
}
