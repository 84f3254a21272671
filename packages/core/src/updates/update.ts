/**
 * Changes of a row as data: what a client asks for, a log can carry, and every replica makes of the same row the same.
 *
 * Problem: a function cannot be shipped, and "read, change, write" pays a way there and back and loses to whoever
 * writes between. Mechanism: a small, typed set of steps on fields of the row, each with operands that are values,
 * other fields, or calls (`now()`, `random()`, `uuid()`, `id()`). Calls differ wherever they are made: `freeze` puts
 * values in their place once, where the update is ordered; what is frozen is a function of the row alone.
 *
 * Invariants: an update that is refused has changed nothing; steps see what the steps before them made; key fields do
 * not change (the table refuses); the result is a document within the limits of documents.
 * References: DynamoDB UpdateExpression and MongoDB update operators, as to what people need; Petrov, "Database
 * Internals" (2019), ch. 13, on determinism of shipped statements.
 */

import { QuorateError } from '../base/errors.ts'
import type { Document } from '../cells/document.ts'

/** Field of the row, then keys of maps within: `['address', 'city']`. */
export type Path = readonly string[]

/** Calls whose result differs wherever they are made. `id` is a number that no other `id` of the partition has. */
export const CALLS = ['now', 'random', 'uuid', 'id'] as const
export type Call = (typeof CALLS)[number]

export type Operand = { readonly value: Document } | { readonly field: Path } | { readonly call: Call }

export type Step =
  | { readonly op: 'set'; readonly path: Path; readonly to: Operand }
  /** Numbers with numbers, bigints with bigints; a field that is not there counts as zero. */
  | { readonly op: 'increment'; readonly path: Path; readonly by: Operand }
  /** At the end of a list; a field that is not there becomes one. */
  | { readonly op: 'append'; readonly path: Path; readonly items: readonly Operand[] }
  | { readonly op: 'remove'; readonly path: Path }

export type Update = readonly Step[]

export type Row = { readonly [field: string]: Document }

export const STEPS_MAX = 100
export const PATH_MAX = 16

export const pathText = (path: Path): string => path.join('.')

export const badUpdate = (message: string, path?: Path): QuorateError =>
  new QuorateError('BAD_REQUEST', path === undefined ? message : `${pathText(path)}: ${message}`, {
    data: path === undefined ? {} : { path: pathText(path) },
  })

/** Reads an update that came from outside: anything else than the forms above is refused by name. */
export function checkUpdate(given: unknown): Update {
  if (!Array.isArray(given) || given.length === 0) throw badUpdate('an update is a list of one step or more')
  if (given.length > STEPS_MAX)
    throw badUpdate(`an update has ${STEPS_MAX} steps at the most, not ${given.length}`)
  return given.map(checkStep)
}

function checkStep(given: unknown): Step {
  const step = mapOf(given, 'a step')
  const { op } = step
  const path = checkPath(step.path)
  switch (op) {
    case 'set':
      only(step, ['op', 'path', 'to'])
      return { op, path, to: checkOperand(step.to, path) }
    case 'increment':
      only(step, ['op', 'path', 'by'])
      return { op, path, by: checkOperand(step.by, path) }
    case 'append':
      only(step, ['op', 'path', 'items'])
      if (!Array.isArray(step.items) || step.items.length === 0)
        throw badUpdate('items is a list of operands', path)
      return { op, path, items: step.items.map(item => checkOperand(item, path)) }
    case 'remove':
      only(step, ['op', 'path'])
      return { op, path }
    default:
      throw badUpdate(`${JSON.stringify(op)} is no step: set, increment, append or remove`, path)
  }
}

export function checkPath(given: unknown): Path {
  const isPath =
    Array.isArray(given) &&
    given.length > 0 &&
    given.length <= PATH_MAX &&
    given.every(part => typeof part === 'string' && part !== '' && part !== '__proto__')
  if (!isPath) throw badUpdate(`a path is a list of 1 to ${PATH_MAX} names of fields`)
  return given as Path
}

export function checkOperand(given: unknown, path: Path): Operand {
  const operand = mapOf(given, `the operand of ${pathText(path)}`)
  const [kind, ...more] = Object.keys(operand)
  if (more.length === 0) {
    // Undefined is in no document: what is not there is no value.
    if (kind === 'value' && operand.value !== undefined) return { value: operand.value as Document }
    if (kind === 'field') return { field: checkPath(operand.field) }
    if (kind === 'call') {
      if (CALLS.includes(operand.call as Call)) return { call: operand.call as Call }
      throw badUpdate(`${JSON.stringify(operand.call)} is no call: ${CALLS.join(', ')}`, path)
    }
  }
  throw badUpdate('an operand is {value}, {field} or {call}', path)
}

export function mapOf(given: unknown, what: string): Record<string, unknown> {
  const isMap =
    typeof given === 'object' &&
    given !== null &&
    !Array.isArray(given) &&
    !(given instanceof Uint8Array) &&
    !(given instanceof Set)
  if (!isMap) throw badUpdate(`${what} is an object`)
  return given as Record<string, unknown>
}

export function only(given: Record<string, unknown>, known: readonly string[]): void {
  const other = Object.keys(given).find(key => !known.includes(key))
  if (other !== undefined) throw badUpdate(`"${other}" is not known here: ${known.join(', ')}`)
}
