/**
 * Rows that merge by themselves: read as a range of fields, changed by steps, each of which is a write of one field.
 *
 * The context of such a row says what was seen of each field. Removals take away what was seen there; without a context
 * the field is read first. So a removal tried again takes away no more than the first time.
 *
 * The steps of a call are carried out beside each other, not together: when some fail, the error says that the outcome is
 * unknown, and the same operation may be tried again.
 */

import {
  addressOf,
  type ByteString,
  bytesToString,
  checkFields,
  checkMergeSteps,
  type Document,
  decodeDocument,
  decodeFieldKey,
  decodeKeyAt,
  encodeDocument,
  encodeFieldKey,
  encodeFieldStep,
  type Field,
  type Fields,
  type FieldType,
  fieldStepOf,
  fieldsOf,
  isQuorateError,
  keyOfRow,
  type MergeStep,
  mergeMessage,
  type OperationId,
  operationOfStep,
  pathKey,
  pathText,
  placeOfField,
  prefixEnd,
  QuorateError,
  rowKeyParts,
  stringToBytes,
  type TableView,
  updatesTogether,
  type WriteReply,
} from '@quorate/core'
import type { Place, QuorateClient } from './client.ts'
import { levelByte } from './level.ts'
import { RangeRow } from './range-row.ts'
import { makeReceipt, type Receipt } from './receipt.ts'
import type { StoreRange } from './resume-token.ts'
import { type RawRow, type RawRows, weaker } from './split-ranges.ts'
import type { EncodedKey, TableHandle } from './table.ts'
import type { ContextToken, PutOptions, PutResult, RangeOptions, RowResult } from './table-options.ts'

/** What is needed of the table. */
export interface MergingTable {
  readonly client: QuorateClient
  readonly view: TableView
  readonly fields: Fields
  /** Cells of fields from one key to another. */
  readonly read: (from: ByteString, to: ByteString, options: PutOptions) => RawRows
}

/** One write: of a field, or of an element of a set. */
interface FieldWrite {
  readonly field: ByteString
  readonly value: Uint8Array
  readonly context: Uint8Array | undefined
  readonly operation: OperationId
}

export async function applySteps(
  table: MergingTable,
  key: EncodedKey,
  given: readonly MergeStep[],
  options: PutOptions,
  operation: OperationId,
): Promise<PutResult> {
  const steps = checkMergeSteps(table.fields, given)
  const row = keyOfRow(table.view, key.partitionKey, key.sortKey)
  const seen = options.context === undefined ? undefined : decodeSeen(options.context)
  const writes: FieldWrite[] = []
  for (const [at, step] of steps.entries())
    writes.push(...(await writesOf(table, row, step, operationOfStep(operation, at), seen, options)))
  const results = await Promise.allSettled(writes.map(write => send(table, key, row, write, options)))
  const done = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = results.flatMap(result => (result.status === 'rejected' ? [result.reason as unknown] : []))
  if (failed.length > 0) throw whatFailed(failed, done.length)
  const receipts = done.map(({ receipt }) => makeReceipt('write', receipt, table.view.descriptor.replication))
  return {
    context: encodeSeen(new Map(writes.map(({ field }, at) => [field, done[at]!.context]))),
    // Nothing was there to clear: nobody had to be asked.
    receipt: receipts.length === 0 ? nobodyAsked : receipts.reduce(weaker),
    repeated: done.length > 0 && done.every(({ repeated }) => repeated),
    applied: true,
    current: undefined,
  }
}

const nobodyAsked: Receipt = {
  coordinator: '',
  mapVersion: 0,
  answered: [],
  needed: 0,
  replicas: 0,
  copies: 0,
  hinted: [],
  repaired: [],
  forwarded: false,
  route: [],
  hedged: false,
  overlap: true,
  log: undefined,
  guarantee: 'nothing was there to take away',
}

/** What was seen of the fields of one row. */
type SeenFields = ReadonlyMap<ByteString, Uint8Array>

async function writesOf(
  table: MergingTable,
  row: ByteString,
  step: MergeStep,
  operation: OperationId,
  seen: SeenFields | undefined,
  options: PutOptions,
): Promise<readonly FieldWrite[]> {
  const field = step.op === 'clear' ? pathKey(step.path) : encodeFieldKey(addressOf(step))
  if (step.op !== 'clear') {
    const { kind } = decodeFieldKey(table.fields, field)
    const fieldStep = fieldStepOf(step, kind)
    const value = encodeFieldStep(fieldStep)
    if (fieldStep.op !== 'take') return [{ field, value, context: undefined, operation }]
  }
  const shown = await seenBelow(table, row, field, seen, options)
  if (shown.length === 0 && step.op === 'remove')
    throw new QuorateError(
      'NOT_FOUND',
      `${pathText(step.path)}: ${seen === undefined ? 'there is no such element to remove' : 'the read that the context is of was not shown this element'}`,
      { data: { field: pathText(step.path) } },
    )
  return shown.map(([at, context], i) => ({
    field: at,
    value: encodeFieldStep(fieldStepOf(step, decodeFieldKey(table.fields, at).kind)),
    context,
    operation: shown.length === 1 ? operation : operationOfStep(operation, (i + 1) * STEPS_APART),
  }))
}

/** Names of the writes that clear many fields: beyond those of the other steps of the call. */
const STEPS_APART = 1_000

async function seenBelow(
  { read }: MergingTable,
  row: ByteString,
  field: ByteString,
  seen: SeenFields | undefined,
  options: PutOptions,
): Promise<readonly (readonly [ByteString, Uint8Array])[]> {
  if (seen !== undefined) return [...seen].filter(([at]) => at.startsWith(field))
  const out: [ByteString, Uint8Array][] = []
  const from = (row + field) as ByteString
  for await (const { key, context } of read(from, prefixEnd(from)!, options))
    out.push([key.slice(row.length) as ByteString, context])
  return out
}

function send(
  { client, view }: MergingTable,
  { partitionKey, sortKey }: EncodedKey,
  row: ByteString,
  { field, value, context, operation }: FieldWrite,
  options: PutOptions,
): Promise<WriteReply> {
  const { id } = view.descriptor
  const level = levelByte(options.w, 'w')
  const strict = options.strict ?? false
  const place = (): Place => {
    const { map } = client.router.catalog.view(id)
    return { map, partition: map.locate((row + field) as ByteString) }
  }
  const write = (session?: Uint8Array): Promise<WriteReply> =>
    client.send(
      mergeMessage,
      place,
      ({ version }) => ({
        table: id as number,
        mapVersion: version,
        partitionKey,
        sortKey,
        level,
        hops: 0,
        session,
        operation,
        value,
        context,
        strict,
        field,
      }),
      options,
      true,
    )
  return options.session === undefined ? write() : options.session.run(write)
}

/** One error for all: that nothing was done can be said only when no step was. */
function whatFailed(failed: readonly unknown[], done: number): unknown {
  const first = failed[0]
  const isUnknown = (error: unknown): boolean => !isQuorateError(error) || error.outcome !== 'not-applied'
  if (!isQuorateError(first) || (done === 0 && !failed.some(isUnknown))) return first
  const { code, message, data, attempts } = first
  const all = done + failed.length
  return new QuorateError(
    code,
    all === 1 ? message : `${message} (${done} of ${all} steps are done for certain)`,
    { outcome: 'unknown', data: { ...data, stepsDone: done, steps: all }, attempts, cause: first },
  )
}

/** Behind one another: what was seen of each field. */
function encodeSeen(seen: SeenFields): ContextToken {
  const flat = [...seen].flatMap(([field, token]) => [stringToBytes(field), token])
  return encodeDocument(flat, 'context', Number.MAX_SAFE_INTEGER)
}

function decodeSeen(context: ContextToken): SeenFields {
  const bad = (): QuorateError =>
    new QuorateError('BAD_CONTEXT', 'the context is not one that a read of such a row gave out')
  let flat: Document
  try {
    flat = decodeDocument(context)
  } catch {
    throw bad()
  }
  if (!Array.isArray(flat) || flat.length % 2 !== 0) throw bad()
  const seen = new Map<ByteString, Uint8Array>()
  for (let at = 0; at < flat.length; at += 2) {
    const [field, token] = [flat[at], flat[at + 1]] as [unknown, unknown]
    if (!(field instanceof Uint8Array) || !(token instanceof Uint8Array)) throw bad()
    seen.set(bytesToString(field) as ByteString, token)
  }
  return seen
}

/** A row, and the last cell of it. */
interface MergedRowRead<T> {
  readonly last: ByteString
  readonly result: RowResult<T>
}

/** The rows of a range; limits count rows, not cells. */
export async function* mergedRange<T>(
  table: MergingTable,
  cells: RawRows,
  whole: StoreRange,
  { limit = Number.MAX_SAFE_INTEGER }: RangeOptions,
): AsyncGenerator<RangeRow<T>, void, undefined> {
  let wanted = limit
  if (wanted <= 0) return
  for await (const { last, result } of rowsOf<T>(table, cells)) {
    yield new RangeRow<T>(result, last, whole)
    if (--wanted <= 0) return
  }
}

/** Puts the cells of a range together to rows, in the order in which they come. */
async function* rowsOf<T>(
  { view, fields }: MergingTable,
  cells: RawRows,
): AsyncGenerator<MergedRowRead<T>, void, undefined> {
  let at: ByteString | undefined
  let parts: RawRow[] = []
  const finished = (): MergedRowRead<T> => ({
    last: parts.at(-1)!.key,
    result: assembled<T>(view, fields, parts),
  })
  for await (const cell of cells) {
    const { row } = placeOfField(view, cell.key)
    if (at !== undefined && row !== at) {
      yield finished()
      parts = []
    }
    at = row
    parts.push(cell)
  }
  if (at !== undefined) yield finished()
}

/** Of no cells: there is no row. */
export const noRow = <T>(receipt: Receipt): RowResult<T> => ({
  value: undefined,
  siblings: [],
  context: encodeSeen(new Map()),
  receipt,
})

function assembled<T>(view: TableView, fields: Fields, parts: readonly RawRow[]): RowResult<T> {
  const value: Record<string, unknown> = { ...keyFields(view, parts[0]!.key), ...emptyFields(fields) }
  const seen = new Map<ByteString, Uint8Array>()
  for (const { key, values, context } of parts) {
    const { field } = placeOfField(view, key)
    seen.set(field, context)
    const at = decodeFieldKey(fields, field)
    putInto(
      value,
      fields,
      at,
      valueIn(
        at,
        values.map(one => decodeDocument(one)),
      ),
    )
  }
  const receipt = parts.map(part => part.receipt).reduce(weaker)
  return { value: value as T, siblings: [value as T], context: encodeSeen(seen), receipt }
}

function keyFields({ descriptor }: TableView, key: ByteString): Record<string, Document> {
  const { partition, sort } = descriptor.key
  const { partitionKey, sortKey } = rowKeyParts(key)
  const [first] = decodeKeyAt(partitionKey, 0)
  if (sort === undefined) return { [partition]: first }
  const [second] = decodeKeyAt(sortKey, 0)
  return { [partition]: first, [sort]: second }
}

/** Counters of nothing, flags that are off, empty sets; values that were never set are not there. */
function emptyFields(fields: Fields): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [name, type] of Object.entries(fields)) {
    const empty = emptyOf(type)
    if (empty !== undefined) out[name] = empty
  }
  return out
}

function emptyOf(type: FieldType): unknown {
  if (typeof type === 'object') return 'of' in type ? {} : emptyFields(type.fields)
  switch (type) {
    case 'counter':
      return 0
    case 'flag':
      return false
    case 'or-set':
      return new Set()
    case 'lww':
    case 'document':
      return undefined
  }
}

/** One for each field, but of a document its updates. */
const valueIn = ({ kind }: Field, values: readonly Document[]): Document =>
  kind === 'document' ? updatesTogether(values as readonly Uint8Array[]) : values[0]!

function putInto(row: Record<string, unknown>, fields: Fields, field: Field, value: Document): void {
  let map = row
  let type: FieldType = { fields }
  for (const [depth, name] of field.path.entries()) {
    type = (
      'of' in (type as object) ? (type as { of: FieldType }).of : (type as { fields: Fields }).fields[name]
    )!
    if (depth === field.path.length - 1) break
    map[name] ??= emptyOf(type)
    map = map[name] as Record<string, unknown>
  }
  const name = field.path.at(-1)!
  if (field.kind !== 'or-set') map[name] = value
  else {
    map[name] ??= new Set()
    ;(map[name] as Set<Document>).add(field.element!)
  }
}

/** Pages of a range, each with what it rests on; at least one, be it empty. */
export type RawPages = AsyncGenerator<
  { readonly rows: readonly Omit<RawRow, 'receipt'>[]; readonly receipt: Receipt },
  void,
  undefined
>

/** A row, whole. */
export async function readMerging<T>(
  table: MergingTable,
  { partitionKey, sortKey }: EncodedKey,
  pages: (range: StoreRange) => RawPages,
): Promise<RowResult<T>> {
  const row = keyOfRow(table.view, partitionKey, sortKey)
  const cells: RawRow[] = []
  let told: Receipt | undefined
  for await (const { rows, receipt } of pages({ from: row, to: prefixEnd(row)!, reverse: false })) {
    told = told === undefined ? receipt : weaker(told, receipt)
    for (const cell of rows) cells.push({ ...cell, receipt })
  }
  return cells.length === 0 ? noRow(told ?? nobodyAsked) : assembled(table.view, table.fields, cells)
}

/** Throws BAD_REQUEST for a table of another rule. */
export function declaredFields({ descriptor }: TableView): Fields {
  const fields = fieldsOf(descriptor)
  if (fields !== undefined) return fields
  throw new QuorateError(
    'BAD_REQUEST',
    `the rows of "${descriptor.name}" do not merge by fields (its rule is ${descriptor.conflict.kind}): apply is of rule crdt; use put or update`,
  )
}

/** Everything that a reader is shown of the row. */
export const clearAll = (view: TableView): readonly MergeStep[] =>
  Object.keys(declaredFields(view)).map(name => ({ op: 'clear', path: [name] }))

export function stepsGiven<Steps>(
  { name, steps }: Pick<TableHandle<never, Steps>, 'name' | 'steps'>,
  change: readonly MergeStep[] | ((row: Steps) => MergeStep | readonly MergeStep[]),
): readonly MergeStep[] {
  if (typeof change !== 'function') return change
  if (steps === undefined)
    throw new QuorateError(
      'BAD_REQUEST',
      `table "${name}" was named without fields: name them (table("${name}", { key, fields })), or give apply a list of steps`,
    )
  const made = change(steps)
  return Array.isArray(made) ? (made as readonly MergeStep[]) : [made as MergeStep]
}

/** A program that means other fields than the table has would read and write the wrong things. */
export function refuseOtherFields(name: string, { descriptor }: TableView, meant: Fields | undefined): void {
  const real = fieldsOf(descriptor)
  if (meant === undefined || real === undefined) return
  for (const [field, type] of Object.entries(meant)) {
    if (JSON.stringify(real[field]) === JSON.stringify(checkFields({ field: type }).field)) continue
    throw new QuorateError(
      'BAD_REQUEST',
      `table "${name}" has ${real[field] === undefined ? `no field "${field}"` : `another "${field}" (${JSON.stringify(real[field])})`} than this program was written for (${JSON.stringify(type)})`,
      { data: { field } },
    )
  }
}

/** The document in a field of a row; undefined: nobody has edited it. */
export function documentAt(row: object | undefined, path: readonly string[]): Uint8Array | undefined {
  let value: unknown = row
  for (const name of path) value = (value as Record<string, unknown> | undefined)?.[name]
  return value instanceof Uint8Array ? value : undefined
}
