/**
 * The register of changes to the cluster: what operators have staged, the one task that runs, and what was
 * done. Every step of an operator is one compare-and-set on it, so of two operators who commit at once one
 * hears that the plan is stale.
 */

import { QuorateError } from '../base/errors.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'

/** One wish of an operator. Nothing happens before it is planned and committed. */
export type StagedChange =
  | { readonly kind: 'join'; readonly node: string }
  | { readonly kind: 'leave'; readonly node: string }
  /** `dead` is gone for good; its rows come from its peers, to `by`, or without one ('') to whoever has room. */
  | { readonly kind: 'replace'; readonly dead: string; readonly by: string }
  | { readonly kind: 'reweigh'; readonly node: string; readonly weight: number }
  | {
      readonly kind: 'move'
      readonly table: string
      readonly partition: number
      readonly from: string
      readonly to: string
    }
  /** At a token of a hash table or an encoded key of a range table, as bytes in hex. */
  | { readonly kind: 'split'; readonly table: string; readonly start: string; readonly at: string }
  | { readonly kind: 'merge'; readonly table: string; readonly partition: number }
  /** Nothing but what the partitioners would do differently now. */
  | { readonly kind: 'rebalance' }

export const TASK_STATES = ['committing', 'running', 'paused', 'cancelling'] as const
export type TaskState = (typeof TASK_STATES)[number]

/** Who made a plan: an operator, or the balancing that an operator has switched on. */
export type PlanOrigin = 'operator' | 'auto'

/** A committed plan on its way. How far it is stands in the maps. */
export interface Task {
  /** Id of the plan. */
  readonly id: string
  readonly state: TaskState
  readonly changes: readonly StagedChange[]
  /** Partitions that move, and the bytes the plan foresaw. */
  readonly moves: number
  readonly bytes: number
  /** What each receiver takes at most. */
  readonly bytesPerSecond: number
  readonly startedMs: number
  /** Commands that lead back, as the cluster was before; the last change first. */
  readonly undo: readonly string[]
  /** Who commits it: until it runs, nobody else goes on with it. */
  readonly by: string
  readonly origin: PlanOrigin
}

export interface HistoryEntry {
  readonly id: string
  readonly outcome: 'done' | 'cancelled'
  readonly changes: readonly StagedChange[]
  readonly moves: number
  readonly startedMs: number
  readonly endedMs: number
  /** Commands that lead back. */
  readonly undo: readonly string[]
  readonly origin: PlanOrigin
}

export const AUTO_MEASURES = ['bytes', 'load'] as const

/** When the cluster may plan by itself. `1 <= below < above`: greatest over mean of the members, by weight. */
export interface AutoPolicy {
  /** What is to be even: the bytes that members keep, or the requests of the partitions they keep. */
  readonly by: (typeof AUTO_MEASURES)[number]
  /** A plan is made when members are less even than this … */
  readonly above: number
  /** … and only once more when they have been as even as this in between. */
  readonly below: number
  /** At most one plan in so long. */
  readonly everyMs: number
  /** What one plan may move. */
  readonly bytesMax: number
}

/**
 * `armed`: a plan is made past the upper bound. `going`: the last plan was as large as it might be; the next
 * is made past the lower bound. `resting`: no plan until the lower bound has been reached.
 */
export type AutoPhase = 'armed' | 'going' | 'resting'

/** Balancing by itself: what it may do, and what it did, so that neither a restart nor another node forgets. */
export interface AutoBalancing {
  readonly isOn: boolean
  readonly policy: AutoPolicy
  readonly phase: AutoPhase
  /** When its last plan was committed, in the cluster's time; 0: never. */
  readonly lastMs: number
  /** Id of that plan; '': none. */
  readonly lastPlan: string
}

export interface ClusterChanges {
  readonly version: number
  readonly staged: readonly StagedChange[]
  readonly task: Task | undefined
  /** Newest last. */
  readonly history: readonly HistoryEntry[]
  /** Undefined: it was never switched on. */
  readonly auto: AutoBalancing | undefined
}

export const noChanges: ClusterChanges = {
  version: 0,
  staged: [],
  task: undefined,
  history: [],
  auto: undefined,
}
export const STAGED_MAX = 64
const HISTORY_MAX = 50

export function encodeChanges(changes: ClusterChanges): Uint8Array {
  return encodeDocument({
    ...changes,
    task: changes.task ?? null,
    history: changes.history.slice(-HISTORY_MAX),
    auto: changes.auto ?? null,
  })
}

/** Only members write this register, through functions that know the types; what is no such value is refused whole. */
export function decodeChanges(bytes: Uint8Array): ClusterChanges {
  const given = decodeDocument(bytes) as {
    version?: unknown
    staged?: unknown
    task?: unknown
    history?: unknown
    auto?: AutoBalancing | null
  } | null
  const isTask =
    given?.task === null || TASK_STATES.includes((given?.task as Task | undefined)?.state as TaskState)
  if (
    typeof given?.version !== 'number' ||
    !Array.isArray(given.staged) ||
    !Array.isArray(given.history) ||
    !isTask
  )
    throw new QuorateError('BAD_REQUEST', 'malformed cluster state: the register of changes')
  return {
    version: given.version,
    staged: given.staged as StagedChange[],
    task: given.task === null ? undefined : withOrigin(given.task as Task),
    history: (given.history as HistoryEntry[]).map(withOrigin),
    auto: given.auto ?? undefined,
  }
}

/** Plans were made by operators only, once, and did not say so. */
const withOrigin = <T extends { readonly origin: PlanOrigin }>(made: T): T => ({
  ...made,
  origin: made.origin ?? 'operator',
})

/** In words, as an operator would say it. */
export function describeChange(change: StagedChange): string {
  switch (change.kind) {
    case 'join':
      return `${change.node} joins`
    case 'leave':
      return `${change.node} leaves`
    case 'replace':
      return change.by === ''
        ? `${change.dead} is given up, the others take over`
        : `${change.by} replaces ${change.dead}`
    case 'reweigh':
      return `${change.node} weighs ${change.weight}`
    case 'move':
      return `partition ${change.partition} of "${change.table}" moves from ${change.from} to ${change.to}`
    case 'split':
      return `"${change.table}" is cut at ${change.at}`
    case 'merge':
      return `partition ${change.partition} of "${change.table}" is merged into the one before it`
    case 'rebalance':
      return 'partitions go where their partitioner would put them now'
  }
}

/** The command that leads back, where there is one. */
export function undoOf(change: StagedChange, weightBefore: number | undefined): string | undefined {
  switch (change.kind) {
    case 'join':
      return `quorate cluster leave ${change.node}`
    case 'leave':
      return `quorate cluster join ${change.node} (start it with an empty data directory and --join)`
    case 'replace':
      return undefined
    case 'reweigh':
      return weightBefore === undefined ? undefined : `quorate cluster reweigh ${change.node} ${weightBefore}`
    case 'move':
      return `quorate cluster move ${change.table} ${change.partition} --from ${change.to} --to ${change.from}`
    case 'split':
      return `quorate cluster merge ${change.table} PARTITION (the one that starts at ${change.at})`
    case 'merge':
    case 'rebalance':
      return undefined
  }
}
