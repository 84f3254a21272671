/**
 * Conditions on the row as it is: a write takes place when its condition holds at the place where writes of the row
 * are ordered, and the row is given back when it does not. Pure.
 *
 * Comparison is by kind, then by value: numbers and bigints compare as numbers; of other kinds only equal ones are
 * ordered, and `less` of two kinds is false, never an error: rows need no schema.
 */

import { compareBytes } from '../base/bytes.ts'
import { compareStrings } from '../base/ids.ts'
import { type Document, encodeDocument } from '../cells/document.ts'
import { fieldAt } from './apply-update.ts'
import { badUpdate, checkPath, mapOf, only, type Path, type Row } from './update.ts'

export type Condition =
  /** Is there a row at all. */
  | { readonly exists: boolean }
  | { readonly has: Path }
  | { readonly equal: Path; readonly to: Document }
  | { readonly less: Path; readonly than: Document }
  | { readonly greater: Path; readonly than: Document }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition }

const CONDITIONS_MAX = 100
const DEPTH_MAX = 16

export function holds(condition: Condition, row: Row | undefined): boolean {
  if ('exists' in condition) return (row !== undefined) === condition.exists
  if ('has' in condition) return fieldAt(row, condition.has) !== undefined
  if ('equal' in condition) {
    const found = fieldAt(row, condition.equal)
    return found !== undefined && sameDocument(found, condition.to)
  }
  if ('less' in condition) return order(fieldAt(row, condition.less), condition.than) === -1
  if ('greater' in condition) return order(fieldAt(row, condition.greater), condition.than) === 1
  if ('all' in condition) return condition.all.every(one => holds(one, row))
  if ('any' in condition) return condition.any.some(one => holds(one, row))
  return !holds(condition.not, row)
}

/** -1, 0 or 1; undefined when the two have no order. */
function order(a: Document | undefined, b: Document): -1 | 0 | 1 | undefined {
  const isNumber = (value: Document | undefined): value is number | bigint =>
    typeof value === 'number' || typeof value === 'bigint'
  if (isNumber(a) && isNumber(b)) {
    if (a < b) return -1
    if (a > b) return 1
    // NaN is in no order.
    return a >= b ? 0 : undefined
  }
  if (typeof a === 'string' && typeof b === 'string') return sign(compareStrings(a, b))
  if (a instanceof Uint8Array && b instanceof Uint8Array) return sign(compareBytes(a, b))
  if (typeof a === 'boolean' && typeof b === 'boolean') return sign(Number(a) - Number(b))
  return undefined
}

const sign = (difference: number): -1 | 0 | 1 => (difference < 0 ? -1 : difference > 0 ? 1 : 0)

/** The same value, whatever the order of fields in maps and of members in sets. */
export function sameDocument(a: Document, b: Document): boolean {
  if (typeof a === 'number' && typeof b === 'number') return Object.is(a, b) || a === b
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  if (a instanceof Uint8Array || b instanceof Uint8Array)
    return a instanceof Uint8Array && b instanceof Uint8Array && compareBytes(a, b) === 0
  if (Array.isArray(a) || Array.isArray(b))
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, at) => sameDocument(item, b[at]!))
    )
  if (a instanceof Set || b instanceof Set) return a instanceof Set && b instanceof Set && sameSet(a, b)
  const [left, right] = [a as Row, b as Row]
  const names = Object.keys(left)
  return (
    names.length === Object.keys(right).length &&
    names.every(name => Object.hasOwn(right, name) && sameDocument(left[name]!, right[name]!))
  )
}

function sameSet(a: ReadonlySet<Document>, b: ReadonlySet<Document>): boolean {
  return (
    a.size === b.size && [...a].every(item => b.has(item) || [...b].some(other => sameDocument(item, other)))
  )
}

/** Reads a condition that came from outside. */
export function checkCondition(given: unknown): Condition {
  const budget = { left: CONDITIONS_MAX }
  return checkOne(given, 0, budget)
}

type Given = Record<string, unknown>

/** By the field that names the condition: what else belongs to it, and how it is read. */
const FORMS: Readonly<
  Record<
    string,
    { more: readonly string[]; read: (given: Given, inner: (value: unknown) => Condition) => Condition }
  >
> = {
  exists: {
    more: [],
    read: ({ exists }) => {
      if (typeof exists !== 'boolean') throw badUpdate('exists is true or false')
      return { exists }
    },
  },
  has: { more: [], read: given => ({ has: checkPath(given.has) }) },
  equal: { more: ['to'], read: given => ({ equal: checkPath(given.equal), to: operandOf(given, 'to') }) },
  less: { more: ['than'], read: given => ({ less: checkPath(given.less), than: operandOf(given, 'than') }) },
  greater: {
    more: ['than'],
    read: given => ({ greater: checkPath(given.greater), than: operandOf(given, 'than') }),
  },
  all: { more: [], read: (given, inner) => ({ all: listOf(given.all).map(inner) }) },
  any: { more: [], read: (given, inner) => ({ any: listOf(given.any).map(inner) }) },
  not: { more: [], read: (given, inner) => ({ not: inner(given.not) }) },
}

function checkOne(given: unknown, depth: number, budget: { left: number }): Condition {
  if (depth > DEPTH_MAX || budget.left-- <= 0)
    throw badUpdate(`a condition has ${CONDITIONS_MAX} parts at the most, ${DEPTH_MAX} deep`)
  const condition = mapOf(given, 'a condition, as missing(), exists(), equal(…) make it,')
  const kind = Object.keys(FORMS).find(name => Object.hasOwn(condition, name))
  if (kind === undefined) throw badUpdate(`a condition is one of ${Object.keys(FORMS).join(', ')}`)
  const { more, read } = FORMS[kind]!
  only(condition, [kind, ...more])
  return read(condition, value => checkOne(value, depth + 1, budget))
}

function listOf(given: unknown): readonly unknown[] {
  if (!Array.isArray(given) || given.length === 0) throw badUpdate('all and any take a list of conditions')
  return given
}

function operandOf(condition: Record<string, unknown>, name: string): Document {
  const value = condition[name]
  if (value === undefined) throw badUpdate(`a comparison needs "${name}"`)
  // Whatever is no document is refused here, and not when it is compared.
  encodeDocument(value, name)
  return value as Document
}
