/**
 * What a cell keeps only for the sake of other copies, and what is left once it is proved that no older
 * copy is anywhere (`sweep/collector.ts`): a tombstone goes, superseded operations are forgotten.
 */

import { limits } from '../base/limits.ts'
import { type Cell, emptyCell, isTombstone } from './cell.ts'

export function isCollectable(cell: Cell): boolean {
  return isTombstone(cell) || cell.superseded.length >= limits.supersededKept
}

/** The cell without what its proof makes superfluous; undefined when nothing is left. */
export function afterCollection(cell: Cell): Cell | undefined {
  return isTombstone(cell) ? undefined : { ...cell, superseded: emptyCell.superseded }
}
