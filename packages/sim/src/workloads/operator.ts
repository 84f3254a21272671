/**
 * An operator who cannot leave the cluster alone: nodes join, leave and are replaced, partitions move, split
 * and merge, and tasks are paused, resumed and taken back half-way; now and then the cluster may balance itself
 * for a while. All by the seed and under all the faults.
 *
 * What it may not do is take away more disks than the promises allow: a node is given up for dead only when
 * nothing else is being destroyed (`DestructionLedger`), and one at a time.
 */

import {
  isQuorateError,
  type Node,
  randomBelow,
  randomChance,
  randomPick,
  type SeededRandom,
  type StagedChange,
} from '@quorate/core'
import type { DestructionLedger } from '../faults/destruction.ts'
import type { SimCluster } from '../world/sim-cluster.ts'
import type { SimMachine } from '../world/sim-machine.ts'

export interface OperatorCounts {
  joins: number
  leaves: number
  replacements: number
  commits: number
  refusals: number
  cancels: number
  pauses: number
  tasksDone: number
  autoSwitches: number
  /** Plans that nobody but the cluster made. */
  autoPlans: number
}

export interface OperatorParts {
  readonly cluster: SimCluster
  readonly random: SeededRandom
  /** Of its own, so that seeds from before keep everything else. */
  readonly autoRandom: SeededRandom
  readonly destruction: DestructionLedger
  /** Never fewer members than this. */
  readonly membersMin: number
  readonly membersMax: number
  /** Machines burn down, too, and are replaced. */
  readonly replaces: boolean
  readonly onNewcomer: (machine: SimMachine) => void
  /** A machine is gone for good, with everything that was on it. */
  readonly onGone: (machine: SimMachine) => void
}

export class Operator {
  readonly counts: OperatorCounts = {
    joins: 0,
    leaves: 0,
    replacements: 0,
    commits: 0,
    refusals: 0,
    cancels: 0,
    pauses: 0,
    tasksDone: 0,
    autoSwitches: 0,
    autoPlans: 0,
  }
  readonly #autoPlans = new Set<string>()
  readonly #parts: OperatorParts
  /** Given up for dead, and not yet replaced. */
  #dead: SimMachine | undefined
  /** No member any more, and still a home in the maps. */
  #missed: SimMachine | undefined
  #refusal = ''

  constructor(parts: OperatorParts) {
    this.#parts = parts
  }

  /** One thing done; what is refused or does not answer is part of an operator's day. */
  async step(): Promise<void> {
    this.#retireRemoved()
    const node = this.#someNode()
    if (node === undefined) return
    this.#watchAuto(node)
    try {
      if (randomChance(this.#parts.autoRandom, 0.12)) await this.#switchAuto(node)
      await this.#act(node)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      this.counts.refusals++
    }
  }

  #switchAuto(node: Node): Promise<unknown> {
    const { autoRandom } = this.#parts
    this.counts.autoSwitches++
    if (randomChance(autoRandom, 0.25)) return node.control.switchAuto(undefined)
    return node.control.switchAuto({
      by: randomPick(autoRandom, ['bytes', 'load']),
      above: randomPick(autoRandom, [1.05, 1.2, 1.5]),
      below: randomPick(autoRandom, [1.02, 1.04]),
      everyMs: randomPick(autoRandom, [1_000, 3_000]),
      bytesMax: randomPick(autoRandom, [500, 100_000]),
    })
  }

  /** Whoever makes a plan by itself moves copies, and does nothing else. */
  #watchAuto({ control }: Node): void {
    const { history, task } = control.changes
    for (const { id, origin, changes } of task === undefined ? history : [...history, task]) {
      if (origin !== 'auto' || this.#autoPlans.has(id)) continue
      this.#autoPlans.add(id)
      this.counts.autoPlans++
      if (changes.some(({ kind }) => kind !== 'move')) throw new Error(`plan ${id} does more than move`)
    }
  }

  #someNode(): Node | undefined {
    const up = this.#parts.cluster.machines.flatMap(({ node }) =>
      node !== undefined && node.catalog.member(node.config.id)?.state === 'active' ? [node] : [],
    )
    return up.length === 0 ? undefined : randomPick(this.#parts.random, up)
  }

  async #act(node: Node): Promise<void> {
    const { random } = this.#parts
    const { task } = node.control.changes
    const dead = this.#dead
    if (dead !== undefined && node.catalog.member(dead.id) !== undefined && randomChance(random, 0.4)) {
      await node.control.giveUp(dead.id)
      return
    }
    if (task !== undefined) {
      if (task.state === 'paused') return void (await node.control.resume(task.id))
      if (randomChance(random, 0.12)) {
        this.counts.cancels++
        return void (await node.control.cancel(task.id))
      }
      if (randomChance(random, 0.1)) {
        this.counts.pauses++
        return void (await node.control.pause(task.id))
      }
      return
    }
    if (randomChance(random, 0.5)) await this.#wish(node)
    if (randomChance(random, 0.7)) await this.#commit(node)
  }

  async #commit(node: Node): Promise<void> {
    const plan = await node.control.plan()
    if (plan.problems.length > 0) {
      this.#refusal = plan.problems[0]!.message
      await this.#refused(node.control.commit(plan.id), `plan ${plan.id} has problems and was committed`)
      await node.control.clear()
      return
    }
    await node.control.commit(plan.id)
    this.counts.commits++
    // The same plan again, through another node: it is spent, or another runs.
    const other = this.#someNode()
    if (other === undefined) return
    await this.#refused(other.control.commit(plan.id), `plan ${plan.id} was committed twice`)
  }

  async #refused(work: Promise<unknown>, otherwise: string): Promise<void> {
    const wasRefused = await work.then(
      () => false,
      (error: unknown) => (isQuorateError(error) ? true : Promise.reject(error)),
    )
    if (!wasRefused) throw new Error(otherwise)
    this.counts.refusals++
  }

  async #wish(node: Node): Promise<void> {
    const { random, cluster, membersMax } = this.#parts
    const members = node.catalog.members.members
    const kind = randomPick(random, [
      'join',
      'join',
      'leave',
      'leave',
      'replace',
      'reweigh',
      'move',
      'split',
      'merge',
    ] as const)
    if (kind === 'join') {
      if (cluster.machines.length >= membersMax) return
      this.counts.joins++
      this.#parts.onNewcomer(cluster.newcomer(randomPick(random, members).zone))
      return
    }
    if (kind === 'replace') return this.#parts.replaces ? this.#replace(node) : undefined
    const change = this.#change(node, kind)
    if (change !== undefined) await node.control.stage(change)
  }

  #change(node: Node, kind: 'leave' | 'reweigh' | 'move' | 'split' | 'merge'): unknown {
    const { random, membersMin } = this.#parts
    const active = node.catalog.members.members.filter(member => member.state === 'active')
    const views = node.catalog.views()
    if (views.length === 0 || active.length === 0) return undefined
    const view = randomPick(random, views)
    const partition = randomPick(random, view.map.partitions)
    const table = view.descriptor.name
    switch (kind) {
      case 'leave':
        if (active.length <= membersMin) return undefined
        this.counts.leaves++
        return { kind, node: randomPick(random, active).id }
      case 'reweigh':
        return { kind, node: randomPick(random, active).id, weight: randomPick(random, [0.5, 1, 2]) }
      case 'move': {
        const others = active.filter(({ id }) => !partition.replicas.includes(id))
        if (others.length === 0) return undefined
        const from = randomPick(random, partition.replicas)
        return { kind, table, partition: partition.id, from, to: randomPick(random, others).id }
      }
      case 'split':
        return view.order === 'hashed'
          ? { kind, table, at: 1 + randomBelow(random, 2 ** 32 - 1) }
          : { kind, table, at: `k${randomBelow(random, 20)}` }
      case 'merge':
        return { kind, table, partition: partition.id }
    }
  }

  /** A machine burns down; another takes its place. */
  async #replace(node: Node): Promise<void> {
    const { cluster, destruction, onGone, onNewcomer, random } = this.#parts
    const dead = this.#dead
    if (dead === undefined) {
      const victim = randomPick(random, cluster.machines)
      const isMember = node.catalog.member(victim.id)?.state === 'active'
      if (victim === cluster.machines[0] || !isMember || !destruction.allows(victim) || destruction.wounded)
        return
      if (node.control.changes.task !== undefined) return
      this.#dead = victim
      victim.crash('power cut')
      destruction.gone(victim, cluster.simulation.nowMs)
      onGone(victim)
      onNewcomer(cluster.newcomer(node.catalog.member(victim.id)!.zone))
      return
    }
    const { members } = node.catalog.members
    if (members.every(member => member.id !== dead.id)) return this.#commit(node)
    const by = members.find(member => member.state === 'staged')
    const left = members.filter(member => member.state === 'active' && member.id !== dead.id)
    if (by === undefined && left.length < this.#parts.membersMin) return
    this.counts.replacements++
    const change: StagedChange = { kind: 'replace', dead: dead.id, by: by?.id ?? '' }
    await node.control.stage(change)
    await this.#commit(node)
  }

  /** Machines that are no members any more are shut down. */
  #retireRemoved(): void {
    const { cluster } = this.#parts
    const node = this.#someNode()
    if (node === undefined) return
    const removed = new Set(node.catalog.members.removed.map(({ id }) => id))
    for (const machine of [...cluster.machines]) {
      if (!removed.has(machine.id) || node.catalog.member(machine.id) !== undefined) continue
      machine.crash('kill')
      cluster.retire(machine)
      // A machine that left has handed over what it had; of one that died there is a copy less, until there is not.
      if (machine === this.#dead) {
        this.#dead = undefined
        this.#missed = machine
      } else this.#parts.destruction.replaced(machine)
    }
    const missed = this.#missed
    if (missed === undefined) return
    const isMissed = cluster.machines.some(({ node: other }) =>
      other?.catalog
        .views()
        .some(view => view.map.partitions.some(({ settled }) => settled.includes(missed.id))),
    )
    if (isMissed) return
    this.#missed = undefined
    this.#parts.destruction.replaced(missed)
  }

  /** What is under way, in words. */
  describe(): string {
    const nodes = this.#parts.cluster.machines.flatMap(({ node }) => (node === undefined ? [] : [node]))
    const tasks = nodes.map(({ config, control, mover, catalog }) => {
      const { task } = control.changes
      if (task === undefined) return `${config.id} knows of no task`
      const moves = mover
        .reports(task.id)
        .slice(0, 3)
        .map(
          ({ table, partition, stage, to, waitsFor }) =>
            `${table}/${partition} ${stage} to ${to} waits for ${waitsFor}`,
        )
      const members = catalog.members.members.map(({ id, state }) => `${id} ${state}`)
      return `${config.id}: ${task.id} ${task.state}, ${moves.join('; ') || 'nothing moves'} (${members.join(', ')})`
    })
    const dead =
      this.#dead === undefined ? '' : `; ${this.#dead.id} is dead and not replaced: ${this.#refusal}`
    return `${tasks.join(' | ')}${dead}; last refused: ${this.#refusal}; ${this.counts.commits} commits`
  }

  /** For the end: takes tasks out of their pauses, replaces who is dead, until nothing is under way. */
  async settle(): Promise<boolean> {
    this.#retireRemoved()
    const node = this.#someNode()
    if (node === undefined) return false
    try {
      await node.control.refresh()
      const { task } = node.control.changes
      if (node.control.changes.auto?.isOn === true) await node.control.switchAuto(undefined)
      if (task?.state === 'paused') await node.control.resume(task.id)
      const dead = this.#dead
      if (dead !== undefined && node.catalog.member(dead.id) !== undefined) await node.control.giveUp(dead.id)
      if (task !== undefined) return false
      const plan = await node.control.plan()
      if (plan.moves === 0) return this.#dead === undefined
      await this.#commit(node)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      this.#refusal = error.message
    }
    return false
  }
}
