/** Rows out of a file or stdin, each with its line; what is wrong with a line comes in its place. */

import { createReadStream } from 'node:fs'
import { access as checkReadable, constants, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Row } from '@quorate/client'
import { CommandError } from '../command-error.ts'
import { exitCodes } from '../exit-codes.ts'
import { fromJson } from '../output/json-value.ts'
import { CsvReader, type CsvRecord, csvValue } from './csv.ts'

export interface SourceLine {
  readonly line: number
  readonly row?: Row
  readonly problem?: string
}

export type RowFormat = 'jsonl' | 'csv'

export const formatOf = (file: string, given: RowFormat | undefined): RowFormat =>
  given ?? (/\.csv$/i.test(file) ? 'csv' : 'jsonl')

export function readRows(file: string, format: RowFormat): AsyncGenerator<SourceLine> {
  const stream = file === '-' ? process.stdin : createReadStream(file)
  return format === 'csv' ? readCsv(stream) : readJsonLines(stream)
}

async function* readJsonLines(stream: NodeJS.ReadableStream): AsyncGenerator<SourceLine> {
  let line = 0
  for await (const text of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    if (text.trim() === '') continue
    yield jsonLine(line, text)
  }
}

export function jsonLine(line: number, text: string): SourceLine {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { line, problem: `not JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { line, problem: 'not a JSON object' }
  try {
    return { line, row: fromJson(value, 'row') as Row }
  } catch (error) {
    return { line, problem: error instanceof Error ? error.message : String(error) }
  }
}

async function* readCsv(stream: NodeJS.ReadableStream): AsyncGenerator<SourceLine> {
  const reader = new CsvReader()
  const decoder = new TextDecoder()
  let header: readonly string[] | undefined
  const convert = (records: Iterable<CsvRecord>): SourceLine[] => {
    const out: SourceLine[] = []
    for (const record of records) {
      if (header === undefined) header = record.fields.map(field => field.text.trim())
      else out.push(csvLine(header, record))
    }
    return out
  }
  for await (const chunk of stream)
    yield* convert(
      reader.push(typeof chunk === 'string' ? chunk : decoder.decode(chunk as Uint8Array, { stream: true })),
    )
  yield* convert(reader.end())
}

export function csvLine(header: readonly string[], { line, fields }: CsvRecord): SourceLine {
  if (fields.length > header.length)
    return { line, problem: `${fields.length} fields, but the header names ${header.length}` }
  const row: Record<string, unknown> = {}
  fields.forEach((field, i) => {
    const value = csvValue(field)
    if (value !== undefined) row[header[i]!] = value
  })
  return { line, row }
}

export async function refuseUnreadable(file: string): Promise<void> {
  if (file === '-') return
  const refuse = (why: string): never => {
    throw new CommandError(exitCodes.usage, `${file} cannot be read: ${why}`, {
      done: 'Nothing was written.',
    })
  }
  const found = await stat(file).catch((cause: unknown) => refuse((cause as Error).message))
  if (found.isDirectory()) refuse('it is a directory')
  await checkReadable(file, constants.R_OK).catch((cause: unknown) => refuse((cause as Error).message))
}
