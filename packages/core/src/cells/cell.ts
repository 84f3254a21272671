/**
 * Cells: the mergeable state of one row, a dotted version vector set (Almeida et al., DAIS 2014).
 *
 * A cell holds the values that no seen write supersedes, each under its own dot (actor, stamp), and the
 * context of all dots seen. A dot in the context without a value is superseded. Merge keeps a value when
 * both sides have it, or one has it and the other has not seen its dot, unless its operation is known to be
 * superseded (`superseded.ts`). A delete is a dot without a value: the context stays behind as the tombstone.
 *
 * Invariants: every value's dot is in the context; values sorted by (stamp, actor), dots distinct;
 * equal dots mean equal values; no value's operation is superseded, and these are ascending and distinct.
 */

import { compareStrings, type Incarnation, type OperationId, type Stamp } from '../base/ids.ts'
import { type Context, contextHas, mergeContexts } from '../causality/context.ts'
import { uniteSuperseded } from './superseded.ts'

export interface Dot {
  readonly actor: Incarnation
  readonly stamp: Stamp
}

export interface CellValue extends Dot {
  readonly operation: OperationId
  /** Encoded document; undefined is a deletion that competes as a value (rule `lww`). */
  readonly value: Uint8Array | undefined
  /** What the session that wrote it had seen (sessions/session-state.ts); stays with its dot. Absent: no session. */
  readonly causes?: Uint8Array | undefined
}

export interface Cell {
  readonly context: Context
  readonly values: readonly CellValue[]
  /** Operations that a write is known to have replaced or deleted, whatever dots they have. */
  readonly superseded: readonly OperationId[]
}

export const emptyCell: Cell = { context: [], values: [], superseded: [] }

export function compareDots(a: Dot, b: Dot): number {
  return a.stamp - b.stamp || compareStrings(a.actor, b.actor)
}

export const sameDot = (a: Dot, b: Dot): boolean => a.stamp === b.stamp && a.actor === b.actor

/** `same`: which of two under one dot, where these may differ. */
export function mergeCells(a: Cell, b: Cell, same?: (a: CellValue, b: CellValue) => CellValue): Cell {
  const superseded = uniteSuperseded(a.superseded, b.superseded)
  const values: CellValue[] = []
  // Both lie in the order of their dots.
  for (let i = 0, j = 0; i < a.values.length || j < b.values.length; ) {
    const left = a.values[i]
    const right = b.values[j]
    const order = left === undefined ? 1 : right === undefined ? -1 : compareDots(left, right)
    if (order <= 0) i++
    if (order >= 0) j++
    if (order === 0) {
      if (!b.superseded.includes(left!.operation))
        values.push(same === undefined ? left! : same(left!, right!))
    } else if (order < 0) {
      if (isUnseen(left!, b)) values.push(left!)
    } else if (isUnseen(right!, a)) values.push(right!)
  }
  return { context: mergeContexts(a.context, b.context), values, superseded }
}

const isUnseen = ({ actor, stamp, operation }: CellValue, by: Cell): boolean =>
  !by.superseded.includes(operation) && !contextHas(by.context, actor, stamp)

/** Nothing to read: no values, or only deletions. */
export function isTombstone(cell: Cell): boolean {
  return cell.values.every(value => value.value === undefined)
}

/** The values a reader sees: deletions left out, one per operation (a retried write has two dots). */
export function liveValues(cell: Cell): readonly CellValue[] {
  if (cell.values.length === 1) return cell.values[0]!.value === undefined ? [] : cell.values
  const seen = new Set<OperationId>()
  const out: CellValue[] = []
  for (const value of cell.values) {
    if (value.value === undefined || seen.has(value.operation)) continue
    seen.add(value.operation)
    out.push(value)
  }
  return out
}
