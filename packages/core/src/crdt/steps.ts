/**
 * What can be done to a row that merges by itself: operations, not states. A step names a field, or an element of a set,
 * and is one write of that field's cell: the steps of one call do not take effect together.
 *
 * Removals take away what a reader was shown, and so need the context of a read; what was added meanwhile stays.
 */

import { stringToU32, u32ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { OperationId } from '../base/ids.ts'
import { checkEncodedDocument, type Document, decodeDocument, encodeDocument } from '../cells/document.ts'
import { checkPath, mapOf, only, type Path, pathText, STEPS_MAX } from '../updates/update.ts'
import type { Field, FieldAddress } from './field-key.ts'
import { type FieldKind, type Fields, kindOf, typeAt } from './fields.ts'
import { checkUpdate } from './yjs-updates.ts'

export type MergeStep =
  | { readonly op: 'increment'; readonly path: Path; readonly by: number }
  | { readonly op: 'enable' | 'disable'; readonly path: Path }
  | { readonly op: 'add' | 'remove'; readonly path: Path; readonly element: Document }
  | { readonly op: 'set'; readonly path: Path; readonly to: Document }
  /** `update`: as Yjs makes it. */
  | { readonly op: 'edit'; readonly path: Path; readonly update: Uint8Array }
  /** Everything at and below the path. */
  | { readonly op: 'clear'; readonly path: Path }

/** What is asked of one cell. `take`: away with what the writer was shown; of a value `unset`, which is a write like `set`. */
export type FieldStep =
  | { readonly op: 'increment'; readonly by: number }
  | { readonly op: 'put' }
  | { readonly op: 'take' }
  | { readonly op: 'set'; readonly to: Document }
  | { readonly op: 'unset' }
  | { readonly op: 'edit'; readonly update: Uint8Array }

const KIND_OF = {
  increment: 'counter',
  enable: 'flag',
  disable: 'flag',
  add: 'or-set',
  remove: 'or-set',
  set: 'lww',
  edit: 'document',
} as const

type FieldOp = keyof typeof KIND_OF

/** Throws BAD_REQUEST, naming the path. */
export function checkMergeSteps(fields: Fields, given: unknown): readonly MergeStep[] {
  if (!Array.isArray(given) || given.length === 0 || given.length > STEPS_MAX)
    throw new QuorateError('BAD_REQUEST', `steps are a list of 1 to ${STEPS_MAX}`)
  return given.map(step => checkStep(fields, mapOf(step, 'a step')))
}

function checkStep(fields: Fields, step: Record<string, unknown>): MergeStep {
  const path = checkPath(step.path)
  const type = typeAt(fields, path)
  if (type === undefined) throw badStep(path, 'is no field that the table declares')
  const { op } = step
  if (op === 'clear') {
    only(step, ['op', 'path'])
    return { op, path }
  }
  if (typeof op !== 'string' || !Object.hasOwn(KIND_OF, op))
    throw badStep(path, `${JSON.stringify(op)} is no step: ${Object.keys(KIND_OF).join(', ')} or clear`)
  const kind = KIND_OF[op as FieldOp]
  if (type !== kind) throw badStep(path, `is a ${kindOf(type)}; ${op} is of a ${kind}`)
  return argued(op as FieldOp, path, step)
}

function argued(op: FieldOp, path: Path, step: Record<string, unknown>): MergeStep {
  switch (op) {
    case 'increment':
      only(step, ['op', 'path', 'by'])
      return { op, path, by: wholeNumber(step.by, path) }
    case 'enable':
    case 'disable':
      only(step, ['op', 'path'])
      return { op, path }
    case 'add':
    case 'remove':
      only(step, ['op', 'path', 'element'])
      return { op, path, element: plain(step.element, path) }
    case 'set':
      only(step, ['op', 'path', 'to'])
      return { op, path, to: plain(step.to, path) }
    case 'edit':
      only(step, ['op', 'path', 'update'])
      return { op, path, update: checkUpdate(step.update, pathText(path)) }
  }
}

/** Sums of fractions depend on their order, and every replica must come to the same one. */
function wholeNumber(given: unknown, path: Path): number {
  if (typeof given === 'number' && Number.isSafeInteger(given)) return given
  throw badStep(path, `is incremented by a whole number, not by ${shown(given)}`)
}

const shown = (given: unknown): string => (typeof given === 'string' ? JSON.stringify(given) : String(given))

/** A document, by the rules of documents. */
function plain(given: unknown, path: Path): Document {
  if (given === undefined) throw badStep(path, 'needs a value')
  checkEncodedDocument(encodeDocument(given, pathText(path)), pathText(path))
  return given as Document
}

/** Throws BAD_REQUEST naming the path. */
export const badStep = (path: Path, what: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `${pathText(path)}: ${what}`, { data: { field: pathText(path) } })

/** Which cell a step is of; of `clear`, whatever is below its path. */
export const addressOf = (step: MergeStep): FieldAddress => ({
  path: step.path,
  element: 'element' in step ? step.element : undefined,
})

/** `kind`: of the field that a `clear` has met. */
export function fieldStepOf(step: MergeStep, kind: FieldKind): FieldStep {
  switch (step.op) {
    case 'increment':
      return { op: 'increment', by: step.by }
    case 'enable':
    case 'add':
      return { op: 'put' }
    case 'set':
      return { op: 'set', to: step.to }
    case 'edit':
      return { op: 'edit', update: step.update }
    default:
      return { op: kind === 'lww' ? 'unset' : 'take' }
  }
}

export function encodeFieldStep(step: FieldStep): Uint8Array {
  switch (step.op) {
    case 'increment':
      return encodeDocument([step.op, step.by])
    case 'set':
      return encodeDocument([step.op, step.to], 'the value')
    case 'edit':
      return encodeDocument([step.op, step.update], 'the update')
    default:
      return encodeDocument([step.op])
  }
}

const OPS_OF: Readonly<Record<FieldKind, readonly FieldStep['op'][]>> = {
  counter: ['increment', 'take'],
  flag: ['put', 'take'],
  'or-set': ['put', 'take'],
  lww: ['set', 'unset'],
  document: ['edit', 'take'],
}

/** Reads a step that came from outside, for this field. Throws BAD_REQUEST. */
export function fieldStepFor(field: Field, bytes: Uint8Array): FieldStep {
  checkEncodedDocument(bytes, 'a step')
  const step = decodeFieldStep(bytes)
  if (step === undefined || !OPS_OF[field.kind].includes(step.op))
    throw badStep(field.path, `is a ${field.kind}, and this is no step of one`)
  if (step.op === 'increment') wholeNumber(step.by, field.path)
  if (step.op === 'edit') checkUpdate(step.update, pathText(field.path))
  return step
}

/** Undefined: it is none. */
export function decodeFieldStep(bytes: Uint8Array): FieldStep | undefined {
  const given = decodeDocument(bytes, 'a step')
  const [op, argument] = Array.isArray(given) ? (given as readonly Document[]) : []
  if (op === 'increment') return { op, by: argument as number }
  if (op === 'put' || op === 'take' || op === 'unset') return { op }
  if (op === 'edit') return { op, update: argument as Uint8Array }
  if (op === 'set' && argument !== undefined) return { op, to: argument }
  return undefined
}

/** Bytes of an operation's name before the last four. */
const STEM_BYTES = 12

/** The same in every try of the call; other steps, and other calls, have others. */
export function operationOfStep(operation: OperationId, at: number): OperationId {
  if (at === 0) return operation
  const last = (stringToU32(operation, STEM_BYTES) + at) >>> 0
  return (operation.slice(0, STEM_BYTES) + u32ToString(last)) as OperationId
}
