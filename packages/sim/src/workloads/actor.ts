/**
 * One client that works and writes down what it did and heard.
 *
 * Rows are `{ k, v }` with a tag as `v`; in a table with the rule `merge:union` also `items`, a list of
 * tags that merges. Failures of any kind are part of the history and never an exception to a workload.
 */

import { type Level, type Receipt, type Row, type TableClient, table } from '@quorate/client/pure'
import {
  type Context,
  decodeContextToken,
  isQuorateError,
  type OperationId,
  type SeededRandom,
} from '@quorate/core'
import type { SimClient } from '../world/sim-client.ts'
import type { Simulation } from '../world/simulation.ts'
import type { History, ReadRecord, WriteRecord } from './history.ts'

/** What a write builds on: the token to give and the tags that were visible with it. */
export interface Basis {
  readonly token: Uint8Array
  readonly seen: ReadonlySet<string>
}

export interface Found extends Basis {
  readonly tags: readonly string[]
}

export interface WriteChoice {
  readonly basis?: Basis | undefined
  readonly w?: Level | undefined
  readonly strict?: boolean | undefined
  readonly operation?: OperationId | undefined
  /** What an absent basis means to the rule: nothing seen, or whatever the coordinator has. */
  readonly blind?: 'saw nothing' | 'asks coordinator'
  readonly items?: readonly string[] | undefined
}

export interface ActorParts {
  readonly simulation: Simulation
  readonly history: History
  readonly random: SeededRandom
  readonly machine: SimClient
  readonly timeoutMs: number
  readonly onWritten: (write: WriteRecord) => void
  readonly onRead: (read: ReadRecord) => void
}

export class Actor {
  readonly name: string
  readonly random: SeededRandom
  readonly history: History
  readonly #parts: ActorParts
  readonly #tables = new Map<string, TableClient<Row>>()
  timeoutMs: number

  constructor(parts: ActorParts) {
    this.#parts = parts
    this.name = parts.machine.name
    this.random = parts.random
    this.history = parts.history
    this.timeoutMs = parts.timeoutMs
  }

  newTag(): string {
    return this.history.nextTag(this.name)
  }

  newOperation(): OperationId {
    return this.#parts.machine.client.newOperation()
  }

  #table(name: string): TableClient<Row> {
    let client = this.#tables.get(name)
    if (client === undefined) {
      client = this.#parts.machine.client.table(table<Row>(name, { key: 'k' }))
      this.#tables.set(name, client)
    }
    return client
  }

  /** Gives the basis for a next write by the same client, or undefined when it was not acknowledged. */
  async write(
    name: string,
    key: string,
    tag: string | undefined,
    choice: WriteChoice = {},
  ): Promise<Basis | undefined> {
    const { simulation, history } = this.#parts
    const { basis } = choice
    const record: WriteRecord = {
      kind: 'write',
      client: this.name,
      table: name,
      key,
      tag,
      operation: choice.operation ?? this.newOperation(),
      strict: choice.strict ?? false,
      seen: basis?.seen ?? (choice.blind === 'asks coordinator' ? undefined : new Set()),
      callMs: simulation.nowMs,
      returnMs: undefined,
      outcome: 'pending',
      receipt: undefined,
      context: undefined,
      error: undefined,
    }
    history.writes.push(record)
    const options = {
      timeoutMs: this.timeoutMs,
      operation: record.operation as OperationId,
      ...(basis === undefined ? {} : { context: basis.token }),
      ...(choice.w === undefined ? {} : { w: choice.w }),
      ...(choice.strict === undefined ? {} : { strict: choice.strict }),
    }
    const client = this.#table(name)
    try {
      const row = { k: key, v: tag, ...(choice.items === undefined ? {} : { items: choice.items }) }
      const result = tag === undefined ? await client.delete(key, options) : await client.put(row, options)
      record.outcome = 'ok'
      record.receipt = result.receipt
      record.context = decodeContextToken(result.context).parts
      record.returnMs = simulation.nowMs
      this.#parts.onWritten(record)
      this.#tellWrite(record, result.repeated ? ' (repeated)' : '')
      const seen = new Set(record.seen ?? [])
      if (tag !== undefined) seen.add(tag)
      return { token: result.context, seen }
    } catch (error) {
      if (!isQuorateError(error)) throw error
      record.outcome = error.outcome === 'not-applied' ? 'failed' : 'unknown'
      record.error = `${error.code}: ${error.message}`
      record.returnMs = simulation.nowMs
      this.#tellWrite(record, ` ${record.error}`)
      return undefined
    }
  }

  async read(name: string, key: string, r?: Level): Promise<Found | undefined> {
    const { simulation, history } = this.#parts
    const callMs = simulation.nowMs
    try {
      const found = await this.#table(name).get(key, {
        timeoutMs: this.timeoutMs,
        ...(r === undefined ? {} : { r }),
      })
      const tags = found.siblings.flatMap(tagsOf)
      const record: ReadRecord = {
        kind: 'read',
        client: this.name,
        table: name,
        key,
        tags,
        callMs,
        returnMs: simulation.nowMs,
        receipt: found.receipt,
      }
      history.reads.push(record)
      this.#parts.onRead(record)
      this.#tell(
        `read  ${name}/${key} r=${r ?? 'table'} -> [${tags.join(' ')}] ${describeReceipt(found.receipt)}`,
      )
      return { tags, token: found.context, seen: new Set(tags) }
    } catch (error) {
      if (!isQuorateError(error)) throw error
      this.#tell(`read  ${name}/${key} r=${r ?? 'table'} -> ${error.code}: ${error.message}`)
      return undefined
    }
  }

  /** The whole table in pages: a read of each row that it is known to have, all from one scan. */
  async scan(name: string, keys: readonly string[], r?: Level, pageSize?: number): Promise<void> {
    const { simulation, history } = this.#parts
    const callMs = simulation.nowMs
    const found = new Map<string, { tags: string[]; receipt: Receipt }>()
    try {
      const rows = this.#table(name).scan({
        timeoutMs: this.timeoutMs,
        ...(r === undefined ? {} : { r }),
        ...(pageSize === undefined ? {} : { pageSize }),
      })
      for await (const { siblings, receipt } of rows) {
        const key = siblings[0]!.k as string
        if (found.has(key)) simulation.fail(new Error(`a scan of ${name} gave ${key} twice`))
        found.set(key, { tags: siblings.flatMap(tagsOf), receipt })
      }
    } catch (error) {
      if (!isQuorateError(error)) throw error
      this.#tell(`scan  ${name} r=${r ?? 'table'} -> ${error.code}: ${error.message}`)
      return
    }
    const returnMs = simulation.nowMs
    const receipts = [...found.values()].map(({ receipt }) => receipt)
    // For a row that is not there: the page that says so heard no fewer homes than the least of the others.
    const least = receipts.reduce((a, b) => (b.copies < a.copies ? b : a), receipts[0]!)
    for (const key of least === undefined ? [] : keys) {
      const { tags, receipt } = found.get(key) ?? { tags: [], receipt: least }
      history.reads.push({
        kind: 'read',
        client: this.name,
        table: name,
        key,
        tags,
        callMs,
        returnMs,
        receipt,
      })
    }
    this.#tell(`scan  ${name} r=${r ?? 'table'} since ${callMs.toFixed(1)} -> ${found.size} rows`)
  }

  #tellWrite(write: WriteRecord, more: string): void {
    const what = write.tag === undefined ? 'delete' : `put ${write.tag}`
    const base = write.seen === undefined ? 'coordinator' : [...write.seen].join(' ')
    const receipt = write.receipt === undefined ? '' : describeReceipt(write.receipt)
    this.#tell(
      `${what} ${write.table}/${write.key} over [${base}] since ${write.callMs.toFixed(1)} -> ${write.outcome} ${receipt}${more}`,
    )
  }

  #tell(line: string): void {
    if (this.#parts.simulation.isTold) this.#parts.simulation.tell(`${this.name} ${line}`)
  }
}

const tagsOf = (row: Row): string[] => (row.items as string[] | undefined) ?? [row.v as string]

export function describeReceipt(receipt: Receipt): string {
  const nodes = receipt.answered.map(({ node, role, for: home }) =>
    role === 'home' ? node : `${node}(for ${home})`,
  )
  return `{${receipt.coordinator}: ${nodes.join(' ')}}`
}

export type { Context }
