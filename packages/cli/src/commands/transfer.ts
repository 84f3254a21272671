/** import and export: many rows from and to files. */

import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { advised } from '../advice.ts'
import type { LevelArgument } from '../arguments.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError } from '../command-error.ts'
import { concurrently } from '../concurrently.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { toJson } from '../output/json-value.ts'
import { Progress } from '../output/progress.ts'
import { count } from '../output/words.ts'
import { CsvShape } from './csv-shape.ts'
import { formatOf, type RowFormat, readRows, refuseUnreadable, type SourceLine } from './row-source.ts'

export interface ImportOptions {
  readonly format?: RowFormat
  readonly skip: number
  readonly replace?: boolean
  readonly concurrency: number
  readonly w?: LevelArgument
}

const PROBLEMS_SHOWN = 20
const PUT_TIMEOUT_MS = 30_000

interface ImportTally {
  written: number
  failed: number
  unknown: number
  skipped: number
  lastLine: number
  readonly problems: { line: number; message: string }[]
}

export async function importRows(
  { access, output, words }: CommandContext,
  table: string,
  file: string,
  options: ImportOptions,
): Promise<ExitCode> {
  await refuseUnreadable(file)
  const { client } = await advised({ verb: 'import', table, words }, () => access.table(table))
  const tally: ImportTally = { written: 0, failed: 0, unknown: 0, skipped: 0, lastLine: 0, problems: [] }
  const progress = new Progress(output.terminal.error, `import ${table}`, 'rows', undefined)
  const pending = new Set<number>()
  const onInterrupt = (): void => {
    const resume = Math.max(0, Math.min(tally.lastLine, ...pending) - 1)
    progress.end(`interrupted; ${count(tally.written, 'row')} written. Go on with: --skip ${resume}`)
    process.exit(exitCodes.interrupted)
  }
  process.once('SIGINT', onInterrupt)
  const write = async ({ line, row, problem }: SourceLine): Promise<void> => {
    tally.lastLine = Math.max(tally.lastLine, line)
    if (line <= options.skip) {
      tally.skipped++
      return
    }
    pending.add(line)
    try {
      if (row === undefined) throw new Error(problem)
      const context =
        options.replace === true ? (await client.get(row, { timeoutMs: PUT_TIMEOUT_MS })).context : undefined
      await client.put(row, { w: options.w, context, timeoutMs: PUT_TIMEOUT_MS })
      progress.done = ++tally.written
    } catch (error) {
      fail(tally, line, error, progress)
    }
    pending.delete(line)
  }
  await concurrently(readRows(file, formatOf(file, options.format)), Math.max(1, options.concurrency), write)
  process.removeListener('SIGINT', onInterrupt)
  progress.end()
  const partial = tally.failed > 0
  output.answer({
    kind: 'import',
    items: [tally],
    partial,
    columns: [
      { name: 'WRITTEN', value: item => item.written },
      {
        name: 'FAILED',
        value: item => item.failed,
        paint: (text, item, style) => (item.failed > 0 ? style.red(text) : text),
      },
      { name: 'OUTCOME UNKNOWN', value: item => item.unknown },
      { name: 'SKIPPED', value: item => item.skipped },
      { name: 'LAST LINE', value: item => item.lastLine },
    ],
    warnings:
      tally.failed > PROBLEMS_SHOWN ? [`… and ${count(tally.failed - PROBLEMS_SHOWN, 'line')} more`] : [],
  })
  return partial ? exitCodes.partial : exitCodes.ok
}

function fail(tally: ImportTally, line: number, error: unknown, progress: Progress): void {
  tally.failed++
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof Error && 'outcome' in error && error.outcome === 'unknown') tally.unknown++
  if (tally.problems.length >= PROBLEMS_SHOWN) return
  tally.problems.push({ line, message })
  progress.say(`line ${line}: ${message}`)
}

async function openSink(file: string): Promise<WriteStream> {
  const sink = createWriteStream(file)
  try {
    await once(sink, 'open')
    return sink
  } catch (cause) {
    throw unwritable(file, cause)
  }
}

function unwritable(file: string, cause: unknown): CommandError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new CommandError(exitCodes.usage, `${file} cannot be written: ${message}`, {
    done: 'No row was changed; what the file holds is not complete.',
    cause,
  })
}

export interface ExportOptions {
  readonly format?: RowFormat
  readonly r?: LevelArgument
}

export async function exportRows(
  context: CommandContext,
  table: string,
  file: string,
  options: ExportOptions,
): Promise<ExitCode> {
  return advised({ verb: 'export', table, words: context.words }, () =>
    writeRows(context, table, file, options),
  )
}

async function writeRows(
  { access, output }: CommandContext,
  table: string,
  file: string,
  options: ExportOptions,
): Promise<ExitCode> {
  const { client, partition, sort } = await access.table(table)
  const sink = file === '-' ? process.stdout : await openSink(file)
  let broken: Error | undefined
  if (file !== '-') {
    sink.on('error', error => {
      broken = error
    })
  }
  const write = async (text: string): Promise<void> => {
    if (broken === undefined && !sink.write(text)) await once(sink, 'drain').catch(() => undefined)
    if (broken !== undefined) throw unwritable(file, broken)
  }
  const csv =
    formatOf(file, options.format) === 'csv'
      ? new CsvShape(sort === undefined ? [partition] : [partition, sort])
      : undefined
  const progress = new Progress(output.terminal.error, `export ${table}`, 'rows', undefined)
  const tally = { rows: 0, siblings: 0, lost: [] as string[] }
  for await (const { siblings } of client.scan({ r: options.r, timeoutMs: PUT_TIMEOUT_MS })) {
    if (siblings.length === 0) continue
    if (siblings.length > 1) tally.siblings++
    for (const sibling of siblings) {
      if (csv === undefined) await write(`${JSON.stringify(toJson(sibling))}\n`)
      else for (const line of csv.add(sibling)) await write(`${line}\n`)
    }
    progress.done = ++tally.rows
  }
  for (const line of csv?.end() ?? []) await write(`${line}\n`)
  if (file !== '-') {
    sink.end()
    await once(sink, 'finish').catch((cause: unknown) => {
      throw unwritable(file, cause)
    })
  }
  progress.end()
  const warnings = [
    ...(tally.siblings > 0
      ? [`${count(tally.siblings, 'row')} with siblings: every sibling is a line of its own`]
      : []),
    ...(csv?.warnings() ?? []),
  ]
  if (file === '-') {
    for (const warning of warnings) output.warn(warning)
  } else {
    output.answer({
      kind: 'export',
      items: [{ table, file, rows: tally.rows, withSiblings: tally.siblings }],
      warnings,
      columns: [
        { name: 'TABLE', value: item => item.table },
        { name: 'FILE', value: item => item.file },
        { name: 'ROWS', value: item => item.rows },
        { name: 'WITH SIBLINGS', value: item => item.withSiblings },
      ],
    })
  }
  return exitCodes.ok
}
