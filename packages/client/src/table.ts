/** Typed tables: how a row's key fields become encoded keys. */

import { type ByteString, encodeKey, isQuorateError, type KeyValue, QuorateError } from '@quorate/core'

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

export interface TableHandle<T> {
  readonly name: string
  readonly partition: string
  readonly sort: string | undefined
  readonly schema: RowValidator<T> | undefined
}

export interface TableOptions<T> {
  /** The partition key field, or partition and sort key fields. */
  readonly key: (keyof T & string) | readonly [keyof T & string, keyof T & string]
  readonly schema?: RowValidator<T>
}

/** Names a table and its key fields; nothing is asked of a server. */
export function table<T extends object = Row>(name: string, options: TableOptions<T>): TableHandle<T> {
  const [partition, sort] = typeof options.key === 'string' ? [options.key, undefined] : options.key
  return { name, partition: partition as string, sort: sort as string | undefined, schema: options.schema }
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
