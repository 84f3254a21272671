/** `workload run`: YCSB mixes (Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", 2010) and a set that is checked. */

import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Row, TableClient } from '@quorate/client'
import type { CommandContext } from '../command-context.ts'
import { concurrently } from '../concurrently.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Column } from '../output/output.ts'
import { Progress } from '../output/progress.ts'
import { count } from '../output/words.ts'
import { Measurements, type OperationReport } from './measurements.ts'

export interface WorkloadOptions {
  readonly rate?: number
  readonly duration: number
  readonly concurrency: number
  readonly rows: number
  readonly check?: boolean
  readonly table: string
}

export type WorkloadKind = 'a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'set'

/** Shares of operations, as the paper has them; `e` reads ten rows after a key instead of a range of keys. */
const MIXES: Readonly<Record<Exclude<WorkloadKind, 'set'>, Readonly<Record<string, number>>>> = {
  a: { read: 0.5, update: 0.5 },
  b: { read: 0.95, update: 0.05 },
  c: { read: 1 },
  d: { read: 0.95, insert: 0.05 },
  e: { scan: 0.95, insert: 0.05 },
  f: { read: 0.5, change: 0.5 },
}

const columns: readonly Column<OperationReport>[] = [
  { name: 'OPERATION', value: item => item.operation },
  { name: 'COUNT', value: item => item.count },
  { name: 'PER SECOND', value: item => Math.round(item.perSecond) },
  { name: 'P50 MS', value: item => item.p50Ms.toFixed(2) },
  { name: 'P99 MS', value: item => item.p99Ms.toFixed(2) },
  { name: 'MAX MS', value: item => item.maxMs.toFixed(1) },
  {
    name: 'ERRORS',
    value: item => item.errors,
    paint: (text, item, style) => (item.errors > 0 ? style.red(text) : text),
  },
]

export async function runWorkload(
  context: CommandContext,
  kind: WorkloadKind,
  options: WorkloadOptions,
): Promise<ExitCode> {
  const client = await openTable(context, options.table)
  return kind === 'set' ? runSet(context, client, options) : runMix(context, client, kind, options)
}

async function openTable({ access }: CommandContext, name: string): Promise<TableClient<Row>> {
  try {
    return (await access.table(name)).client
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'UNKNOWN_TABLE')) throw error
    const db = await access.database()
    await db.createTable(name, { key: { partition: 'id' } })
    return (await access.table(name)).client
  }
}

/** Runs `operation` for the duration, at the rate when one is given, never more than `concurrency` at once. */
async function drive(
  { output }: CommandContext,
  label: string,
  options: WorkloadOptions,
  operation: (index: number) => Promise<void>,
): Promise<number> {
  const began = performance.now()
  const ends = began + options.duration
  const progress = new Progress(output.terminal.error, label, 'operations', undefined)
  let index = 0
  let done = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < ends) {
      const own = index++
      if (options.rate !== undefined) {
        const dueMs = began + (own / options.rate) * 1000 - performance.now()
        if (performance.now() + dueMs >= ends) return
        if (dueMs > 1) await pause(dueMs)
      }
      await operation(own)
      progress.done = ++done
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, worker))
  progress.end()
  return (performance.now() - began) / 1000
}

async function runMix(
  context: CommandContext,
  client: TableClient<Row>,
  kind: Exclude<WorkloadKind, 'set'>,
  options: WorkloadOptions,
): Promise<ExitCode> {
  const value = (): string => randomBytes(50).toString('hex')
  const idOf = (row: number): string => `user${row}`
  let rows = options.rows
  await concurrently(
    Array.from({ length: rows }, (_, i) => i),
    options.concurrency,
    async row => {
      const { context: seen } = await client.get(idOf(row))
      await client.put({ id: idOf(row), field: value() }, { context: seen })
    },
  )
  const measured = new Measurements()
  const some = (): string => idOf(Math.floor(Math.random() * rows))
  const replace = async (id: string): Promise<void> => {
    const { context: seen } = await client.get(id)
    await client.put({ id, field: value() }, { context: seen })
  }
  const operations: Readonly<Record<string, () => Promise<unknown>>> = {
    read: () => client.get(kind === 'd' ? idOf(rows - 1 - Math.floor(Math.random() ** 3 * rows)) : some()),
    update: () => replace(some()),
    change: () => replace(some()),
    insert: () => client.put({ id: idOf(rows++), field: value() }),
    async scan() {
      let seen = 0
      for await (const _ of client.scan({ limit: 10 })) seen++
      return seen
    },
  }
  const mix = Object.entries(MIXES[kind])
  const seconds = await drive(context, `workload ${kind}`, options, async () => {
    let draw = Math.random()
    const drawn = mix.find(([, share]) => {
      draw -= share
      return draw < 0
    })
    const [name] = drawn ?? mix[0]!
    await measured.time(name, operations[name]!)
  })
  const items = measured.report(seconds)
  context.output.answer({
    kind: 'workload',
    items,
    columns,
    partial: items.some(item => item.errors > 0),
    footer: measured.firstErrors.join('\n'),
  })
  return exitCodes.ok
}

async function runSet(
  context: CommandContext,
  client: TableClient<Row>,
  options: WorkloadOptions,
): Promise<ExitCode> {
  const run = randomBytes(4).toString('hex')
  const measured = new Measurements()
  const acknowledged: string[] = []
  const outcomes = { refused: 0, unknown: 0 }
  const seconds = await drive(context, 'workload set', options, async index => {
    const id = `${run}-${index}`
    try {
      await measured.time('add', () => client.put({ id, run, element: index }))
      acknowledged.push(id)
    } catch (error) {
      if (error instanceof Error && 'outcome' in error && error.outcome === 'not-applied') outcomes.refused++
      else outcomes.unknown++
    }
  })
  const missing: string[] = []
  if (options.check === true) await readBack(context, client, acknowledged, options.concurrency, missing)
  const item = {
    run,
    acknowledged: acknowledged.length,
    ...outcomes,
    checked: options.check === true ? acknowledged.length : 0,
    missing: missing.length,
    examples: missing.slice(0, 10),
    operations: measured.report(seconds),
  }
  context.output.answer({
    kind: 'workload-set',
    items: [item],
    columns: [
      { name: 'ACKNOWLEDGED', value: found => found.acknowledged },
      { name: 'REFUSED', value: found => found.refused },
      { name: 'UNKNOWN', value: found => found.unknown },
      { name: 'READ BACK', value: found => found.checked - found.missing },
      {
        name: 'MISSING',
        value: found => found.missing,
        paint: (text, found, style) => (found.missing > 0 ? style.red(text) : style.green(text)),
      },
      { name: 'PER SECOND', value: found => Math.round(found.operations[0]?.perSecond ?? 0) },
      { name: 'P99 MS', value: found => (found.operations[0]?.p99Ms ?? 0).toFixed(2) },
    ],
    warnings:
      missing.length > 0
        ? [
            `${count(missing.length, 'acknowledged element')} cannot be read back: ${missing.slice(0, 5).join(', ')}`,
          ]
        : [],
    footer: options.check === true ? '' : 'nothing was read back: --check',
  })
  return missing.length > 0 ? exitCodes.unhealthy : exitCodes.ok
}

const READ_BACK_MS = 60_000

async function readBack(
  { output }: CommandContext,
  client: TableClient<Row>,
  ids: readonly string[],
  width: number,
  missing: string[],
): Promise<void> {
  const progress = new Progress(output.terminal.error, 'read back', 'rows', ids.length)
  await concurrently(ids, width, async id => {
    const { value } = await client.get(id, { r: 'quorum', timeoutMs: READ_BACK_MS })
    if (value === undefined) missing.push(id)
    progress.done = progress.done + 1
  })
  progress.end()
}
