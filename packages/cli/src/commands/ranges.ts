/** query, scan: many rows. */

import type { Row, RowResult } from '@quorate/client'
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
  const rows = client.query(keyValue(key), {
    from: options.from === undefined ? undefined : keyValue(options.from),
    to: options.to === undefined ? undefined : keyValue(options.to),
    reverse: options.reverse,
    limit: options.limit + 1,
    r: options.r,
    timeoutMs: options.timeout,
  })
  return show(context, 'rows', rows, [partition, sort], options.limit)
}

export async function scan(
  context: CommandContext,
  table: string,
  options: RangeArguments,
): Promise<ExitCode> {
  return advised({ verb: 'scan', table, words: context.words }, async () => {
    const { client, partition, sort } = await context.access.table(table)
    const rows = client.scan({ limit: options.limit + 1, r: options.r, timeoutMs: options.timeout })
    return show(context, 'rows', rows, sort === undefined ? [partition] : [partition, sort], options.limit)
  })
}

async function show(
  { output }: CommandContext,
  kind: string,
  rows: AsyncIterable<RowResult<Row>>,
  keys: readonly string[],
  limit: number,
): Promise<ExitCode> {
  const items: RowItem[] = []
  let more = false
  for await (const { siblings, context } of rows) {
    if (siblings.length === 0) continue
    if (items.length === limit) {
      more = true
      break
    }
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
    warnings: more ? [`there are more rows than ${limit}: --limit COUNT, or quorate export`] : [],
    partial: more,
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
