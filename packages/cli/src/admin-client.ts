/** The admin interface of one node, over HTTP. */

import { readFile } from 'node:fs/promises'
import type {
  AutoDocument,
  ClusterDocument,
  Explanation,
  HotDocument,
  NodeStatus,
  PlanDocument,
  StagedDocument,
  TaskDocument,
} from '@quorate/server'
import { CommandError } from './command-error.ts'
import { exitCodes } from './exit-codes.ts'

export type StatusDocument = NodeStatus & {
  readonly process: number
  readonly tokenFile: string
  readonly memory: { readonly rss: number; readonly heapUsed: number }
}

export interface RingDocument {
  readonly table: string
  readonly partitioning: string
  readonly mapVersion: number
  readonly partitions: readonly {
    readonly id: number
    /** Tokens; null on tables in key order. */
    readonly start: number | null
    readonly end: number | null
    /** Where it starts, in words. */
    readonly first: string
    readonly version: number
    readonly share: number
    readonly move: { readonly stage: string; readonly to: readonly string[] } | null
    readonly replicas: readonly string[]
    readonly fallbacks: readonly string[]
    readonly rows: number
    readonly provenEqual: readonly { readonly peer: string; readonly atMs: number | null }[]
  }[]
}

export interface VerdictDocument {
  readonly partition: number
  readonly replicas: readonly string[]
  readonly rows: number
  readonly tombstones: number
  readonly siblings: number
  readonly divergent: number
  readonly examples: readonly string[]
}

export interface RepairDocument {
  readonly node: string
  readonly exchanges: readonly {
    readonly peer: string
    readonly partitions: number
    readonly differing: number
    readonly repaired: number
    readonly complete: boolean
  }[]
}

export interface LedgerDocument {
  readonly total: number
  readonly dropped: number
  readonly entries: readonly {
    readonly table: string
    readonly key: string
    readonly sort: string | null
    /** In a table whose rows merge by fields. */
    readonly field: string | null
    readonly dot: string
    readonly at: string
    readonly operation: string
    readonly reason: string
    readonly value: unknown
    /** What it lost to, as it was then; null: not one write, or not known. */
    readonly winner: { readonly at: string; readonly operation: string; readonly value: unknown } | null
    readonly node: string
    /** Names the entry, on every node that has a copy of it. */
    readonly id: string
    readonly restored: boolean
  }[]
}

/** What one node has coordinated of a table that is measured against another rule. */
export interface ShadowDocument {
  readonly rule: string | null
  readonly hours: readonly {
    /** Milliseconds since 1970, when it began. */
    readonly fromMs: number
    readonly writes: number
    readonly overwriting: number
  }[]
}

export interface LedgerFilters {
  readonly table?: string | undefined
  /** Milliseconds since 1970. */
  readonly since?: number | undefined
  readonly reason?: string | undefined
  /** As JSON. */
  readonly key?: string | undefined
}

export interface LedgerIds {
  /** There are more than were told. */
  readonly more: boolean
  readonly entries: readonly (readonly [id: string, table: string, at: string, reason: string])[]
}

function queryOf(options: object): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(options)) if (value !== undefined) query.set(name, String(value))
  return query
}

export interface LeadersDocument {
  readonly node: string
  readonly partitions: readonly {
    readonly partition: number
    readonly state: string
    readonly lead: {
      readonly leader: string | null
      readonly epoch: number
      readonly inSync: readonly string[]
      readonly because: string
      readonly unclean: number
    } | null
    readonly end: { readonly epoch: number; readonly position: number }
    readonly staleMs: number
    readonly followers: readonly {
      readonly node: string
      readonly entries: number
      readonly bytes: number
      readonly seconds: number
      readonly silentMs: number | null
      readonly isFilled: boolean
    }[]
  }[]
}

export interface MovedLeader {
  readonly partition: number
  readonly from: string
  readonly to: string
  readonly epoch: number
  readonly tookMs: number
}

export interface ElectionPlan {
  readonly id: string
  readonly items: readonly {
    readonly table: string
    readonly partition: number
    readonly to: string
    readonly entriesKnown: number
    /** Entries behind `after`, of which only these nodes may have copies. */
    readonly loss: {
      readonly after: { readonly epoch: number; readonly position: number }
      readonly onlyOn: readonly string[]
    }
    readonly words: string
  }[]
  readonly others: readonly { readonly partition: number; readonly why: string }[]
}

const REQUEST_MS = 10_000
/** Making a plan, and committing one, asks every node about every partition. */
const PLAN_MS = 90_000
/** Comparing or repairing a partition reads all of it. */
const LONG_MS = 300_000

export class AdminClient {
  /** Empty: the node has not told the cluster where its admin interface is. */
  readonly address: string

  constructor(address: string) {
    this.address = address
  }

  status(timeoutMs = REQUEST_MS): Promise<StatusDocument> {
    return this.#ask('/api/v1/status', { timeoutMs })
  }

  tables(): Promise<{ tables: readonly Record<string, unknown>[] }> {
    return this.#ask('/api/v1/tables')
  }

  ring(table: string): Promise<RingDocument> {
    return this.#ask(`/api/v1/ring/${encodeURIComponent(table)}`)
  }

  explain(table: string, key: string, sort: string | undefined): Promise<Explanation> {
    const query = new URLSearchParams({ key, ...(sort === undefined ? {} : { sort }) })
    return this.#ask(`/api/v1/explain/${encodeURIComponent(table)}?${query}`)
  }

  verify(table: string, partition: number): Promise<VerdictDocument> {
    return this.#ask(`/api/v1/verify/${encodeURIComponent(table)}/${partition}`, { timeoutMs: LONG_MS })
  }

  shadow(table: string): Promise<ShadowDocument> {
    return this.#ask(`/api/v1/shadow/${encodeURIComponent(table)}`)
  }

  ledger(options: LedgerFilters & { limit?: number }): Promise<LedgerDocument> {
    return this.#ask(`/api/v1/ledger?${queryOf(options)}`)
  }

  ledgerIds(options: LedgerFilters): Promise<LedgerIds> {
    return this.#ask(`/api/v1/ledger/ids?${queryOf(options)}`)
  }

  hot(options: { readonly table: string | undefined; readonly limit: number }): Promise<HotDocument> {
    const query = new URLSearchParams({ limit: String(options.limit) })
    if (options.table !== undefined) query.set('table', options.table)
    return this.#ask(`/api/v1/hot?${query}`)
  }

  leaders(table: string): Promise<LeadersDocument> {
    return this.#ask(`/api/v1/leaders/${encodeURIComponent(table)}`)
  }

  leaderSpread(): Promise<PlanDocument['leaders']> {
    return this.#ask('/api/v1/leaders')
  }

  async moveLeader(table: string, partition: number, to: string): Promise<MovedLeader> {
    const token = await this.#token()
    const path = [table, partition, to].map(part => encodeURIComponent(part)).join('/')
    return this.#ask(`/api/v1/leaders/${path}`, { method: 'POST', token })
  }

  electionPlan(table: string): Promise<ElectionPlan> {
    return this.#ask(`/api/v1/elect/${encodeURIComponent(table)}`)
  }

  async elect(table: string, plan: string): Promise<ElectionPlan> {
    const token = await this.#token()
    const path = `/api/v1/elect/${encodeURIComponent(table)}/${encodeURIComponent(plan)}`
    return this.#ask(path, { method: 'POST', token })
  }

  /** Applies a discarded write of this node once more. */
  async restore(id: string, force: boolean): Promise<{ readonly table: string; readonly key: string }> {
    const token = await this.#token()
    return this.#ask(`/api/v1/ledger/restore/${encodeURIComponent(id)}${force ? '?force=true' : ''}`, {
      method: 'POST',
      token,
    })
  }

  /** Changes state: needs the node's token, which its status says where to find. */
  async repair(table: string): Promise<RepairDocument> {
    const token = await this.#token()
    return this.#ask(`/api/v1/repair/${encodeURIComponent(table)}`, {
      method: 'POST',
      token,
      timeoutMs: LONG_MS,
    })
  }

  cluster(timeoutMs = REQUEST_MS): Promise<ClusterDocument> {
    return this.#ask('/api/v1/cluster', { timeoutMs })
  }

  /** Measures every partition first, so it may take a while. */
  plan(): Promise<PlanDocument> {
    return this.#ask('/api/v1/cluster/plan', { timeoutMs: PLAN_MS })
  }

  stage(change: Readonly<Record<string, unknown>>): Promise<StagedDocument> {
    return this.#change('/api/v1/cluster/stage', change)
  }

  clear(): Promise<{ cleared: readonly string[] }> {
    return this.#change('/api/v1/cluster/clear', {})
  }

  commit(plan: string, bytesPerSecond: number | undefined): Promise<{ task: { readonly id: string } }> {
    return this.#change('/api/v1/cluster/commit', { plan, bytesPerSecond })
  }

  switchAuto(isOn: boolean, policy: Readonly<Record<string, unknown>>): Promise<{ auto: AutoDocument }> {
    return this.#change('/api/v1/cluster/auto', isOn ? { isOn, policy } : { isOn })
  }

  giveUp(node: string): Promise<{ node: string; members: readonly string[] }> {
    return this.#change('/api/v1/cluster/give-up', { node })
  }

  task(timeoutMs = REQUEST_MS): Promise<TaskDocument> {
    return this.#ask('/api/v1/task', { timeoutMs })
  }

  changeTask(verb: 'pause' | 'resume' | 'cancel', task: string | undefined): Promise<TaskDocument> {
    return this.#change(`/api/v1/task/${verb}`, { task })
  }

  async #change<T>(path: string, body: Readonly<Record<string, unknown>>): Promise<T> {
    const token = await this.#token()
    return this.#ask(path, { method: 'POST', token, body, timeoutMs: PLAN_MS })
  }

  async #token(): Promise<string> {
    const { tokenFile } = await this.status()
    try {
      return (await readFile(tokenFile, 'utf8')).trim()
    } catch (cause) {
      throw new CommandError(
        exitCodes.unauthorised,
        `the admin token of ${this.address} cannot be read: ${(cause as Error).message}`,
        { done: 'Nothing was changed.', next: 'the same command as the user who runs the node' },
      )
    }
  }

  async #ask<T>(path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.#fetch(path, options)
    let body: unknown
    try {
      body = await response.json()
    } catch (cause) {
      throw new CommandError(exitCodes.unreachable, `what answers at ${this.address} is not a Quorate node`, {
        cause,
      })
    }
    if (!response.ok) throw adminFailure(this.address, response.status, body)
    return body as T
  }

  async #fetch(path: string, options: RequestOptions): Promise<Response> {
    if (this.address === '')
      throw new CommandError(exitCodes.unreachable, 'the cluster does not know its admin address yet')
    try {
      return await fetch(`http://${this.address}${path}`, {
        method: options.method ?? 'GET',
        signal: AbortSignal.timeout(options.timeoutMs ?? REQUEST_MS),
        ...(options.token === undefined ? {} : { headers: { authorization: `Bearer ${options.token}` } }),
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      })
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError')
        throw new CommandError(exitCodes.timedOut, `the node at ${this.address} did not answer in time`)
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
      throw new CommandError(exitCodes.unreachable, `no node answers at http://${this.address}`, {
        cause,
        next: 'quorate start …, or give --http HOST:PORT of a node that runs',
      })
    }
  }
}

interface RequestOptions {
  readonly method?: string
  readonly token?: string
  readonly timeoutMs?: number
  readonly body?: Readonly<Record<string, unknown>>
}

function adminFailure(address: string, status: number, body: unknown): Error {
  const { error } = body as {
    error?: {
      code?: string
      message?: string
      outcome?: string
      attempts?: string[]
      data?: Readonly<Record<string, unknown>>
    }
  }
  if (error?.code === undefined)
    return new CommandError(exitCodes.unexpected, `${address} answered HTTP ${status}`)
  if (status === 401) return new CommandError(exitCodes.unauthorised, error.message ?? 'not authorised')
  return Object.assign(new Error(error.message), {
    name: 'QuorateError',
    code: error.code,
    outcome: error.outcome ?? 'not-applied',
    attempts: error.attempts ?? [],
    data: error.data ?? {},
  })
}
