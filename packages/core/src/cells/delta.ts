/**
 * Deltas: what one write has added to a cell, sent in place of the whole of it.
 *
 * A delta's context says that its actor has written nothing else from the end of its last write on: so merged by who has
 * all before it, it leaves one interval, the same bytes as the whole cell would. Who lacks something before it (a *gap*)
 * refuses it and is sent the whole cell. Merged in spite of a gap it would claim nothing untrue, but leave a hole that only
 * a sweep closes.
 *
 * Reference: Almeida, Shoker, Baquero, *Delta state replicated data types* (2018), delta-intervals.
 */

import { type Context, contextHas } from '../causality/context.ts'
import type { Cell, CellValue } from './cell.ts'

/** `after`: of `base`, with this value more under a new dot of its actor. */
export function deltaWith(base: Cell, after: Cell, value: CellValue): Cell {
  const { actor, stamp } = value
  const before = intervalsOf(base.context, actor).at(-1)
  const [start = stamp] = intervalsOf(after.context, actor).slice(-2)
  const isJoined = before !== undefined && start <= before
  return {
    context: [{ actor, intervals: [isJoined ? before + 1 : stamp, stamp] }],
    values: [value],
    superseded: [],
  }
}

/** Does `cell` lack what its actor wrote before the delta? */
export function hasGapBefore(cell: Cell, delta: Cell): boolean {
  return delta.context.some(({ actor, intervals: [from, to] }) => {
    const before = (from! - 1) as CellValue['stamp']
    return from !== to && !contextHas(cell.context, actor, before)
  })
}

const intervalsOf = (context: Context, actor: CellValue['actor']): readonly number[] =>
  context.find(history => history.actor === actor)?.intervals ?? []
