/**
 * One read of a row in parts (partitioning/key-split.ts): every part is read at the level asked for, each as a row of its
 * own (hedged, repaired), and what they say is joined.
 *
 * The join: values stand side by side, one per operation, in the order of their dots; a part's context says nothing about
 * another part's values (see split-write.ts). One part without an answer and the read fails: its values are missing.
 *
 * Parts are not read at one instant. A put with a context that replaces a value of one part by one in another may be met
 * half: the new value not yet, the old one no longer. When nothing at all is left of a row that has a history, the parts
 * are read once more; the removal was made after the new value was acknowledged, so the second read meets it.
 */

import type { ByteString } from '../base/ids.ts'
import { type Cell, type CellValue, compareDots, emptyCell, liveValues } from '../cells/cell.ts'
import { encodePartsToken } from '../cells/context-token.ts'
import { seenOf } from '../cells/superseded.ts'
import type { WireReceipt } from '../wire/messages.ts'

export interface PartCell {
  readonly part: number
  readonly cell: Cell | undefined
}

export interface PartAnswer extends PartCell {
  readonly receipt: WireReceipt
}

/** Pure: what the parts of the row with this key say together. */
export function joinParts(
  cells: readonly PartCell[],
  row: ByteString,
): { readonly values: readonly Uint8Array[]; readonly context: Uint8Array } {
  const values = new Map<string, CellValue>()
  const all = cells.flatMap(({ cell }) => (cell === undefined ? [] : liveValues(cell)))
  for (const value of all.sort(compareDots))
    if (!values.has(value.operation)) values.set(value.operation, value)
  return {
    values: [...values.values()].map(({ value }) => value!),
    context: encodePartsToken(
      cells.map(({ part, cell }) => ({ part, ...seenOf(cell ?? emptyCell) })),
      row,
    ),
  }
}

/** Nothing to read now, though there was something once. */
export const isGone = (cells: readonly PartCell[]): boolean =>
  cells.every(({ cell }) => cell === undefined || liveValues(cell).length === 0) &&
  cells.some(({ cell }) => cell !== undefined)

/** Reads all parts, a second time when nothing is left. `readPart`: one read of one part. */
export async function gatherParts(
  count: number,
  readPart: (part: number) => Promise<PartAnswer>,
): Promise<readonly PartAnswer[]> {
  const parts = Array.from({ length: count }, (_, part) => part)
  const gather = (): Promise<PartAnswer[]> => Promise.all(parts.map(readPart))
  const answers = await gather()
  return isGone(answers) ? gather() : answers
}
