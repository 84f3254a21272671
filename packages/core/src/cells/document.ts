/**
 * Documents: null, boolean, number, bigint, string, bytes, list, map, set. Encoded as MessagePack by
 * `msgpackr`, without records (whose meaning would depend on earlier messages). The data path carries
 * them as bytes; only clients and merge functions look inside. Minus zero is kept as zero.
 */

import { Packr } from 'msgpackr'
import { assert } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'

export type Document =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Document[]
  | { readonly [key: string]: Document }
  | ReadonlySet<Document>

const packr = new Packr({ useRecords: false, moreTypes: true, useBigIntExtension: true, mapsAsObjects: true })

export function encodeDocument(
  document: unknown,
  field = 'value',
  bytesMax: number = limits.valueBytesMax,
): Uint8Array {
  checkDocument(document, 0, field)
  const bytes = packr.pack(document)
  if (bytes.length > bytesMax) {
    throw new QuorateError(
      'VALUE_TOO_LARGE',
      `${field} is ${bytes.length} bytes encoded, the limit is ${bytesMax}`,
      { data: { field, valueBytes: bytes.length, limitBytes: bytesMax } },
    )
  }
  // A view of the packer's buffer, which never writes there again; but as the plain type (see plainBytes).
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Decodes and holds to the same rules as `encodeDocument`: for what comes from outside. */
export function checkEncodedDocument(bytes: Uint8Array, field: string): void {
  checkDocument(decodeDocument(bytes, field), 0, field)
}

export function decodeDocument(bytes: Uint8Array, field = 'a stored value'): Document {
  try {
    return plainBytes(packr.unpack(bytes) as Document)
  } catch (cause) {
    throw new QuorateError('BAD_REQUEST', `${field} is not a document in MessagePack form`, {
      cause,
      data: { field },
    })
  }
}

/** Node's Buffer is a Uint8Array with other methods: readers get the plain one, detached from the frame. */
function plainBytes(value: Document): Document {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (Array.isArray(value)) return value.map(plainBytes)
  if (value instanceof Set) return new Set([...value].map(plainBytes))
  if (typeof value === 'object' && value !== null) {
    const map = value as Record<string, Document>
    for (const key of Object.keys(map)) {
      const child = map[key]!
      if (typeof child === 'object' && child !== null) map[key] = plainBytes(child)
    }
  }
  return value
}

function checkDocument(value: unknown, depth: number, path: string): void {
  if (depth > limits.documentDepthMax) {
    throw new QuorateError('BAD_REQUEST', `${path} is nested deeper than ${limits.documentDepthMax} levels`, {
      data: { limit: limits.documentDepthMax },
    })
  }
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'bigint':
      return
    case 'object':
      break
    case 'undefined':
      throw new QuorateError('BAD_REQUEST', `${path} is undefined: leave the field out, or use null`)
    default:
      throw new QuorateError('BAD_REQUEST', `${path} is a ${typeof value}, which no document can hold`)
  }
  if (value === null || value instanceof Uint8Array) return
  if (Array.isArray(value)) {
    value.forEach((item, i) => {
      checkDocument(item, depth + 1, `${path}[${i}]`)
    })
  } else if (value instanceof Set) {
    for (const item of value) checkDocument(item, depth + 1, `${path}{}`)
  } else {
    const prototype = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) {
      throw new QuorateError(
        'BAD_REQUEST',
        `${path} is a ${prototype.constructor?.name ?? 'class'} object: documents hold plain data`,
      )
    }
    const map = value as Record<string, unknown>
    for (const key of Object.keys(map)) {
      if (key === '__proto__') throw new QuorateError('BAD_REQUEST', `${path} has a field named __proto__`)
      checkDocument(map[key], depth + 1, `${path}.${key}`)
    }
  }
}

/** One byte form per document value, whatever order maps and sets were built in: for merge functions. */
export function canonicalDocument(document: Document): Document {
  if (Array.isArray(document)) return document.map(canonicalDocument)
  if (document instanceof Set) {
    const items = [...document].map(item => canonicalDocument(item))
    return new Set(items.sort(compareDocuments))
  }
  if (typeof document === 'object' && document !== null && !(document instanceof Uint8Array)) {
    const map = document as Record<string, Document>
    const out: Record<string, Document> = {}
    for (const key of Object.keys(map).sort()) out[key] = canonicalDocument(map[key]!)
    return out
  }
  return document
}

/** A total order over documents: by type, then by value. Numbers and bigints compare as numbers. */
export function compareDocuments(a: Document, b: Document): number {
  const rank = rankOf(a) - rankOf(b)
  if (rank !== 0) return rank
  if (typeof a === 'number' || typeof a === 'bigint') {
    const other = b as number | bigint
    return a < other ? -1 : a > other ? 1 : 0
  }
  if (typeof a === 'string' || typeof a === 'boolean')
    return a < (b as typeof a) ? -1 : a > (b as typeof a) ? 1 : 0
  if (a === null) return 0
  const left = packr.pack(canonicalDocument(a))
  const right = packr.pack(canonicalDocument(b))
  assert(left instanceof Uint8Array && right instanceof Uint8Array, 'packed documents are bytes')
  for (let i = 0; i < Math.min(left.length, right.length); i++)
    if (left[i] !== right[i]) return left[i]! - right[i]!
  return left.length - right.length
}

function rankOf(document: Document): number {
  if (document === null) return 0
  switch (typeof document) {
    case 'boolean':
      return 1
    case 'number':
    case 'bigint':
      return 2
    case 'string':
      return 3
    default:
      return document instanceof Uint8Array
        ? 4
        : Array.isArray(document)
          ? 5
          : document instanceof Set
            ? 6
            : 7
  }
}
