/** The bounds a coordinator holds a cell to. Merges are never refused: what they bring was acknowledged. */

import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { contextIntervals } from '../causality/context.ts'
import type { Cell } from '../cells/cell.ts'
import { encodeCell } from '../cells/cell-codec.ts'
import { describeRow } from './describe-row.ts'

/** Bytes of a cell that a write made; throws TOO_MANY_SIBLINGS, nothing applied, when it has outgrown its bounds. */
export function encodeBounded(cell: Cell, key: ByteString): Uint8Array {
  const intervals = contextIntervals(cell.context)
  if (intervals > limits.intervalsMax) {
    throw new QuorateError(
      'TOO_MANY_SIBLINGS',
      `the history of ${describeRow(key)} has ${intervals} intervals`,
      {
        data: { intervals, limit: limits.intervalsMax },
      },
    )
  }
  const bytes = encodeCell(cell)
  if (bytes.length > limits.cellWrittenBytesMax) {
    throw new QuorateError(
      'TOO_MANY_SIBLINGS',
      `${describeRow(key)} would be ${bytes.length} bytes with all its siblings`,
      { data: { cellBytes: bytes.length, limitBytes: limits.cellWrittenBytesMax } },
    )
  }
  return bytes
}
