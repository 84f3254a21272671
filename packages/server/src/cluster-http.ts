/** Growing, shrinking and rebalancing over the admin interface: stage, plan, commit, and the task that follows. */

import {
  type ClusterChanges,
  describeChange,
  isQuorateError,
  type MoveReport,
  type Node,
  QuorateError,
  type StagedChange,
  type Task,
} from '@quorate/core'
import type { Context, Hono } from 'hono'
import * as v from 'valibot'
import { type AutoDocument, autoDocument } from './auto-document.ts'
import type { MovementFigures } from './metrics.ts'
import { planDocument } from './plan-document.ts'

/** Slower than this a move would never end. */
const RATE_MIN = 1_024

export interface ClusterDocument {
  readonly node: string
  readonly cluster: string
  /** Read from the registers just now, not only what this node knows. */
  readonly fresh: boolean
  readonly members: readonly {
    readonly id: string
    readonly state: string
    readonly address: string
    readonly http: string
    readonly zone: string
    readonly weight: number
    readonly suspected: boolean
  }[]
  readonly changes: ClusterChanges
  /** Staged changes in words. */
  readonly staged: readonly string[]
  readonly history: readonly PastTask[]
  /** Null: it was never switched on. */
  readonly auto: AutoDocument | null
}

/** Something that was done, with its changes in words. */
export type PastTask = ClusterChanges['history'][number] & { readonly words: readonly string[] }

export interface StagedDocument {
  readonly change: StagedChange
  readonly words: string
  /** Everything that is staged now. */
  readonly staged: readonly string[]
}

export interface TaskDocument {
  readonly node: string
  /** Does this node drive the task? Only then its reports say what is waited for now. */
  readonly drives: boolean
  /** Of the register of changes: whoever has the greatest knows best. */
  readonly version: number
  readonly task: Task | null
  readonly changes: readonly string[]
  readonly history: readonly PastTask[]
  readonly reports: readonly MoveReport[]
  /** Received by this node for the task since its process started. */
  readonly receivedBytes: number
  /** Received by this node for any task since its process started. */
  readonly receivedBytesTotal: number
  readonly bytesPerSecond: number
}

export const movementOf = (node: Node): MovementFigures => ({
  receivedBytes: node.receiver.received,
  bytesPerSecond: node.throttle.bytesPerSecond,
})

const commitSchema = v.strictObject({
  plan: v.pipe(v.string(), v.nonEmpty()),
  bytesPerSecond: v.optional(v.pipe(v.number(), v.integer(), v.minValue(RATE_MIN))),
})
const autoSchema = v.strictObject({ isOn: v.boolean(), policy: v.optional(v.unknown()) })
const giveUpSchema = v.strictObject({ node: v.pipe(v.string(), v.nonEmpty()) })
const taskSchema = v.strictObject({ task: v.optional(v.string()) })

export function serveCluster(app: Hono, node: Node): void {
  const { control } = node
  app.get('/api/v1/cluster', async context => context.json(clusterDocument(node, await isFresh(node))))
  app.get('/api/v1/cluster/plan', async context =>
    context.json(planDocument(node, await control.plan(), autoDocument(node))),
  )
  app.post('/api/v1/cluster/stage', async context => {
    const change = await control.stage(await bodyOf(context))
    return context.json({ change, words: describeChange(change), staged: wordsOf(control.changes.staged) })
  })
  app.post('/api/v1/cluster/clear', async context => {
    const before = wordsOf((await control.refresh()).staged)
    await control.clear()
    return context.json({ cleared: before })
  })
  app.post('/api/v1/cluster/commit', async context => {
    const { plan, bytesPerSecond } = parsed(commitSchema, await bodyOf(context))
    return context.json({ task: await control.commit(plan, bytesPerSecond) })
  })
  app.post('/api/v1/cluster/auto', async context => {
    const { isOn, policy = {} } = parsed(autoSchema, await bodyOf(context))
    await control.switchAuto(isOn ? policy : undefined)
    return context.json({ auto: autoDocument(node) })
  })
  app.post('/api/v1/cluster/give-up', async context => {
    const given = parsed(giveUpSchema, await bodyOf(context))
    const { members } = await control.giveUp(given.node)
    return context.json({ node: given.node, members: members.map(({ id }) => id) })
  })
  serveTask(app, node)
}

function serveTask(app: Hono, node: Node): void {
  const { control } = node
  app.get('/api/v1/task', async context => {
    await isFresh(node)
    return context.json(taskDocument(node))
  })
  const verbs = {
    pause: (id: string) => control.pause(id),
    resume: (id: string) => control.resume(id),
    cancel: (id: string) => control.cancel(id),
  }
  for (const [verb, run] of Object.entries(verbs)) {
    app.post(`/api/v1/task/${verb}`, async context => {
      const { task } = parsed(taskSchema, await bodyOf(context, true))
      await control.refresh()
      const id = task ?? control.changes.task?.id
      if (id === undefined || control.changes.task?.id !== id) throw noTask(control.changes, id)
      await run(id)
      return context.json(taskDocument(node))
    })
  }
}

function noTask({ history, task }: ClusterChanges, id: string | undefined): QuorateError {
  if (id === undefined) return new QuorateError('NOT_FOUND', 'no task runs')
  const over = history.find(entry => entry.id === id)
  if (over !== undefined)
    return new QuorateError('CONFLICT', `the task ${id} is over: it was ${over.outcome}`)
  const running = task === undefined ? 'none runs' : `${task.id} is the one that runs`
  return new QuorateError('NOT_FOUND', `no task is named ${id}; ${running}`)
}

/** Reads the register of changes; without a quorum what is known here is told, and that it may be old. */
async function isFresh({ control }: Node): Promise<boolean> {
  try {
    await control.refresh()
    return true
  } catch (error) {
    if (!isQuorateError(error)) throw error
    return false
  }
}

const wordsOf = (changes: readonly StagedChange[]): string[] => changes.map(describeChange)

const pastTasks = ({ history }: ClusterChanges): PastTask[] =>
  history.map(entry => ({ ...entry, words: wordsOf(entry.changes) }))

function clusterDocument(node: Node, fresh: boolean): ClusterDocument {
  const { catalog, coordination, control, context } = node
  return {
    node: node.config.id,
    cluster: coordination.clusterId,
    fresh,
    members: catalog.members.members.map(({ id, state, address, http, zone, weight }) => ({
      id,
      state,
      address,
      http,
      zone,
      weight,
      suspected: context.isSuspected(id),
    })),
    changes: control.changes,
    staged: wordsOf(control.changes.staged),
    history: pastTasks(control.changes),
    auto: autoDocument(node),
  }
}

function taskDocument(node: Node): TaskDocument {
  const { control, mover, receiver, throttle } = node
  const { task, version } = control.changes
  return {
    node: node.config.id,
    drives: control.isDriver(),
    version,
    task: task ?? null,
    changes: wordsOf(task?.changes ?? []),
    history: pastTasks(control.changes),
    reports: task === undefined ? [] : mover.reports(task.id),
    receivedBytes: task === undefined ? 0 : receiver.receivedFor(task.id),
    receivedBytesTotal: receiver.received,
    bytesPerSecond: Math.round(throttle.bytesPerSecond),
  }
}

async function bodyOf(context: Context, mayBeEmpty = false): Promise<unknown> {
  const text = await context.req.text()
  if (text === '' && mayBeEmpty) return {}
  try {
    return JSON.parse(text)
  } catch {
    throw new QuorateError('BAD_REQUEST', 'the body must be a JSON object')
  }
}

function parsed<Schema extends v.GenericSchema>(schema: Schema, given: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, given)
  if (result.success) return result.output
  const [issue] = result.issues
  const field = (issue.path ?? []).map(item => String(item.key)).join('.') || 'body'
  throw new QuorateError('BAD_REQUEST', `${field}: ${issue.message}`, { data: { field } })
}
