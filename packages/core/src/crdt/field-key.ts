/**
 * Where the fields of a row stand in the store: each behind the key of its row, by its path; of a set each element behind
 * that. So a field, or an element of a set of millions, is a cell of its own: what is written, sent and compared is that
 * cell, and a row is a range.
 *
 * Elements that may be keys are encoded as keys and lie in their order; others (maps, lists, sets) are a null and the
 * bytes of the document.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { decodeKeyAt, encodeKey, type KeyValue } from '../base/key-encoding.ts'
import { canonicalDocument, type Document, decodeDocument, encodeDocument } from '../cells/document.ts'
import type { Path } from '../updates/update.ts'
import { type FieldKind, type Fields, type FieldType, typeBelow } from './fields.ts'

export interface FieldAddress {
  readonly path: Path
  /** Of a set: which element. Undefined elsewhere. */
  readonly element: Document | undefined
}

/** A leaf that a table declares, in a row. */
export interface Field extends FieldAddress {
  readonly kind: FieldKind
}

/** Behind the key of the row. Throws KEY_TOO_LARGE. */
export function encodeFieldKey({ path, element }: FieldAddress): ByteString {
  return (pathKey(path) + (element === undefined ? '' : elementKey(element))) as ByteString
}

/** Where a path begins: all that is at and below it. */
export const pathKey = (path: Path): ByteString => path.map(name => encodeKey(name)).join('') as ByteString

function elementKey(element: Document): string {
  if (isKeyValue(element)) return encodeKey(element)
  return encodeKey(null) + encodeKey(encodeDocument(canonicalDocument(element), 'an element'))
}

const isKeyValue = (document: Document): document is KeyValue =>
  document === null || typeof document !== 'object' || document instanceof Uint8Array

/** Takes apart what stands behind the key of a row. Throws BAD_REQUEST when the table declares no such leaf. */
export function decodeFieldKey(fields: Fields, suffix: ByteString): Field {
  const path: string[] = []
  let type: FieldType | undefined = { fields }
  let at = 0
  while (typeof type === 'object' && at < suffix.length) {
    const [name, end] = decodeKeyAt(suffix, at)
    if (typeof name !== 'string') throw bad('a name of a field is a string')
    path.push(name)
    type = typeBelow(type, name)
    at = end
  }
  if (typeof type !== 'string')
    throw bad(`${path.join('.') || 'nothing'} is no field that the table declares`)
  if (type !== 'or-set') {
    if (at !== suffix.length) throw bad(`${path.join('.')} has no elements`)
    return { kind: type, path, element: undefined }
  }
  return { kind: type, path, element: elementAt(suffix, at) }
}

function elementAt(suffix: ByteString, at: number): Document {
  if (at >= suffix.length) throw bad('a set is written by its elements')
  const [value, end] = decodeKeyAt(suffix, at)
  if (end === suffix.length) return value
  const [bytes, last] = decodeKeyAt(suffix, end)
  if (value !== null || !(bytes instanceof Uint8Array) || last !== suffix.length)
    throw bad('an element is one value')
  return decodeDocument(bytes, 'an element')
}

/** The same bytes for the same place: what comes from elsewhere is held to it. Throws BAD_REQUEST. */
export function assertFieldKey(fields: Fields, suffix: ByteString): Field {
  const field = decodeFieldKey(fields, suffix)
  if (encodeFieldKey(field) !== suffix) throw bad('the key of a field is not in its one form')
  return field
}

const bad = (message: string): QuorateError => new QuorateError('BAD_REQUEST', message)

/** Equal elements have equal names. */
export const elementName = (element: Document): string => elementKey(element)
