/**
 * Documents as JSON, exactly, and back.
 *
 * Problem: JSON has no bigint, bytes, set, NaN, infinity or negative zero; `JSON.stringify` turns some of
 * them into null without a word. Mechanism: each is an object with one field that begins with `$`:
 *
 *     {"$bigint": "12"}  {"$bytes": "AQI="}  {"$set": [1, 2]}  {"$number": "NaN"}
 *
 * where `$number` is one of NaN, Infinity, -Infinity and -0. A field whose own name begins with `$` is
 * written with one `$` more (`$price` as `$$price`), so that no document can be taken for such a form.
 *
 * Invariant: `documentFromJson(JSON.parse(JSON.stringify(documentToJson(d))))` equals `d`. Hand-written
 * JSON may leave the doubling out wherever it could mean nothing else.
 */

import { base64ToBytes, bytesToBase64, QuorateError } from '@quorate/core'

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

export function documentToJson(document: unknown): JsonValue {
  switch (typeof document) {
    case 'bigint':
      return { $bigint: document.toString() }
    case 'number':
      return Number.isFinite(document) && !Object.is(document, -0)
        ? document
        : { $number: Object.is(document, -0) ? '-0' : String(document) }
    case 'object':
      break
    default:
      return document as JsonValue
  }
  if (document === null) return null
  if (document instanceof Uint8Array) return { $bytes: bytesToBase64(document) }
  if (document instanceof Set) return { $set: [...document].map(documentToJson) }
  if (Array.isArray(document)) return document.map(documentToJson)
  return Object.fromEntries(
    Object.entries(document).map(([name, item]) => [
      name.startsWith('$') ? `$${name}` : name,
      documentToJson(item),
    ]),
  )
}

/** Throws BAD_REQUEST, naming the place, when one of the `$` forms holds what it cannot. */
export function documentFromJson(json: unknown, path = 'the value'): unknown {
  if (Array.isArray(json)) return json.map((item, i) => documentFromJson(item, `${path}[${i}]`))
  if (typeof json !== 'object' || json === null) return json
  const entries = Object.entries(json)
  const [name, inner] = entries.length === 1 ? entries[0]! : []
  const read = name === undefined ? undefined : FORMS.get(name)
  if (read !== undefined) {
    const value = read(inner, path)
    if (value !== undefined) return value
    throw new QuorateError(
      'BAD_REQUEST',
      `${path}: ${JSON.stringify(json)} is no ${name} that can be read; a field whose name is really "${name}" is written "$${name}"`,
      { data: { field: path } },
    )
  }
  return Object.fromEntries(
    entries.map(([key, item]) => [
      key.startsWith('$$') ? key.slice(1) : key,
      documentFromJson(item, `${path}.${key}`),
    ]),
  )
}

const NUMBERS = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
])

/** Undefined: not what the form holds. */
const FORMS = new Map<string, (inner: unknown, path: string) => unknown>([
  ['$bigint', inner => (typeof inner === 'string' && /^-?\d+$/.test(inner) ? BigInt(inner) : undefined)],
  ['$bytes', inner => (typeof inner === 'string' ? base64ToBytes(inner) : undefined)],
  ['$number', inner => (typeof inner === 'string' ? NUMBERS.get(inner) : undefined)],
  [
    '$set',
    (inner, path) =>
      Array.isArray(inner)
        ? new Set(inner.map((item, i) => documentFromJson(item, `${path}{${i}}`)))
        : undefined,
  ],
])
