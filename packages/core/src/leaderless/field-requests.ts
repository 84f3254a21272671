/** Requests about fields of rows that merge by themselves: checked before anything is done. */

import { QuorateError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { RowPlace, TableView } from '../catalog/catalog.ts'
import { fieldsOf } from '../catalog/table-descriptor.ts'
import { assertFieldKey } from '../crdt/field-key.ts'
import { fieldStepFor } from '../crdt/steps.ts'
import type { MergeRequest } from '../wire/messages.ts'

/** Where the cell of the field is. Throws BAD_REQUEST, naming the field, when this is no step on it. */
export function fieldPlace(view: TableView, { key }: RowPlace, request: MergeRequest): RowPlace {
  const { descriptor } = view
  const fields = fieldsOf(descriptor)
  if (fields === undefined)
    throw new QuorateError(
      'BAD_REQUEST',
      `the rows of "${descriptor.name}" do not merge by fields (its rule is ${descriptor.conflict.kind}): they are written as wholes`,
    )
  const field = assertFieldKey(fields, request.field)
  const bytes = request.sortKey.length + request.field.length
  if (bytes > limits.keyBytesMax)
    throw new QuorateError(
      'KEY_TOO_LARGE',
      `${field.path.join('.')}: sort key, field and element are ${bytes} bytes encoded, the limit is ${limits.keyBytesMax}`,
      { data: { keyBytes: bytes, limitBytes: limits.keyBytesMax } },
    )
  if (request.value === undefined) throw new QuorateError('BAD_REQUEST', 'a step is missing')
  const step = fieldStepFor(field, request.value)
  if (step.op === 'take' && request.context === undefined)
    throw new QuorateError(
      'BAD_REQUEST',
      `${field.path.join('.')}: a removal takes away what its writer was shown, and needs the context of a read`,
      { data: { field: 'context' } },
    )
  const place = (key + request.field) as RowPlace['key']
  return { key: place, row: place, part: 0 }
}

/** A put of a whole row would take away what others add to its fields meanwhile. */
export function refuseWholeRows({ descriptor }: TableView): void {
  if (fieldsOf(descriptor) === undefined) return
  throw new QuorateError(
    'BAD_REQUEST',
    `the rows of "${descriptor.name}" merge by fields: they are changed by steps (apply), not put or deleted as wholes`,
  )
}

/** A row is a range of fields: what stands at its own key is nothing. */
export function refuseRowReads({ descriptor }: TableView): void {
  if (fieldsOf(descriptor) === undefined) return
  throw new QuorateError(
    'BAD_REQUEST',
    `the rows of "${descriptor.name}" merge by fields, and are read as ranges of them`,
  )
}
