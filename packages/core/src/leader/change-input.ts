/** What a client asks a leader to do with a row; and how it comes over the wire. */

import { QuorateError } from '../base/errors.ts'
import type { OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { checkEncodedDocument, type Document, decodeDocument, encodeDocument } from '../cells/document.ts'
import type { Acknowledgement } from '../leadership/acknowledgement.ts'
import { type Condition, checkCondition } from '../updates/condition.ts'
import { badUpdate, checkUpdate, type Update } from '../updates/update.ts'
import type { Statement } from './log-body.ts'

export interface ChangeInput {
  readonly operation: OperationId
  readonly statement: Statement
  readonly condition: Condition | undefined
  /** Token of a read: the row must still be what was read. */
  readonly context: Uint8Array | undefined
  readonly ack: Acknowledgement | undefined
  /** An earlier try of it may still be on its way. */
  readonly again: boolean
  readonly hops: number
  /** Token of the writer's session. */
  readonly session: Uint8Array | undefined
}

/** Names of the fields that make up the key of a row, and what they are in this one. */
export type KeyFields = readonly { readonly field: string; readonly value: Document }[]

export function encodeStatement(statement: Statement): Uint8Array {
  return encodeDocument(statement as unknown as Document, 'the statement', 2 * limits.valueBytesMax)
}

export function decodeStatement(bytes: Uint8Array): Statement {
  const given = decodeDocument(bytes, 'a statement') as Record<string, unknown> | null
  if (given?.put instanceof Uint8Array) return { put: given.put }
  if (given?.delete === true) return { delete: true }
  return { update: checkUpdate(given?.update) }
}

/** A statement of a client: an update leaves the key of the row alone, and makes it where there was no row. */
export function statementOf(bytes: Uint8Array, key: KeyFields): Statement {
  const statement = decodeStatement(bytes)
  if ('put' in statement) checkEncodedDocument(statement.put, 'value')
  if (!('update' in statement)) return statement
  const changed = statement.update.find(({ path }) => key.some(({ field }) => field === path[0]))
  if (changed !== undefined)
    throw badUpdate('is the key of the row: a row with another key is another row', changed.path)
  const set = key.map(({ field, value }): Update[number] => ({ op: 'set', path: [field], to: { value } }))
  return { update: [...set, ...statement.update] }
}

export function conditionOf(bytes: Uint8Array | undefined): Condition | undefined {
  if (bytes === undefined) return undefined
  try {
    return checkCondition(decodeDocument(bytes, 'a condition'))
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error
    throw new QuorateError(error.code, `if: ${error.message}`, { data: { ...error.data, field: 'if' } })
  }
}
