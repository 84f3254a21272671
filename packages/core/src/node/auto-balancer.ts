/**
 * Looks now and then how even members are, and makes a plan when an operator has switched that on and it is
 * time (`movement/auto-decision.ts` decides, `movement/balance.ts` chooses the moves). The node that drives
 * does it; that two think they do is settled by the register, which one of them changes.
 */

import { isQuorateError } from '../base/errors.ts'
import type { AutoBalancing, ClusterChanges, Task } from '../catalog/cluster-changes.ts'
import { stampMs } from '../causality/hybrid-clock.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { decideAuto, isPastBound } from '../movement/auto-decision.ts'
import { balancingMoves, imbalanceOf, type WeighedPartition } from '../movement/balance.ts'
import { pause } from '../ports/pause.ts'
import { askHot, type HotReplies, reportsOf } from './hot.ts'
import { type MeasuredCluster, measureCluster } from './plan-input.ts'

/** Moves of one plan, at most: what an operator can still read. */
const MOVES_MAX = 64
/** Per member: less load than this is no imbalance, whoever has it. */
const LOAD_MIN = 10

export interface AutoBalancerOptions {
  readonly node: NodeContext
  readonly intervalMs: number
  readonly isDriver: () => boolean
  /** What is known here, and what the registers have now. */
  readonly known: () => ClusterChanges
  readonly refresh: () => Promise<ClusterChanges>
  readonly arm: () => Promise<void>
  readonly commit: (
    moves: ReturnType<typeof balancingMoves>['moves'],
    seen: ClusterChanges,
    measured: MeasuredCluster,
    after: Pick<AutoBalancing, 'phase' | 'lastMs'>,
  ) => Promise<Task>
  /** What it waits for, or did, in words. */
  readonly tell: (words: string) => void
}

interface Sight {
  readonly measured: MeasuredCluster
  readonly partitions: readonly WeighedPartition[]
  readonly silent: ReadonlySet<string>
  readonly imbalance: number | undefined
}

export class AutoBalancer {
  readonly #options: AutoBalancerOptions
  #looks = 0
  #told = ''
  #stopped = false

  constructor(options: AutoBalancerOptions) {
    this.#options = options
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    const { node, intervalMs, isDriver } = this.#options
    while (!this.#stopped) {
      await pause(node.clock, intervalMs)
      if (this.#stopped) return
      try {
        if (isDriver()) await this.#look()
        else this.#looks = 0
      } catch (error) {
        // No quorum of the registers, or someone was first: looked at again.
        if (!isQuorateError(error)) throw error
        this.#looks = 0
        this.#tell(error.message)
      }
    }
  }

  #tell(words: string): void {
    if (words === this.#told) return
    this.#told = words
    this.#options.tell(words)
  }

  async #look(): Promise<void> {
    const { node, known, refresh, arm, commit } = this.#options
    const seen = known().auto?.isOn === true ? await refresh() : known()
    const { auto } = seen
    if (auto?.isOn !== true) {
      this.#looks = 0
      return this.#tell('')
    }
    const sight = await this.#sight(auto)
    const { members } = node.catalog.members
    const nowMs = stampMs(node.hybrid.peek())
    const look = {
      nowMs,
      imbalance: sight.imbalance,
      members: members.map(({ id, state }) => ({
        id,
        state,
        answers: !sight.silent.has(id) && !node.isSuspected(id),
      })),
      staged: seen.staged.length,
      taskRuns: seen.task !== undefined,
    }
    this.#looks = isPastBound(auto, look) ? this.#looks + 1 : 0
    const decision = decideAuto(auto, { ...look, looks: this.#looks })
    if (decision.kind === 'rest') return this.#tell(decision.why)
    this.#looks = 0
    if (decision.kind === 'arm') return arm()
    const { policy } = auto
    const { moves, isLimited, after } = balancingMoves(members, sight.partitions, {
      // Half-way to even, so that what is measured afterwards is below the lower bound too.
      target: (1 + policy.below) / 2,
      bytesMax: policy.bytesMax,
      movesMax: MOVES_MAX,
    })
    if (moves.length === 0)
      return this.#tell('no move of one copy within its limit would make members more even')
    const task = await commit(moves, seen, sight.measured, {
      phase: isLimited && after > policy.below ? 'going' : 'resting',
      lastMs: nowMs,
    })
    this.#tell(`committed ${task.id}`)
  }

  /** What each partition weighs, and who did not say. */
  async #sight({ policy }: AutoBalancing): Promise<Sight> {
    const { node } = this.#options
    const measured = await measureCluster(node)
    const { members } = node.catalog.members
    const ids = members.map(({ id }) => id)
    const hot: HotReplies = policy.by === 'load' ? await askHot(node, ids, {}) : new Map()
    const silent = new Set<string>(measured.silent)
    if (policy.by === 'load') for (const id of ids) if (!hot.has(id)) silent.add(id)
    const rates = ratesOf(hot)
    const partitions = node.catalog.views().flatMap(({ descriptor, map }) =>
      map.partitions
        .filter(({ move }) => move === undefined)
        .map(partition => {
          const name = `${descriptor.id}/${partition.id}`
          const { bytes = 0 } = measured.measured.get(name) ?? {}
          const weight = policy.by === 'bytes' ? bytes : (rates.get(name) ?? 0)
          const { settled: homes, id } = partition
          return { table: descriptor.name, partition: id, homes, weight, bytes }
        }),
    )
    const least = policy.by === 'load' ? LOAD_MIN * members.length : 0
    const total = partitions.reduce((sum, { weight, homes }) => sum + weight * homes.length, 0)
    const imbalance = total < least ? 1 : imbalanceOf(members, partitions)
    return { measured, partitions, silent, imbalance }
  }
}

/** Requests per second of each partition, whoever coordinated them. */
function ratesOf(hot: HotReplies): Map<string, number> {
  const rates = new Map<string, number>()
  for (const reply of hot.values())
    for (const { table, partition, readsPerSecond, writesPerSecond } of reportsOf(reply)) {
      const name = `${table}/${partition}`
      rates.set(name, (rates.get(name) ?? 0) + readsPerSecond + writesPerSecond)
    }
  return rates
}
