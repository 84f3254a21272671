/**
 * What a write makes of an agreed row: pure. The row is a cell of one value; its dot is the ballot under which it is
 * proposed, and the operations that were applied before it are kept as superseded, so that a retry is found.
 */

import { u64ToString } from '../base/bytes.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { type Cell, type Dot, emptyCell } from '../cells/cell.ts'
import { decodeTokenOfRow, encodeContextToken } from '../cells/context-token.ts'
import { decodeDocument } from '../cells/document.ts'
import { uniteSuperseded } from '../cells/superseded.ts'
import type { ChangeInput } from '../leader/change-input.ts'
import { execute, rowOf, type Statement } from '../leader/log-body.ts'
import { type CallSource, freezeUpdate } from '../updates/apply-update.ts'
import { holds } from '../updates/condition.ts'

/** The row as a reader is shown it. */
export const documentIn = (cell: Cell): Uint8Array | undefined => cell.values[0]?.value

/** Has the operation been applied, to the row as it is or before? */
export const isApplied = (cell: Cell, operation: OperationId): boolean =>
  cell.values[0]?.operation === operation || cell.superseded.includes(operation)

/** The same, under another ballot. */
export function underBallot(cell: Cell, ballot: Dot): Cell {
  const [value] = cell.values
  return value === undefined
    ? emptyCell
    : { ...cell, context: contextOf(ballot), values: [{ ...value, ...ballot }] }
}

/** The row with a value more; undefined: it is deleted. */
export function withValue(
  before: Cell,
  operation: OperationId,
  value: Uint8Array | undefined,
  ballot: Dot,
): Cell {
  const [last] = before.values
  const superseded =
    last === undefined ? before.superseded : uniteSuperseded(before.superseded, [last.operation])
  return { context: contextOf(ballot), values: [{ ...ballot, operation, value }], superseded }
}

/** That there is no row, as something to agree on; under a name that no write has. */
export const noRow = (ballot: Dot): Cell =>
  withValue(emptyCell, (ballot.actor + u64ToString(ballot.stamp)) as string as OperationId, undefined, ballot)

const contextOf = ({ actor, stamp }: Dot): Cell['context'] => [{ actor, intervals: [stamp, stamp] }]

/** Does what the writer asks for hold of the row? */
export function mayApply(before: Cell, { condition, context }: ChangeInput, key: ByteString): boolean {
  if (context !== undefined && !isAsRead(before, context, key)) return false
  if (condition === undefined) return true
  const document = documentIn(before)
  return holds(condition, document === undefined ? undefined : rowOf(decodeDocument(document)))
}

/** What a reader was shown: which write made the row what it is; nothing, where there is no row. */
export function contextOfRow(cell: Cell, key: ByteString): Uint8Array {
  const [value] = cell.values
  const operations = value?.value === undefined ? [] : [value.operation]
  return encodeContextToken({ context: [], operations }, key)
}

/** By the write and not by its ballot: rounds that change nothing give a row another ballot. */
function isAsRead(before: Cell, context: Uint8Array, key: ByteString): boolean {
  const { operations } = decodeTokenOfRow(context, key)
  const [value] = before.values
  return value?.value === undefined ? operations.length === 0 : operations.includes(value.operation)
}

/** What the statement makes of the row. Throws when it cannot be carried out. */
export function carriedOut(before: Cell, statement: Statement, calls: CallSource): Uint8Array | undefined {
  const frozen: Statement =
    'update' in statement ? { update: freezeUpdate(statement.update, calls) } : statement
  return execute(frozen, documentIn(before), calls)
}
