/**
 * Clients of a table whose rows merge by themselves: they count, add and remove, and set, each over two machines, and now
 * and then send the same operation through both at once.
 *
 * Every addition to a counter is of another power-like size, so that the sum tells which of the unknown ones are in it.
 * Elements of one set are added once each; those of another by everyone, again and again.
 */

import { counter, lww, mapOf, orSet, type QuorateClient, table } from '@quorate/client/pure'
import {
  isQuorateError,
  type MergeStep,
  type OperationId,
  randomBelow,
  randomChance,
  randomPick,
  type SeededRandom,
} from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'

export const MERGING_TABLE = 'merging'

export const mergingRows = table(MERGING_TABLE, {
  key: 'k',
  fields: { sum: counter(), once: orSet<string>(), shared: mapOf(orSet<string>()), name: lww<string>() },
})

const tableOf = (client: QuorateClient) => client.table(mergingRows)
type MergingClientTable = ReturnType<typeof tableOf>

export interface MergingRow {
  readonly sum: number | bigint
  readonly once: ReadonlySet<string>
  readonly shared: { readonly [name: string]: ReadonlySet<string> }
  readonly name: string | undefined
}

export interface MergingOperation {
  readonly key: string
  readonly step: MergeStep
  readonly callMs: number
  /** Of a removal: from when to when it looked at what it takes away. */
  readonly lookMs: number
  lookedMs: number
  returnMs: number | undefined
  /** `pending` at the end counts as unknown. */
  outcome: 'pending' | 'ok' | 'failed' | 'unknown'
}

export const MERGING_KEYS = ['k0', 'k1', 'k2'] as const
export const SHARED = ['a', 'b'] as const
const TIMEOUT_MS = 3_000
const LOOK_MAX_MS = 400
/** Sizes of additions: any of them, and sums of several, differ. */
const SIZE_MAX = 1_000_000_000

/** What all such clients of a run share. */
export class MergingCast {
  readonly history: MergingOperation[] = []
  readonly added: string[] = []
  count = 0
}

export class MergingClient {
  readonly #cluster: SimCluster
  readonly #random: SeededRandom
  readonly #cast: MergingCast
  readonly #tables: readonly MergingClientTable[]
  readonly #newOperation: () => OperationId

  constructor(cluster: SimCluster, random: SeededRandom, name: string, cast: MergingCast) {
    this.#cluster = cluster
    this.#random = random
    this.#cast = cast
    const clients = ['a', 'b'].map(machine => cluster.newClient(`${name}${machine}`).client)
    this.#tables = clients.map(tableOf)
    this.#newOperation = () => clients[0]!.newOperation()
  }

  async step(): Promise<void> {
    const key = randomPick(this.#random, MERGING_KEYS)
    const choice = randomBelow(this.#random, 12)
    if (choice < 4) return this.#apply(key, this.#addition())
    if (choice < 6) return this.#addOnce(key)
    if (choice < 7) return this.#removeOnce()
    if (choice < 9) return this.#apply(key, this.#ofShared('add'))
    if (choice < 10) return this.#apply(key, this.#ofShared('remove'))
    if (choice < 11) return this.#apply(key, { op: 'set', path: ['name'], to: `name-${this.#cast.count++}` })
    await this.read(key, randomPick(this.#random, this.#tables))
  }

  #addition(): MergeStep {
    return { op: 'increment', path: ['sum'], by: 1 + randomBelow(this.#random, SIZE_MAX) }
  }

  #ofShared(op: 'add' | 'remove'): MergeStep {
    return { op, path: ['shared', randomPick(this.#random, SHARED)], element: 'x' }
  }

  async #addOnce(key: string): Promise<void> {
    const element = `e${this.#cast.count++}`
    this.#cast.added.push(`${key}/${element}`)
    await this.#apply(key, { op: 'add', path: ['once'], element })
  }

  async #removeOnce(): Promise<void> {
    const recent = this.#cast.added.slice(-20)
    if (recent.length === 0) return
    const [key, element] = randomPick(this.#random, recent).split('/') as [string, string]
    await this.#apply(key, { op: 'remove', path: ['once'], element })
  }

  async #apply(key: string, step: MergeStep): Promise<void> {
    const operation = this.#newOperation()
    const nowMs = this.#cluster.simulation.nowMs
    const record: MergingOperation = {
      key,
      step,
      callMs: nowMs,
      lookMs: nowMs,
      lookedMs: nowMs,
      returnMs: undefined,
      outcome: 'pending',
    }
    this.#cast.history.push(record)
    const context = step.op === 'remove' ? await this.#look(key) : undefined
    record.lookedMs = this.#cluster.simulation.nowMs
    // Whoever looked takes his time.
    if (context !== undefined) await this.#pause(randomBelow(this.#random, LOOK_MAX_MS))
    const isTwice = randomChance(this.#random, 0.2)
    const tables = isTwice ? this.#tables : [randomPick(this.#random, this.#tables)]
    const tries = await Promise.all(tables.map(client => this.#try(client, key, step, operation, context)))
    record.returnMs = this.#cluster.simulation.nowMs
    record.outcome = tries.includes('ok') ? 'ok' : tries.includes('unknown') ? 'unknown' : 'failed'
  }

  async #try(
    client: MergingClientTable,
    key: string,
    step: MergeStep,
    operation: OperationId,
    context: Uint8Array | undefined,
  ): Promise<MergingOperation['outcome']> {
    try {
      await client.apply(key, [step], { operation, context, timeoutMs: TIMEOUT_MS })
      return 'ok'
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return error.outcome === 'not-applied' ? 'failed' : 'unknown'
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => this.#cluster.simulation.at(ms * 1_000, resolve))
  }

  /** What a removal takes away; undefined: it looks by itself. */
  async #look(key: string): Promise<Uint8Array | undefined> {
    try {
      return (await randomPick(this.#random, this.#tables).get(key, { timeoutMs: TIMEOUT_MS })).context
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return undefined
    }
  }

  /** Undefined: it could not be read. */
  async read(
    key: string,
    client: MergingClientTable = this.#tables[0]!,
    r?: 'all',
    timeoutMs = TIMEOUT_MS,
  ): Promise<MergingRow | undefined> {
    try {
      const { value } = await client.get(key, { r, timeoutMs })
      return value ?? nothing
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return undefined
    }
  }

  /** Every row, read at all replicas. */
  async final(): Promise<Map<string, MergingRow>> {
    const rows = new Map<string, MergingRow>()
    for (const key of MERGING_KEYS) {
      const row = await this.read(key, this.#tables[0]!, 'all', 20_000)
      if (row !== undefined) rows.set(key, row)
    }
    return rows
  }
}

const nothing: MergingRow = { sum: 0, once: new Set(), shared: {}, name: undefined }
