/**
 * Clients that work in sessions on a table that promises nothing by itself (r = 1, w = 1), each over two machines and
 * whatever nodes their calls reach, handing the session's token from one machine to the other.
 *
 * Every key has one writer, who numbers its writes; a key whose last write has an unknown outcome is written no more. So
 * a greater number is a later write, by construction and not by anything the nodes say. Each value also says what its
 * writer had been shown of other keys by then (`saw`): that is what it may have been caused by.
 */

import { type Row, Session, type TableClient, table } from '@quorate/client/pure'
import { isQuorateError, randomBelow, randomChance, randomPick, type SeededRandom } from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'

export const SESSION_TABLE = 'sessions'

export interface SessionValue {
  readonly key: string
  /** Undefined: there was no row. */
  readonly number: number | undefined
  readonly saw: Readonly<Record<string, number>>
}

export interface SessionOperation {
  readonly session: string
  readonly kind: 'put' | 'delete' | 'read'
  readonly callMs: number
  returnMs: number | undefined
  /** `pending` at the end counts as unknown. */
  outcome: 'pending' | 'ok' | 'failed' | 'unknown'
  error: string | undefined
  /** What was written, or found: several rows when they were read together. */
  values: readonly SessionValue[]
}

const KEYS_WATCHED = 8
const TIMEOUT_MS = 3_000
/** Operations of a session; then a new one begins. */
const SESSION_OPERATIONS = 60

/** What all session clients of a run share. */
export class SessionCast {
  readonly history: SessionOperation[] = []
  readonly keys: string[] = []
}

export class SessionClient {
  readonly #cluster: SimCluster
  readonly #random: SeededRandom
  readonly #name: string
  readonly #cast: SessionCast
  readonly #tables: readonly TableClient<Row>[]
  #session = new Session()
  #sessions = 0
  #operations = 0
  #keys = 0
  #own: { key: string; number: number; context: Uint8Array | undefined }[] = []
  /** The greatest number that this session was shown, or has written, of each key. */
  #saw = new Map<string, number>()

  constructor(cluster: SimCluster, random: SeededRandom, name: string, cast: SessionCast) {
    this.#cluster = cluster
    this.#random = random
    this.#name = name
    this.#cast = cast
    this.#tables = ['a', 'b'].map(machine =>
      cluster.newClient(`${name}${machine}`).client.table(table<Row>(SESSION_TABLE, { key: 'k' })),
    )
  }

  async step(): Promise<void> {
    if (this.#operations++ % SESSION_OPERATIONS === 0) this.#beginSession()
    else if (randomChance(this.#random, 0.2)) this.#session = new Session(this.#session.token)
    const choice = randomBelow(this.#random, 10)
    if (choice < 2) return this.#write()
    if (choice < 5) {
      // An answer, as soon as something was found.
      await this.#read(this.#watched(1))
      return this.#write()
    }
    if (choice < 7) return void (await this.#read(this.#watched(2 + randomBelow(this.#random, 3))))
    // What was found, and then one of the things that it was caused by.
    const [found] = await this.#read(this.#watched(1))
    const causes = Object.keys(found?.saw ?? {}).slice(-3)
    if (causes.length > 0) await this.#read([randomPick(this.#random, causes)])
  }

  #watched(count: number): string[] {
    const watched = this.#cast.keys.slice(-KEYS_WATCHED)
    if (watched.length === 0) return []
    return [...new Set(Array.from({ length: count }, () => randomPick(this.#random, watched)))]
  }

  #beginSession(): void {
    this.#session = new Session()
    this.#sessions++
    // Other sessions write its keys no more: they have one writer, which is a session.
    this.#own = []
    this.#saw = new Map()
  }

  #table(): TableClient<Row> {
    return randomPick(this.#random, this.#tables)
  }

  #ownKey() {
    if (this.#own.length < 2) {
      const key = `${this.#name}-${++this.#keys}`
      this.#own.push({ key, number: 0, context: undefined })
      this.#cast.keys.push(key)
    }
    return randomPick(this.#random, this.#own)
  }

  #begin(kind: SessionOperation['kind'], values: readonly SessionValue[]): SessionOperation {
    const operation: SessionOperation = {
      session: `${this.#name}.${this.#sessions}`,
      kind,
      callMs: this.#cluster.simulation.nowMs,
      returnMs: undefined,
      outcome: 'pending',
      error: undefined,
      values,
    }
    this.#cast.history.push(operation)
    return operation
  }

  async #write(): Promise<void> {
    const own = this.#ownKey()
    const { key, context } = own
    const number = own.number + 1
    const saw = Object.fromEntries([...this.#saw].filter(([name]) => name !== key))
    const isDelete = own.number > 0 && randomChance(this.#random, 0.2)
    const operation = this.#begin(isDelete ? 'delete' : 'put', [{ key, number, saw }])
    const options = { session: this.#session, timeoutMs: TIMEOUT_MS, context }
    try {
      const row = { k: key, v: `${key}#${number}`, number, saw: saw as Row }
      const result = isDelete
        ? await this.#table().delete(key, options)
        : await this.#table().put(row, options)
      operation.outcome = 'ok'
      own.number = number
      own.context = result.context
      this.#show(key, number)
    } catch (error) {
      this.#failed(operation, error)
      if (operation.outcome === 'unknown') this.#own = this.#own.filter(one => one !== own)
    }
    this.#ended(operation)
  }

  async #read(keys: readonly string[]): Promise<readonly SessionValue[]> {
    if (keys.length === 0) return []
    const operation = this.#begin('read', [])
    const options = { session: this.#session, timeoutMs: TIMEOUT_MS }
    try {
      const found =
        keys.length === 1
          ? [await this.#table().get(keys[0]!, options)]
          : await this.#table().getMany(keys, options)
      operation.values = found.map(({ siblings }, at) => newest(keys[at]!, siblings))
      for (const { key, number } of operation.values) if (number !== undefined) this.#show(key, number)
      operation.outcome = 'ok'
    } catch (error) {
      this.#failed(operation, error)
    }
    this.#ended(operation)
    return operation.values
  }

  #show(key: string, number: number): void {
    const least = this.#saw.get(key) ?? 0
    // Last what was shown last.
    this.#saw.delete(key)
    this.#saw.set(key, Math.max(number, least))
  }

  #failed(operation: SessionOperation, error: unknown): void {
    if (!isQuorateError(error)) throw error
    operation.outcome = error.outcome === 'not-applied' ? 'failed' : 'unknown'
    operation.error = `${error.code}: ${error.message}`
  }

  #ended(operation: SessionOperation): void {
    const { simulation } = this.#cluster
    operation.returnMs = simulation.nowMs
    if (!simulation.isTold) return
    const { session, kind, outcome, error = '' } = operation
    const values = operation.values.map(({ key, number }) => `${key}#${number ?? '-'}`).join(' ')
    simulation.tell(
      `${session} ${kind} ${values} since ${operation.callMs.toFixed(1)} -> ${outcome} ${error}`,
    )
  }

  /** What is there of every key after healing, read as anybody would. */
  async final(): Promise<Map<string, number | undefined>> {
    const out = new Map<string, number | undefined>()
    for (const key of this.#cast.keys) {
      const { siblings } = await this.#tables[0]!.get(key, { r: 'all', timeoutMs: 20_000 })
      out.set(key, newest(key, siblings).number)
    }
    return out
  }
}

function newest(key: string, siblings: readonly Row[]): SessionValue {
  const best = siblings.reduce<Row | undefined>(
    (a, b) => (a === undefined || (b.number as number) > (a.number as number) ? b : a),
    undefined,
  )
  return {
    key,
    number: best?.number as number | undefined,
    saw: (best?.saw ?? {}) as Record<string, number>,
  }
}
