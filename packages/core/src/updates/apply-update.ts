/** What an update makes of a row. Pure: the same row and the same frozen update give the same row everywhere. */

import type { Document } from '../cells/document.ts'
import { badUpdate, type Call, type Operand, type Path, type Row, type Step, type Update } from './update.ts'

/** What calls answer where the update is ordered. */
export interface CallSource {
  /** Wall clock, in whole milliseconds since 1970. */
  now(): number
  /** At least 0, less than 1. */
  random(): number
  /** RFC 9562, version 4. */
  uuid(): string
  /** Greater than every one before in this partition, whoever led it. */
  id(): bigint
}

/** The update with the results of its calls in their place. Each call is made once, in the order of the steps. */
export function freezeUpdate(update: Update, source: CallSource): Update {
  const frozen = (operand: Operand): Operand =>
    'call' in operand ? { value: source[operand.call]() } : operand
  return update.map(step => frozenStep(step, frozen))
}

function frozenStep(step: Step, frozen: (operand: Operand) => Operand): Step {
  switch (step.op) {
    case 'set':
      return { ...step, to: frozen(step.to) }
    case 'increment':
      return { ...step, by: frozen(step.by) }
    case 'append':
      return { ...step, items: step.items.map(frozen) }
    case 'remove':
      return step
  }
}

export function callsOf(update: Update): Call[] {
  return update.flatMap(step => {
    const operands = step.op === 'set' ? [step.to] : step.op === 'increment' ? [step.by] : []
    return [...operands, ...(step.op === 'append' ? step.items : [])].flatMap(operand =>
      'call' in operand ? [operand.call] : [],
    )
  })
}

/** The row after the update, a new one; throws BAD_REQUEST and nothing has changed. The update is frozen. */
export function applyUpdate(row: Row | undefined, update: Update): Row {
  return update.reduce<Row>(applyStep, row ?? {})
}

function applyStep(row: Row, step: Step): Row {
  const { path } = step
  switch (step.op) {
    case 'set':
      return changed(row, path, 0, () => resultOf(row, step.to, path))
    case 'remove':
      return removed(row, path, 0)
    case 'increment':
      return changed(row, path, 0, before => sum(before, resultOf(row, step.by, path), path))
    case 'append': {
      const items = step.items.map(item => resultOf(row, item, path))
      return changed(row, path, 0, before => {
        if (before === undefined) return items
        if (!Array.isArray(before)) throw badUpdate(`is ${kindOf(before)}; append needs a list`, path)
        return [...(before as readonly Document[]), ...items]
      })
    }
  }
}

function resultOf(row: Row, operand: Operand, path: Path): Document {
  if ('value' in operand) return operand.value
  if ('call' in operand)
    throw badUpdate(`${operand.call}() must be frozen before the update is applied`, path)
  const found = fieldAt(row, operand.field)
  if (found === undefined) throw badUpdate(`the field ${operand.field.join('.')} is not there`, path)
  return found
}

/** What is at a path; undefined when it is not there. */
export function fieldAt(row: Row | undefined, path: Path): Document | undefined {
  let at: Document | undefined = row
  for (const name of path) {
    if (!isMap(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

function sum(before: Document | undefined, by: Document, path: Path): Document {
  if (typeof by === 'bigint') {
    if (before === undefined) return by
    if (typeof before === 'bigint') return before + by
  }
  if (typeof by === 'number') {
    if (before === undefined) return by
    if (typeof before === 'number') return before + by
  }
  if (typeof by !== 'bigint' && typeof by !== 'number')
    throw badUpdate(`cannot be incremented by ${kindOf(by)}: a number or a bigint is needed`, path)
  throw badUpdate(`is ${kindOf(before!)} and cannot be incremented by ${kindOf(by)}`, path)
}

/** Maps on the way are made where they are missing. */
function changed(map: Row, path: Path, at: number, to: (before: Document | undefined) => Document): Row {
  const name = path[at]!
  const before = Object.hasOwn(map, name) ? map[name] : undefined
  if (at === path.length - 1) return { ...map, [name]: to(before) }
  if (before !== undefined && !isMap(before))
    throw badUpdate(`${path.slice(0, at + 1).join('.')} is ${kindOf(before)}, which has no fields`, path)
  return { ...map, [name]: changed(before ?? {}, path, at + 1, to) }
}

/** What is not there need not be removed. */
function removed(map: Row, path: Path, at: number): Row {
  const name = path[at]!
  if (!Object.hasOwn(map, name)) return map
  if (at === path.length - 1) {
    const { [name]: _, ...rest } = map
    return rest
  }
  const before = map[name]
  return isMap(before) ? { ...map, [name]: removed(before, path, at + 1) } : map
}

function isMap(value: Document | undefined): value is Row {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Set)
  )
}

export function kindOf(value: Document): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Uint8Array) return 'bytes'
  if (value instanceof Set) return 'a set'
  return typeof value === 'object' ? 'a map' : `a ${typeof value}`
}
