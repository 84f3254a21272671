/**
 * Clients of a table whose rows are agreed on: they put, change under a condition, count up, delete and read, on a few rows
 * that all of them want. Their history says what each was told, for the checker of linearizability.
 */

import { equal, increment, type Row, type TableClient, table } from '@quorate/client/pure'
import {
  isQuorateError,
  type OperationId,
  randomBelow,
  randomChance,
  randomPick,
  type SeededRandom,
} from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'

export const AGREED_TABLE = 'agreed'
export const AGREED_KEYS = ['k0', 'k1', 'k2', 'k3'] as const
const TIMEOUT_MS = 3_000

export type AgreedInput =
  | { readonly kind: 'read'; readonly key: string }
  | { readonly kind: 'put'; readonly key: string; readonly value: number }
  /** Only when the row has this value. */
  | { readonly kind: 'swap'; readonly key: string; readonly from: number; readonly to: number }
  /** Makes the row where there is none. */
  | { readonly kind: 'increment'; readonly key: string }
  | { readonly kind: 'delete'; readonly key: string }

/** Of a read: what it found; of a swap: whether it took place. */
export interface AgreedOutput {
  readonly value: number | undefined
  readonly applied: boolean
}

export interface AgreedOperation {
  readonly input: AgreedInput
  output: AgreedOutput | undefined
  readonly call: number
  /** undefined: unknown outcome. */
  return: number | undefined
  /** It is certain that nothing was done. */
  failed: boolean
}

export class AgreedClient {
  readonly #cluster: SimCluster
  readonly #random: SeededRandom
  readonly #history: AgreedOperation[]
  readonly #tables: readonly TableClient<Row>[]
  readonly #newOperation: () => OperationId
  #values = 0
  /** What was last found of each row. */
  readonly #known = new Map<string, number>()

  constructor(cluster: SimCluster, random: SeededRandom, name: string, history: AgreedOperation[]) {
    this.#cluster = cluster
    this.#random = random
    this.#history = history
    const clients = ['a', 'b'].map(machine => cluster.newClient(`${name}${machine}`).client)
    this.#tables = clients.map(client => client.table(table<Row>(AGREED_TABLE, { key: 'k' })))
    this.#newOperation = () => clients[0]!.newOperation()
  }

  async step(): Promise<void> {
    const key = randomPick(this.#random, AGREED_KEYS)
    const choice = randomBelow(this.#random, 10)
    if (choice < 4) return this.#do({ kind: 'read', key })
    if (choice < 5) return this.#do({ kind: 'put', key, value: this.#newValue() })
    if (choice < 7) {
      const from = this.#known.get(key) ?? 0
      return this.#do({ kind: 'swap', key, from, to: this.#newValue() })
    }
    if (choice < 9) return this.#do({ kind: 'increment', key })
    return this.#do({ kind: 'delete', key })
  }

  /** Apart from what is counted up. */
  #newValue(): number {
    return 1_000 * (1 + randomBelow(this.#random, 1_000_000)) + (this.#values++ % 7)
  }

  async #do(input: AgreedInput): Promise<void> {
    const nowMs = (): number => this.#cluster.simulation.nowMs
    const operation: AgreedOperation = {
      input,
      output: undefined,
      call: nowMs(),
      return: undefined,
      failed: false,
    }
    this.#history.push(operation)
    const name = this.#newOperation()
    // Now and then one operation through two nodes at once: it is one.
    const isTwice = input.kind !== 'read' && randomChance(this.#random, 0.15)
    const tables = isTwice ? this.#tables : [randomPick(this.#random, this.#tables)]
    const found = await Promise.all(tables.map(client => this.#try(client, input, name)))
    const told = found.filter(one => typeof one === 'object')
    if (told.length > 0) {
      // A condition may be found not to hold by one try after the other has made it so.
      operation.output = told.find(one => one.applied) ?? (told.length === found.length ? told[0] : undefined)
      if (operation.output !== undefined) operation.return = nowMs()
      if (input.kind === 'read' && operation.output?.value !== undefined)
        this.#known.set(input.key, operation.output.value)
    } else operation.failed = found.every(one => one === 'failed')
  }

  async #try(
    client: TableClient<Row>,
    input: AgreedInput,
    operation: OperationId,
  ): Promise<AgreedOutput | 'failed' | 'unknown'> {
    const options = { operation, timeoutMs: TIMEOUT_MS }
    const { key } = input
    try {
      switch (input.kind) {
        case 'read': {
          const { value } = await client.get(key, { timeoutMs: TIMEOUT_MS })
          return { value: value?.v as number | undefined, applied: true }
        }
        case 'put':
          await client.put({ k: key, v: input.value }, options)
          break
        case 'swap': {
          const { applied } = await client.put(
            { k: key, v: input.to },
            { ...options, if: equal('v', input.from) },
          )
          return { value: undefined, applied }
        }
        case 'increment':
          await client.update(key, [increment('v')], options)
          break
        case 'delete':
          await client.delete(key, options)
      }
      return { value: undefined, applied: true }
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return error.outcome === 'not-applied' ? 'failed' : 'unknown'
    }
  }
}
