/**
 * What operators do to the cluster: stage changes, see the plan, commit it, and stop, go on or take back the
 * task that it becomes.
 *
 * A commit is a chain of compare-and-sets, each from the state the plan was made of: the register of changes
 * (one task at a time, so of two commits one wins), the members, each piece of each map. One that fails ends
 * the commit, and what was queued is taken back. When the committer dies in between, whoever drives finds the
 * task still `committing` and takes it back.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId } from '../base/ids.ts'
import {
  type AutoBalancing,
  type ClusterChanges,
  STAGED_MAX,
  type StagedChange,
  type Task,
  undoOf,
} from '../catalog/cluster-changes.ts'
import type { Member, MembersState } from '../catalog/cluster-state.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { applyPlan, takeBack } from '../movement/move-steps.ts'
import { makePlan, type Plan, type TablePlan } from '../movement/plan.ts'
import { mergeChunk, placementOf } from '../partitioning/map-chunks.ts'
import type { MapChunk } from '../partitioning/partition-map.ts'
import { autoPolicyOf } from './auto-policy.ts'
import { ChangesRegister } from './changes-register.ts'
import type { Coordination } from './coordination.ts'
import { type MeasuredCluster, measureCluster, planChangesNothing, withJoiners } from './plan-input.ts'
import { checkStaged } from './staged-changes.ts'

/** A commit that takes longer was left by its committer. */
const COMMIT_MS = 60_000
const PLANS_KEPT = 16
const REMOVED_MAX = 100
/** A message stays readable; the plan has them all. */
const PROBLEMS_NAMED = 3

export interface ControlOptions {
  readonly node: NodeContext
  readonly coordination: Coordination
  readonly tokensPerNode: number
  readonly bytesPerSecond: number
  /** Partitions that move at once. */
  readonly parallel: number
}

export class ClusterControl {
  readonly #options: ControlOptions
  readonly #node: NodeContext
  readonly #coordination: Coordination
  /** Plans shown here lately: tells one that is stale from one that never was. */
  readonly #shown: string[] = []
  readonly #register: ChangesRegister

  constructor(options: ControlOptions) {
    this.#options = options
    this.#node = options.node
    this.#coordination = options.coordination
    this.#register = new ChangesRegister(options.coordination)
  }

  get changes(): ClusterChanges {
    return this.#register.changes
  }

  /** To be called now and then: watches as soon as there are registers, and reads what no gossip told. */
  follow(): Promise<void> {
    return this.#register.follow()
  }

  refresh(): Promise<ClusterChanges> {
    return this.#register.refresh()
  }

  // ── what an operator asks ──

  async stage(given: unknown): Promise<StagedChange> {
    await this.#coordination.refresh()
    const change = checkStaged(given, this.#node.catalog)
    const same = JSON.stringify(change)
    await this.#register.change(before => {
      if (before.staged.some(other => JSON.stringify(other) === same)) return before
      if (before.staged.length >= STAGED_MAX)
        return `${STAGED_MAX} changes are staged already: commit or clear them`
      return { ...before, staged: [...before.staged, change] }
    })
    return change
  }

  clear(): Promise<ClusterChanges> {
    return this.#register.change(before => ({ ...before, staged: [] }))
  }

  /** The plan of what is staged now, with newcomers that nobody has staged shown as waiting. */
  async plan(): Promise<Plan> {
    await this.#coordination.refresh()
    await this.#coordination.maps.follow()
    const changes = await this.refresh()
    const staged = withJoiners(changes.staged, this.#node.catalog.members)
    const plan = this.#planOf(staged, changes, await measureCluster(this.#node))
    this.#shown.push(plan.id)
    this.#shown.splice(0, this.#shown.length - PLANS_KEPT)
    return plan
  }

  #planOf(
    staged: readonly StagedChange[],
    { version }: ClusterChanges,
    { measured, freeBytes }: MeasuredCluster,
  ): Plan {
    const { catalog, isSuspected } = this.#node
    const { tokensPerNode, bytesPerSecond } = this.#options
    return makePlan({
      changesVersion: version,
      staged,
      members: catalog.members,
      views: catalog.views(),
      measured,
      freeBytes,
      isSuspected,
      tokensPerNode,
      bytesPerSecond,
    })
  }

  /** Switches balancing on, armed, by a policy (what it leaves out is as usual); undefined: off. What it did before is not forgotten, nor how long ago. */
  switchAuto(given: unknown): Promise<ClusterChanges> {
    const policy = given === undefined ? undefined : autoPolicyOf(given)
    return this.#register.change(before => {
      const known = before.auto
      if (policy === undefined)
        return known === undefined ? before : { ...before, auto: { ...known, isOn: false } }
      const { lastMs = 0, lastPlan = '' } = known ?? {}
      return { ...before, auto: { isOn: true, policy, phase: 'armed', lastMs, lastPlan } }
    })
  }

  /** Members have been even: the next imbalance may be planned for. */
  async armAuto(): Promise<void> {
    await this.#register.change(before =>
      before.auto === undefined ? before : { ...before, auto: { ...before.auto, phase: 'armed' as const } },
    )
  }

  /**
   * Carries out moves that were decided on by measuring, from the register as it was then: its version is
   * compared, so of several nodes that decide the same one commits, and nothing an operator has done since
   * is overtaken.
   */
  async commitAuto(
    moves: readonly StagedChange[],
    seen: ClusterChanges,
    measured: MeasuredCluster,
    after: Pick<AutoBalancing, 'phase' | 'lastMs'>,
  ): Promise<Task> {
    const plan = this.#planOf(moves, seen, measured)
    const [problem] = plan.problems
    if (problem !== undefined) throw new QuorateError('CONFLICT', `${problem.subject}: ${problem.message}`)
    return this.#carryOut(plan, this.#options.bytesPerSecond, after)
  }

  async commit(id: string, bytesPerSecond: number = this.#options.bytesPerSecond): Promise<Task> {
    const known = await this.refresh()
    if (known.task !== undefined)
      throw new QuorateError(
        'CONFLICT',
        `the task ${known.task.id} is ${known.task.state}: one plan at a time`,
      )
    const spent = known.history.find(entry => entry.id === id)
    if (spent !== undefined)
      throw new QuorateError('CONFLICT', `plan ${id} is spent: it was ${spent.outcome} before`)
    const wasShown = this.#shown.includes(id)
    const plan = await this.plan()
    if (plan.id !== id) {
      if (wasShown)
        throw new QuorateError(
          'CONFLICT',
          `plan ${id} is stale: the cluster has changed since it was made; look at the plan of now, ${plan.id}`,
        )
      throw new QuorateError('NOT_FOUND', `there is no plan ${id} for the cluster as it is now`)
    }
    if (plan.problems.length > 0) {
      const named = plan.problems
        .slice(0, PROBLEMS_NAMED)
        .map(({ subject, message }) => `${subject}: ${message}`)
      const more = plan.problems.length - named.length
      throw new QuorateError(
        'CONFLICT',
        `plan ${id} cannot be carried out: ${named.join('; ')}${more > 0 ? `; and ${more} more (quorate cluster plan)` : ''}`,
        { data: { problems: plan.problems.length } },
      )
    }
    if (planChangesNothing(plan, this.#node.catalog.members))
      throw new QuorateError('BAD_REQUEST', `plan ${id} changes nothing`)
    return this.#carryOut(plan, bytesPerSecond)
  }

  /** `auto`: how the balancing that made the plan stands from now on; undefined: an operator made it. */
  async #carryOut(
    plan: Plan,
    bytesPerSecond: number,
    auto?: Pick<AutoBalancing, 'phase' | 'lastMs'>,
  ): Promise<Task> {
    const { clock, self } = this.#node
    const task: Task = {
      id: plan.id,
      state: 'committing',
      changes: plan.staged,
      moves: plan.moves,
      bytes: plan.bytes,
      bytesPerSecond,
      startedMs: Math.round(clock.wallMs()),
      undo: undoAll(plan.staged, this.#node.catalog.members),
      by: self,
      origin: auto === undefined ? 'operator' : 'auto',
    }
    await this.#register.change(before => {
      if (before.version !== plan.changesVersion)
        return `plan ${plan.id} is stale: someone has staged or committed something since`
      if (auto === undefined) return { ...before, staged: [], task }
      if (before.auto?.isOn !== true || before.task !== undefined || before.staged.length > 0)
        return 'operators come first'
      return { ...before, task, auto: { ...before.auto, ...auto, lastPlan: plan.id } }
    })
    try {
      await this.#changeMembers(plan)
      for (const table of plan.tables) await this.#changeMaps(plan, table)
    } catch (error) {
      // What was queued is taken back by whoever drives.
      await this.#setState(plan.id, ['committing'], 'cancelling')
      // Nothing was moved, so the imbalance is still to be planned for, when its time has come again.
      if (auto !== undefined) await this.armAuto()
      throw error
    }
    const after = await this.#setState(plan.id, ['committing'], 'running')
    return after.task ?? task
  }

  #changeMembers(plan: Plan): Promise<MembersState> {
    return this.#coordination.changeMembers(before => {
      if (before.version !== plan.membersVersion)
        return `plan ${plan.id} is stale: the members have changed since`
      return {
        ...before,
        members: plan.membersAfter,
        removed: [...before.removed, ...plan.removed].slice(-REMOVED_MAX),
      }
    })
  }

  async #changeMaps(plan: Plan, table: TablePlan): Promise<void> {
    const moves = new Map(table.moves.map(({ start, to }) => [start, to]))
    const count = table.chunks.length
    for (const [index, placement] of table.chunks.entries()) {
      const outcome = await this.#coordination.maps.change(
        table.table,
        index,
        chunk => {
          if (chunk === undefined || placementOf(chunk) !== placement) return 'stale'
          const splits = table.splits.filter(start => start > chunk.partitions[0]!.start)
          const end = this.#chunkEnd(table, index)
          const inside = end === undefined ? splits : splits.filter(start => start < end)
          const after = applyPlan(chunk, { splits: inside, moves }, plan.id, count)
          const merged = table.merges.reduce<MapChunk>((all, id) => mergeChunk(all, id) ?? all, after)
          const isSame = merged.partitions.every((entry, at) => entry === chunk.partitions[at])
          if (isSame && merged.partitions.length === chunk.partitions.length) return 'nothing'
          return { ...merged, version: chunk.version + 1 }
        },
        this.#coordination.operation(),
      )
      if (outcome.kind === 'committed' || (outcome.kind === 'rejected' && outcome.reason === 'nothing'))
        continue
      const why = outcome.reason === 'stale' ? 'its map has changed since' : outcome.reason
      throw new QuorateError('CONFLICT', `plan ${plan.id} was taken back: table "${table.name}": ${why}`)
    }
  }

  #chunkEnd(table: TablePlan, index: number): ByteString | undefined {
    return this.#node.catalog.chunk(table.table, index + 1)?.partitions[0]?.start
  }

  #setState(id: string, from: readonly Task['state'][], state: Task['state']): Promise<ClusterChanges> {
    return this.#register.change(before => {
      if (before.task?.id !== id) return `there is no task ${id} now`
      if (before.task.state === state) return before
      if (!from.includes(before.task.state)) return `the task ${id} is ${before.task.state}`
      return { ...before, task: { ...before.task, state } }
    })
  }

  /**
   * Gives up a member that will not come back: at once, also while a task waits for it. Its rows are with its
   * peers; the next plan makes them as many as they should be. What only it had is lost.
   */
  async giveUp(node: string): Promise<MembersState> {
    await this.#coordination.refresh()
    const { catalog, isSuspected, self } = this.#node
    const member = catalog.members.members.find(({ id }) => (id as string) === node)
    if (member === undefined) throw new QuorateError('NOT_FOUND', `there is no member "${node}"`)
    if (member.id === self || !isSuspected(member.id))
      throw new QuorateError('CONFLICT', `"${node}" answers: a live node leaves, it is not given up`)
    return this.#coordination.changeMembers(before => {
      const gone = before.members.find(({ id }) => id === member.id)
      if (gone?.incarnation !== member.incarnation) return `"${node}" has come back, or is gone already`
      const removed = [...before.removed, { id: gone.id, incarnation: gone.incarnation }].slice(-REMOVED_MAX)
      return { ...before, members: before.members.filter(({ id }) => id !== gone.id), removed }
    })
  }

  pause(id: string): Promise<ClusterChanges> {
    return this.#setState(id, ['running'], 'paused')
  }

  resume(id: string): Promise<ClusterChanges> {
    return this.#setState(id, ['paused'], 'running')
  }

  cancel(id: string): Promise<ClusterChanges> {
    return this.#setState(id, ['running', 'paused', 'committing'], 'cancelling')
  }

  // ── what whoever drives does ──

  /** The task whose partitions may move now, if this node is the one to drive it. */
  driven(): { id: string; parallel: number } | undefined {
    const { task } = this.changes
    if (task === undefined || !this.isDriver()) return undefined
    if (task.state === 'running' || task.state === 'cancelling')
      return { id: task.id, parallel: this.#options.parallel }
    return undefined
  }

  /** The first member that seems alive; that two think so does no harm. */
  driver(): NodeId | undefined {
    const { catalog, isSuspected } = this.#node
    return catalog.members.members.find(({ id, state }) => state !== 'staged' && !isSuspected(id))?.id
  }

  isDriver(): boolean {
    return this.driver() === this.#node.self
  }

  isRunning(task: string): boolean {
    const now = this.changes.task
    return now?.id === task && (now.state === 'running' || now.state === 'cancelling')
  }

  /** Takes back what a cancelled task has not switched, and a commit that its committer left. */
  async tidyUp(): Promise<void> {
    const { task } = this.changes
    if (task === undefined || !this.isDriver()) return
    if (task.state === 'committing') {
      const isLeft =
        this.#node.isSuspected(task.by as NodeId) || this.#node.clock.wallMs() > task.startedMs + COMMIT_MS
      if (isLeft) await this.#setState(task.id, ['committing'], 'cancelling')
      return
    }
    if (task.state !== 'cancelling') return
    for (const { descriptor, map } of this.#node.catalog.views()) {
      for (const index of map.chunks.keys())
        await this.changeMap(descriptor.id, index, chunk =>
          takeBack(chunk, entry => entry.move?.task === task.id),
        )
    }
  }

  async changeMap(
    table: Parameters<Coordination['maps']['change']>[0],
    index: number,
    change: (chunk: MapChunk) => MapChunk | undefined,
  ): Promise<boolean> {
    const known = this.#node.catalog.chunk(table, index)
    // What is known here is mostly what is true: no round for nothing.
    if (known !== undefined && change(known) === undefined) return false
    const outcome = await this.#coordination.maps.change(
      table,
      index,
      chunk => (chunk === undefined ? 'absent' : (change(chunk) ?? 'nothing')),
      this.#coordination.operation(),
    )
    return outcome.kind === 'committed'
  }

  /** No partition of the task is left to move: members that leave go, and the task becomes history. */
  async finish(id: string): Promise<void> {
    const { task } = await this.refresh()
    if (task?.id !== id || (task.state !== 'running' && task.state !== 'cancelling')) return
    if (!(await this.#allSettled(id))) return
    const isCancelled = task.state === 'cancelling'
    if (!this.#goersKeepNoHints(isCancelled)) return
    // First the registers, then the members that held them: who is no member any more may be shut down at once.
    if (!isCancelled && !(await this.#coordination.settleVoters())) return
    await this.#settleMembers(isCancelled)
    if (!(await this.#coordination.settleVoters())) return
    await this.#register.change(before => {
      if (before.task?.id !== id) return `the task ${id} is over`
      const { changes, moves, startedMs, origin } = before.task
      // What was cancelled is as it was.
      const undo = isCancelled ? [] : before.task.undo
      const entry = {
        id,
        outcome: isCancelled ? ('cancelled' as const) : ('done' as const),
        changes,
        moves,
        startedMs,
        endedMs: Math.round(this.#node.clock.wallMs()),
        undo,
        origin,
      }
      return { ...before, task: undefined, history: [...before.history, entry] }
    })
  }

  /** By the registers themselves: what is known here may be behind. */
  async #allSettled(task: string): Promise<boolean> {
    await this.#coordination.refresh()
    for (const { descriptor, map } of this.#node.catalog.views()) {
      await Promise.all(
        [...map.chunks.keys()].map(index => this.#coordination.maps.look(descriptor.id, index)),
      )
    }
    return this.#node.catalog
      .views()
      .every(({ map }) => map.partitions.every(partition => partition.move?.task !== task))
  }

  /**
   * What a member still keeps for others is handed over before it goes, or is a newcomer again: a write may have been
   * acknowledged with it, and of who is no member, or not yet, collection asks nothing.
   */
  #goersKeepNoHints(isCancelled: boolean): boolean {
    const { membership } = this.#coordination
    const goers = this.#node.catalog.members.members.filter(({ state }) => state === 'leaving')
    if (isCancelled) goers.push(...this.#emptyMembers())
    return goers.every(({ id }) => Number(membership.get(id, 'hints') ?? 0) === 0)
  }

  /** Everyone who keeps rows of some partition, or will. */
  #holders(): ReadonlySet<string> {
    const partitions = this.#node.catalog.views().flatMap(({ map }) => map.partitions)
    return new Set(partitions.flatMap(({ settled, holders }) => [...settled, ...holders]))
  }

  /** Active members that keep no rows. */
  #emptyMembers(): Member[] {
    const { catalog } = this.#node
    const holds = this.#holders()
    return catalog.members.members.filter(
      ({ id, state }) => state === 'active' && !holds.has(id) && catalog.views().length > 0,
    )
  }

  /** Leavers that keep nothing any more go; what a cancelled task leaves half-way goes back to what it was. */
  async #settleMembers(isCancelled: boolean): Promise<void> {
    const { catalog } = this.#node
    const holds = this.#holders()
    const hasTables = catalog.views().length > 0
    const leaving = catalog.members.members.some(member => member.state === 'leaving')
    // Of a cancelled task always: a committer that is late finds another version, and changes no member any more.
    if (!leaving && !isCancelled) return
    await this.#coordination.changeMembers(before => {
      const isEmpty = ({ id, state }: Member): boolean => state === 'active' && !holds.has(id) && hasTables
      const gone = before.members.filter(
        member => member.state === 'leaving' && !isCancelled && !holds.has(member.id),
      )
      return {
        ...before,
        members: before.members
          .filter(member => !gone.includes(member))
          .map(member => {
            if (member.state === 'leaving' && isCancelled) return { ...member, state: 'active' as const }
            if (isCancelled && isEmpty(member)) return { ...member, state: 'staged' as const, tokens: [] }
            return member
          }),
        removed: [...before.removed, ...gone.map(({ id, incarnation }) => ({ id, incarnation }))].slice(
          -REMOVED_MAX,
        ),
      }
    })
  }
}

/** To be asked before the plan is applied: afterwards the weights are others. */
function undoAll(changes: readonly StagedChange[], { members }: MembersState): string[] {
  const weights = new Map(members.map(member => [member.id as string, member.weight]))
  return changes
    .flatMap(change => undoOf(change, change.kind === 'reweigh' ? weights.get(change.node) : undefined) ?? [])
    .reverse()
}
