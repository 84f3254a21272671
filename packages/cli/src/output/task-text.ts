/**
 * A task as all nodes together tell it. The node that drives knows what each partition waits for; every node
 * knows its own map and what it received; the one with the newest register knows whether the task still runs.
 */

import type { PastTask, TaskDocument } from '@quorate/server'
import type { Column } from './output.ts'
import type { Style } from './style.ts'
import { bytes, count, duration } from './words.ts'

export const STAGES = ['queued', 'prepare', 'write-both', 'stream', 'verify', 'read-new', 'new-only'] as const

export type PartitionReport = TaskDocument['reports'][number]

export interface TaskView {
  readonly task: NonNullable<TaskDocument['task']>
  readonly changes: readonly string[]
  readonly partitions: readonly PartitionReport[]
  /** Partitions that are where they should be. */
  readonly done: number
  readonly receivedBytes: number
  readonly driver: string | undefined
  /** What moves may take now on the node that takes least. */
  readonly bytesPerSecond: number
}

export interface MergedTask {
  readonly view: TaskView | undefined
  readonly history: readonly PastTask[]
  readonly version: number
}

export function mergeTasks(documents: readonly TaskDocument[]): MergedTask {
  const newest = documents.reduce<TaskDocument | undefined>(
    (best, document) => (best === undefined || document.version > best.version ? document : best),
    undefined,
  )
  const { history = [], version = 0 } = newest ?? {}
  const task = newest?.task ?? null
  if (newest === undefined || task === null) return { view: undefined, history, version }
  const same = documents.filter(document => document.task?.id === task.id)
  const driver = same.find(document => document.drives)
  const byPartition = new Map<string, PartitionReport>()
  for (const { reports } of same)
    for (const report of reports) {
      const name = `${report.table}/${report.partition}`
      byPartition.set(name, further(byPartition.get(name), report))
    }
  // What the driver does not report any more is done, though another node may not have heard.
  const known = driver === undefined ? undefined : new Set(driver.reports.map(nameOf))
  const partitions = [...byPartition.values()]
    .filter(report => known === undefined || known.has(nameOf(report)))
    .map(report => withWaits(report, driver))
    .sort((a, b) => a.table.localeCompare(b.table) || a.partition - b.partition)
  return {
    history,
    version,
    view: {
      task,
      changes: newest.changes,
      partitions,
      done: task.state === 'committing' ? 0 : Math.max(0, task.moves - partitions.length),
      receivedBytes: same.reduce((sum, document) => sum + document.receivedBytes, 0),
      driver: driver?.node,
      bytesPerSecond: Math.min(...same.map(document => document.bytesPerSecond)),
    },
  }
}

const nameOf = ({ table, partition }: PartitionReport): string => `${table}/${partition}`

function further(known: PartitionReport | undefined, report: PartitionReport): PartitionReport {
  if (known === undefined) return report
  const later = STAGES.indexOf(report.stage) > STAGES.indexOf(known.stage) ? report : known
  return { ...later, rows: Math.max(known.rows, report.rows), bytes: Math.max(known.bytes, report.bytes) }
}

function withWaits(report: PartitionReport, driver: TaskDocument | undefined): PartitionReport {
  const told = driver?.reports.find(other => nameOf(other) === nameOf(report))
  return { ...report, waitsFor: told?.waitsFor ?? '' }
}

/** `2 wait for n4 (suspected down)`; '' when nobody is waited for. */
export function waitsText({ partitions }: TaskView): string {
  const byWait = new Map<string, number>()
  for (const { waitsFor } of partitions)
    if (waitsFor !== '') byWait.set(waitsFor, (byWait.get(waitsFor) ?? 0) + 1)
  return [...byWait]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 2)
    .map(([who, waiting]) => `${waiting} ${waiting === 1 ? 'waits' : 'wait'} for ${who}`)
    .join(', ')
}

/** `queued 3 → stream 2 → new-only 1` */
export function stagesText({ partitions }: TaskView): string {
  return STAGES.map(stage => [stage, partitions.filter(report => report.stage === stage).length] as const)
    .filter(([, at]) => at > 0)
    .map(([stage, at]) => `${stage} ${at}`)
    .join(' → ')
}

export const partitionColumns: readonly Column<PartitionReport>[] = [
  { name: 'TABLE', value: item => item.table },
  { name: 'PARTITION', value: item => item.partition },
  { name: 'STAGE', value: item => item.stage, paint: (text, _, style) => style.cyan(text) },
  { name: 'TO', value: item => item.to.join(' ') },
  { name: 'ROWS', value: item => item.rows },
  { name: 'BYTES', value: item => item.bytes },
  {
    name: 'WAITS FOR',
    value: item => item.waitsFor,
    paint: (text, _, style) => style.yellow(text),
  },
]

export function taskHeadline(view: TaskView, style: Style): string[] {
  const { task, done, receivedBytes, changes, driver } = view
  return [
    `${style.bold(`task ${task.id}`)}  ${task.state}: ${done} of ${count(task.moves, 'partition')}, ${bytes(receivedBytes)} of about ${bytes(task.bytes)}, for ${duration(Math.max(0, Date.now() - task.startedMs))}`,
    ...changes.map(text => `  ${text}`),
    `  driven by ${driver ?? 'nobody that answers'}, at most ${bytes(task.bytesPerSecond)}/s, now ${bytes(view.bytesPerSecond)}/s`,
    ...(view.partitions.length === 0 ? [] : [`  ${stagesText(view)}`]),
  ]
}

export interface TaskItem {
  readonly id: string
  readonly state: string
  readonly changes: readonly string[]
  readonly moves: number
  readonly done: number
  readonly startedMs: number
  readonly endedMs: number | null
  readonly undo: readonly string[]
  /** Who made the plan: an operator, or the balancing that one has switched on. */
  readonly origin: 'operator' | 'auto'
}

/** The task that runs, if one does, after those that are over; newest last. */
export function taskItems({ view, history }: MergedTask): TaskItem[] {
  const past = history.map(entry => ({
    id: entry.id,
    state: entry.outcome,
    changes: entry.words,
    moves: entry.moves,
    done: entry.moves,
    startedMs: entry.startedMs,
    endedMs: entry.endedMs,
    undo: entry.undo,
    origin: entry.origin,
  }))
  if (view === undefined) return past
  const { task, changes, done } = view
  const now = { id: task.id, state: task.state, changes, moves: task.moves, done }
  return [...past, { ...now, startedMs: task.startedMs, endedMs: null, undo: [], origin: task.origin }]
}

export const taskColumns: readonly Column<TaskItem>[] = [
  { name: 'TASK', value: item => item.id, paint: (text, _, style) => style.bold(text) },
  {
    name: 'STATE',
    value: item => item.state,
    paint: (text, item, style) =>
      item.state === 'done'
        ? style.green(text)
        : item.state === 'cancelled'
          ? style.yellow(text)
          : style.cyan(text),
  },
  { name: 'STARTED', value: item => new Date(item.startedMs).toISOString() },
  {
    name: 'TOOK',
    value: item => (item.endedMs === null ? '' : duration(Math.max(0, item.endedMs - item.startedMs))),
  },
  { name: 'PARTITIONS', value: item => item.moves },
  { name: 'BY', value: item => item.origin },
  { name: 'CHANGES', value: item => item.changes.join('; ') },
]
