/**
 * What the fields of a row that merges by itself are: counters, flags, sets, last-write-wins values, documents, and maps
 * of these. Declared by the table, so that two writers never mean different things by one name.
 */

import { QuorateError } from '../base/errors.ts'
import type { Path } from '../updates/update.ts'

export const FIELD_KINDS = ['counter', 'flag', 'or-set', 'lww', 'document'] as const
export type FieldKind = (typeof FIELD_KINDS)[number]

/** `of`: a map whose keys the writers choose, with values of one type. */
export type FieldType = FieldKind | { readonly fields: Fields } | { readonly of: FieldType }
export type Fields = { readonly [field: string]: FieldType }

const DEPTH_MAX = 8
const FIELDS_MAX = 256

/** What a table declares. Throws BAD_TABLE, naming the field. */
export function checkFields(given: unknown, where = 'conflict.fields'): Fields {
  return fieldsOf(given, where, 1)
}

function fieldsOf(given: unknown, where: string, depth: number): Fields {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw badFields(where, 'is an object of fields and their types')
  const names = Object.keys(given)
  if (names.length === 0) throw badFields(where, 'declares no field')
  if (names.length > FIELDS_MAX)
    throw badFields(where, `declares ${names.length} fields, at most ${FIELDS_MAX}`)
  const out: Record<string, FieldType> = {}
  for (const name of names.sort()) {
    if (name === '' || name === '__proto__') throw badFields(where, 'has a field without a usable name')
    out[name] = typeOf((given as Record<string, unknown>)[name], `${where}.${name}`, depth)
  }
  return out
}

function typeOf(given: unknown, where: string, depth: number): FieldType {
  if (FIELD_KINDS.includes(given as FieldKind)) return given as FieldKind
  if (depth >= DEPTH_MAX) throw badFields(where, `is nested deeper than ${DEPTH_MAX}`)
  if (typeof given === 'object' && given !== null) {
    const [key, ...more] = Object.keys(given)
    const inner = (given as Record<string, unknown>)[key ?? '']
    if (more.length === 0 && key === 'fields') return { fields: fieldsOf(inner, where, depth + 1) }
    if (more.length === 0 && key === 'of') return { of: typeOf(inner, `${where}.of`, depth + 1) }
  }
  throw badFields(where, `is none of ${FIELD_KINDS.join(', ')}, { fields: … }, { of: … }`)
}

const badFields = (where: string, what: string): QuorateError =>
  new QuorateError('BAD_TABLE', `${where} ${what}`, { data: { field: where } })

/** The type at a path; undefined: the table declares nothing there. */
export function typeAt(fields: Fields, path: Path): FieldType | undefined {
  let type: FieldType | undefined = { fields }
  for (const name of path) type = typeBelow(type, name)
  return type
}

/** The type that has this name in a map; undefined: there is none, or it is no map. */
export function typeBelow(type: FieldType | undefined, name: string): FieldType | undefined {
  if (type === undefined || typeof type === 'string') return undefined
  if ('of' in type) return type.of
  return Object.hasOwn(type.fields, name) ? type.fields[name] : undefined
}

/** Of a type, for messages. */
export const kindOf = (type: FieldType): string => (typeof type === 'string' ? type : 'map')
