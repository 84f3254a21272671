/**
 * What can be done to a row that merges by itself: operations, not states. Checked against what the table declares
 * before anything is written.
 */

import { QuorateError } from '../base/errors.ts'
import { checkEncodedDocument, type Document, encodeDocument } from '../cells/document.ts'
import { checkPath, mapOf, only, type Path, pathText, STEPS_MAX } from '../updates/update.ts'
import { type Fields, type FieldType, typeAt } from './fields.ts'

export type MergeStep =
  | { readonly op: 'increment'; readonly path: Path; readonly by: number }
  | { readonly op: 'enable' | 'disable'; readonly path: Path }
  | { readonly op: 'add' | 'remove'; readonly path: Path; readonly element: Document }
  | { readonly op: 'set'; readonly path: Path; readonly to: Document }
  /** Everything at and below the path that the row shows where the step is applied. */
  | { readonly op: 'clear'; readonly path: Path }

const KIND_OF = {
  increment: 'counter',
  enable: 'flag',
  disable: 'flag',
  add: 'or-set',
  remove: 'or-set',
  set: 'lww',
} as const

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
  const kind = KIND_OF[op as keyof typeof KIND_OF]
  if (type !== kind) throw badStep(path, `is a ${nameOf(type)}; ${op} is of a ${kind}`)
  return argued(op as keyof typeof KIND_OF, path, step)
}

function argued(op: keyof typeof KIND_OF, path: Path, step: Record<string, unknown>): MergeStep {
  switch (op) {
    case 'increment':
      only(step, ['op', 'path', 'by'])
      if (typeof step.by !== 'number' || !Number.isFinite(step.by))
        throw badStep(path, 'is incremented by a finite number')
      return { op, path, by: step.by }
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
  }
}

/** A document, by the rules of documents. */
function plain(given: unknown, path: Path): Document {
  if (given === undefined) throw badStep(path, 'needs a value')
  checkEncodedDocument(encodeDocument(given, pathText(path)), pathText(path))
  return given as Document
}

const nameOf = (type: FieldType): string => (typeof type === 'string' ? type : 'map')

const badStep = (path: Path, what: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `${pathText(path)}: ${what}`, { data: { field: pathText(path) } })
