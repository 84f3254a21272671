/** Typed tables: how a row's key fields become encoded keys. */

import {
  type ByteString,
  encodeKey,
  type Fields,
  isQuorateError,
  type KeyValue,
  QuorateError,
  type TableSpecification,
} from '@quorate/core'
import { type FieldSpecs, type RowSteps, type ShownFields, stepsOf, typesOf } from './fields.ts'

/** Of a key, in an error about it. */
const SHOWN_CHARACTERS_MAX = 60

/** A row: a document with named fields. */
export type Row = { readonly [field: string]: unknown }

/** The part of a Standard Schema (standardschema.dev, version 1) that is used here. */
export interface RowValidator<T> {
  readonly '~standard': {
    readonly version: 1
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>
  }
}
type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] }

/** `Steps`: what can be done to rows that merge by themselves. */
export interface TableHandle<T, Steps = unknown> {
  readonly name: string
  readonly partition: string
  readonly sort: string | undefined
  readonly schema: RowValidator<T> | undefined
  /** Of a table whose rows merge by themselves: its fields, and what makes the steps on them. */
  readonly fields: Fields | undefined
  readonly steps: Steps | undefined
}

export interface TableOptions<T> {
  /** The partition key field, or partition and sort key fields. */
  readonly key: (keyof T & string) | readonly [keyof T & string, keyof T & string]
  readonly schema?: RowValidator<T>
}

/** Of a table whose rows merge by themselves (conflict rule `crdt`). */
export interface MergingTableOptions<F extends FieldSpecs> {
  readonly key: string | readonly [string, string]
  readonly fields: F
}

/** Names a table and its key fields; nothing is asked of a server. */
export function table<F extends FieldSpecs>(
  name: string,
  options: MergingTableOptions<F>,
): TableHandle<Row & ShownFields<F>, RowSteps<F>>
export function table<T extends object = Row>(name: string, options: TableOptions<T>): TableHandle<T>
export function table(
  name: string,
  options: MergingTableOptions<FieldSpecs> | TableOptions<Row>,
): TableHandle<Row, unknown> {
  const [partition, sort] = typeof options.key === 'string' ? [options.key, undefined] : options.key
  const isMerging = 'fields' in options
  return {
    name,
    partition,
    sort,
    schema: isMerging ? undefined : options.schema,
    fields: isMerging ? typesOf(options.fields) : undefined,
    steps: isMerging ? stepsOf(options.fields) : undefined,
  }
}

/** The conflict rule of such a table, for `createTable`. */
export function crdt({
  name,
  fields,
}: Pick<TableHandle<never>, 'name' | 'fields'>): NonNullable<TableSpecification['conflict']> {
  if (fields === undefined)
    throw new QuorateError('BAD_REQUEST', `table "${name}" was named without fields: its rows do not merge`)
  return { kind: 'crdt', fields }
}

/** A key as callers give it: the value, both values, or an object that has the key fields. */
export type KeyInput = KeyValue | readonly [KeyValue, KeyValue] | Row

export interface EncodedKey {
  readonly partitionKey: ByteString
  readonly sortKey: ByteString
}

export function encodeRowKey(handle: TableHandle<never>, input: KeyInput): EncodedKey {
  const { partition, sort, name } = handle
  let first: unknown = input
  let second: unknown
  if (Array.isArray(input)) [first, second] = input as [unknown, unknown]
  else if (typeof input === 'object' && input !== null && !(input instanceof Uint8Array)) {
    const row = input as Row
    first = field(row, partition, name)
    if (sort !== undefined) second = field(row, sort, name)
  }
  if (sort !== undefined && second === undefined) {
    throw new QuorateError(
      'BAD_REQUEST',
      `table "${name}" needs both "${partition}" and "${sort}" to name a row`,
    )
  }
  if (sort === undefined && second !== undefined) {
    throw new QuorateError('BAD_REQUEST', `table "${name}" has no sort key; one key value is enough`)
  }
  return {
    partitionKey: encodeField(first, partition, name),
    sortKey: sort === undefined ? ('' as ByteString) : encodeField(second, sort, name),
  }
}

function encodeField(value: unknown, fieldName: string, tableName: string): ByteString {
  try {
    return encodeKey(value as KeyValue)
  } catch (error) {
    if (!isQuorateError(error)) throw error
    const { code, message, data } = error
    const text = typeof value === 'string' ? value : String(value)
    const shown = text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text
    throw new QuorateError(code, `table "${tableName}", key field "${fieldName}" (${shown}): ${message}`, {
      data: { ...data, table: tableName, field: fieldName },
      cause: error,
    })
  }
}

function field(row: Row, name: string, tableName: string): unknown {
  const value = row[name]
  if (value === undefined)
    throw new QuorateError('BAD_REQUEST', `a row of "${tableName}" needs its key field "${name}"`)
  return value
}
