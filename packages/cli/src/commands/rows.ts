/** get, put, delete: one row. */

import type { Acknowledgement, KeyInput, PutOptions, PutResult, Row } from '@quorate/client'
import { operationFromHex } from '@quorate/client/pure'
import { advised } from '../advice.ts'
import { keyValue, type LevelArgument } from '../arguments.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError, usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { fromJson, toJson, valueText } from '../output/json-value.ts'
import { contextText, receiptLines } from '../output/receipt-text.ts'
import { mergeStepOf } from './merge-steps.ts'
import { inSessionOf } from './session-file.ts'
import { conditionOf, stepOf } from './small-expressions.ts'
import { readAll } from './standard-input.ts'

export interface RowOptions {
  readonly r?: LevelArgument
  readonly w?: LevelArgument
  readonly context?: Uint8Array
  readonly strict?: boolean
  readonly timeout?: number
  readonly operation?: string
  /** File of the session's token. */
  readonly session?: string
  /** With a leader for each partition. */
  readonly if?: string
  readonly ack?: Acknowledgement
  readonly read?: 'leader' | 'any' | 'session'
  readonly maxStaleness?: number
}

export async function get(
  { access, output, words }: CommandContext,
  table: string,
  key: readonly string[],
  options: RowOptions,
): Promise<ExitCode> {
  const found = await advised({ verb: 'get', table, key, words }, async () => {
    const { client, sort, partition } = await access.table(table)
    return inSessionOf(options.session, session =>
      client.get(keyOf(key, partition, sort), {
        r: options.r,
        read: options.read,
        maxStalenessMs: options.maxStaleness,
        timeoutMs: options.timeout,
        session,
      }),
    )
  })
  const item = {
    found: found.siblings.length > 0,
    value: found.value === undefined ? null : toJson(found.value),
    siblings: found.siblings.map(toJson),
    context: contextText(found.context),
    receipt: found.receipt,
  }
  const { siblings } = item
  output.answer({
    kind: 'row',
    items: [item],
    columns: [
      { name: 'SIBLINGS', value: () => siblings.length },
      { name: 'VALUE', value: () => siblings.map(valueText).join(' | ') },
      { name: 'CONTEXT', value: () => item.context },
      { name: 'GUARANTEE', value: () => found.receipt.guarantee },
    ],
    drawing: style => [
      ...(siblings.length === 0 ? [style.yellow('there is no such row')] : []),
      ...(siblings.length === 1 ? [JSON.stringify(siblings[0], null, 2)] : []),
      ...(siblings.length > 1
        ? [
            style.yellow(`${siblings.length} siblings: written without seeing each other`),
            ...siblings.map((sibling, i) => `  ${i + 1}  ${JSON.stringify(sibling)}`),
            style.dim('put with the context below settles them'),
          ]
        : []),
      '',
      ...receiptLines(found.receipt, found.context, style),
    ],
  })
  return item.found ? exitCodes.ok : exitCodes.notFound
}

export async function put(
  context: CommandContext,
  table: string,
  json: string,
  options: RowOptions,
): Promise<ExitCode> {
  const row = parseRow(json === '-' ? await readAll() : json)
  const { access, words } = context
  const { client, partition, sort } = await advised({ verb: 'put', table, words }, () => access.table(table))
  const key = [partition, ...(sort === undefined ? [] : [sort])].map(name => valueText(toJson(row[name])))
  const asked = { verb: 'put', table, key, words } as const
  const result = await advised(asked, () =>
    inSessionOf(options.session, session => client.put(row, { ...putOptions(options), session })),
  )
  return report(context, 'written', result)
}

export async function remove(
  context: CommandContext,
  table: string,
  key: readonly string[],
  options: RowOptions,
): Promise<ExitCode> {
  const { access, words } = context
  const result = await advised({ verb: 'delete', table, key, words }, async () => {
    const { client, sort, partition } = await access.table(table)
    return inSessionOf(options.session, session =>
      client.delete(keyOf(key, partition, sort), { ...putOptions(options), session }),
    )
  })
  return report(context, 'deleted', result)
}

/** Steps: carried out where the writes of the row are ordered, or merged field by field. */
export async function update(
  context: CommandContext,
  table: string,
  given: readonly string[],
  options: RowOptions,
): Promise<ExitCode> {
  const { access, words } = context
  const asked = { verb: 'update', table, words } as const
  const { client, partition, sort, fields } = await advised(asked, () => access.table(table))
  const keys = sort === undefined ? 1 : 2
  const typed = given.slice(keys)
  if (typed.length === 0)
    throw usageError(`an update has the key and at least one step: quorate update ${table} KEY likes+=1`)
  const key = given.slice(0, keys)
  const row = keyOf(key, partition, sort)
  const change = (all: PutOptions): Promise<PutResult> =>
    fields === undefined
      ? client.update(row, typed.map(stepOf), all)
      : client.apply(
          row,
          typed.map(step => mergeStepOf(fields, step)),
          all,
        )
  const result = await advised({ ...asked, key }, () =>
    inSessionOf(options.session, session => change({ ...putOptions(options), session })),
  )
  return report(context, 'updated', result)
}

function putOptions(options: RowOptions): PutOptions {
  const { w, context, strict, timeout, ack } = options
  const condition = options.if === undefined ? undefined : conditionOf(options.if)
  const operation = options.operation === undefined ? undefined : operationFromHex(options.operation)
  return { w, context, strict, operation, ack, if: condition, timeoutMs: timeout }
}

type Done = 'written' | 'deleted' | 'updated'

/** Exit code 6 when a condition did not hold: then the row as it is is the answer. */
function report({ output }: CommandContext, done: Done, result: PutResult): ExitCode {
  const { applied, repeated, receipt } = result
  const current = result.current === undefined ? null : toJson(result.current)
  const item = { applied, current, context: contextText(result.context), repeated, receipt }
  const was = repeated ? ' (the operation had been applied before)' : ''
  output.answer({
    kind: KINDS[done],
    items: [item],
    columns: [
      { name: 'APPLIED', value: () => (applied ? 'yes' : 'no') },
      { name: 'COPIES', value: () => receipt.copies },
      { name: 'CONTEXT', value: () => item.context },
      { name: 'GUARANTEE', value: () => receipt.guarantee },
      ...(applied ? [] : [{ name: 'CURRENT', value: () => valueText(current) }]),
    ],
    drawing: style => [
      ...(applied
        ? [style.green(`✔ ${done}${was}`)]
        : [
            style.yellow(`not ${done}: the condition does not hold; the row is`),
            current === null ? style.dim('(there is none)') : JSON.stringify(current, null, 2),
          ]),
      ...receiptLines(receipt, result.context, style),
    ],
  })
  return applied ? exitCodes.ok : exitCodes.conflict
}

const KINDS: Readonly<Record<Done, string>> = { written: 'put', deleted: 'delete', updated: 'update' }

export function parseRow(json: string): Row {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new CommandError(exitCodes.usage, `the row is not JSON: ${(cause as Error).message}`, {
      done: 'Nothing was written.',
      next: `quorate put TABLE '{"id": "c1", "items": ["milk"]}'`,
    })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw usageError(`a row is a JSON object with named fields, not ${json.slice(0, 60)}`)
  return fromJson(value, 'row') as Row
}

export function keyOf(key: readonly string[], partition: string, sort: string | undefined): KeyInput {
  const wanted = sort === undefined ? 1 : 2
  if (key.length !== wanted)
    throw usageError(
      sort === undefined
        ? `the table has one key field, "${partition}"; ${key.length} values were given`
        : `the table's key is "${partition}" and "${sort}"; ${key.length} values were given`,
    )
  const values = key.map(keyValue)
  return sort === undefined ? values[0]! : [values[0]!, values[1]!]
}
