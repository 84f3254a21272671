/** query, scan: many rows. */

import type { RangeRow, Row } from '@quorate/client'
import { advised } from '../advice.ts'
import { keyValue, type LevelArgument } from '../arguments.ts'
import type { CommandContext } from '../command-context.ts'
import { usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { toJson, valueText } from '../output/json-value.ts'
import type { Column } from '../output/output.ts'
import { contextText } from '../output/receipt-text.ts'
import { count } from '../output/words.ts'

export interface RangeArguments {
  readonly from?: string
  readonly to?: string
  readonly reverse?: boolean
  readonly limit: number
  readonly resume?: string
  readonly r?: LevelArgument
  readonly timeout?: number
}

interface RowItem {
  readonly value: unknown
  readonly siblings: readonly unknown[]
  readonly context: string
}

export async function query(
  context: CommandContext,
  table: string,
  key: string,
  options: RangeArguments,
): Promise<ExitCode> {
  return advised({ verb: 'query', table, words: context.words }, () =>
    queryRows(context, table, key, options),
  )
}

async function queryRows(
  context: CommandContext,
  table: string,
  key: string,
  options: RangeArguments,
): Promise<ExitCode> {
  const { client, partition, sort } = await context.access.table(table)
  if (sort === undefined)
    throw usageError(
      `table "${table}" has no sort key, so a key names one row`,
      `quorate get ${table} ${key}`,
    )
  const rows = client.query(keyValue(key), rangeOf(options))
  return show(context, 'rows', rows, [partition, sort], options.limit)
}

export async function scan(
  context: CommandContext,
  table: string,
  options: RangeArguments,
): Promise<ExitCode> {
  return advised({ verb: 'scan', table, words: context.words }, async () => {
    const { client, partition, sort } = await context.access.table(table)
    const rows = client.scan(rangeOf(options))
    return show(context, 'rows', rows, sort === undefined ? [partition] : [partition, sort], options.limit)
  })
}

/** One row more than is shown tells whether there are more. */
const rangeOf = ({ from, to, reverse, limit, resume, r, timeout }: RangeArguments) => ({
  from: from === undefined ? undefined : keyValue(from),
  to: to === undefined ? undefined : keyValue(to),
  reverse,
  limit: limit + 1,
  resume,
  r,
  timeoutMs: timeout,
})

async function show(
  { output }: CommandContext,
  kind: string,
  rows: AsyncIterable<RangeRow<Row>>,
  keys: readonly string[],
  limit: number,
): Promise<ExitCode> {
  const items: RowItem[] = []
  let more = false
  let last: RangeRow<Row> | undefined
  for await (const row of rows) {
    const { siblings, context } = row
    if (siblings.length === 0) continue
    if (items.length === limit) {
      more = true
      break
    }
    last = row
    const plain = siblings.map(toJson)
    items.push({
      value: plain.length === 1 ? plain[0] : null,
      siblings: plain,
      context: contextText(context),
    })
  }
  output.answer({
    kind,
    items,
    columns: rowColumns(items, keys),
    warnings: more ? [`there are more rows than ${limit}; go on with --resume ${last?.resume}`] : [],
    partial: more,
    ...(more ? { fields: { resume: last?.resume } } : {}),
    footer: items.length === 0 ? 'no rows' : count(items.length, 'row'),
  })
  return exitCodes.ok
}

/** Key fields first, then every other field in order of appearance. */
function rowColumns(items: readonly RowItem[], keys: readonly string[]): Column<RowItem>[] {
  const fields = new Set(keys)
  for (const { siblings } of items)
    for (const sibling of siblings)
      if (typeof sibling === 'object' && sibling !== null)
        for (const name of Object.keys(sibling)) fields.add(name)
  const columns: Column<RowItem>[] = [...fields].map(name => ({
    name,
    value: item => fieldText(item, name),
  }))
  if (items.some(item => item.siblings.length > 1))
    columns.push({
      name: 'SIBLINGS',
      value: item => item.siblings.length,
      paint: (text, item, style) => (item.siblings.length > 1 ? style.yellow(text) : text),
    })
  return columns
}

function fieldText({ siblings }: RowItem, name: string): string | number | undefined {
  const values = siblings.map(sibling => (sibling as Record<string, unknown>)[name])
  return [...new Set(values.map(valueText))].join(' | ')
}
