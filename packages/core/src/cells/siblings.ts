/**
 * Rule `siblings`: nothing is lost. Concurrent values stand side by side until a write whose context
 * has seen them replaces them. A put without context is concurrent with everything; a delete without
 * context deletes what this coordinator sees. Siblings are capped (limits.siblingsMax): past the cap
 * writes are refused, never pruned; merges are never refused, since what they bring was acknowledged.
 */

import { QuorateError } from '../base/errors.ts'
import type { OperationId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { contextHas, extendOwn, mergeContexts } from '../causality/context.ts'
import { type Cell, type CellValue, type Dot, emptyCell, liveValues, mergeCells } from './cell.ts'
import {
  type ConflictRule,
  type MergeResult,
  valueWritten,
  type WriteOperation,
  type WriteResult,
} from './conflict-rule.ts'
import { nothingSeen, type Seen, seenOf, sortedOperations, uniteSuperseded } from './superseded.ts'

const nothing: readonly CellValue[] = []

export const siblingsRule: ConflictRule = {
  kind: 'siblings',
  discards: false,

  write(base: Cell | undefined, write: WriteOperation, dot: Dot, memoryFrom: Stamp): WriteResult {
    const written = writeBeside(base, write, dot, memoryFrom)
    if (!written.repeated) refuseTooMany(written.cell)
    return written
  },

  merge(a: Cell, b: Cell): MergeResult {
    return { cell: mergeCells(a, b), discarded: nothing }
  },

  read(cell: Cell): readonly Uint8Array[] {
    return liveValues(cell).map(value => value.value!)
  },
}

/** However many values stand then. */
export function writeBeside(
  base: Cell = emptyCell,
  write: WriteOperation,
  dot: Dot,
  memoryFrom: Stamp,
): WriteResult {
  const isHere = base.values.some(value => value.operation === write.operation)
  if (isHere || base.superseded.includes(write.operation)) {
    return { cell: base, repeated: true, discarded: nothing }
  }
  if (write.seen?.operations.includes(write.operation)) refuseOwnContext()
  const seen = write.seen ?? (write.value === undefined ? seenOf(base) : nothingSeen)
  const replaces = (value: CellValue): boolean =>
    contextHas(seen.context, value.actor, value.stamp) || seen.operations.includes(value.operation)
  const superseded = supersede(base, base.values.filter(replaces), seen)
  // Also where the writer had seen only another name of the value.
  const values = base.values.filter(value => !replaces(value) && !superseded.includes(value.operation))
  if (write.value !== undefined) values.push(valueWritten(write, dot))
  const context = extendOwn(mergeContexts(base.context, seen.context), dot.actor, dot.stamp, memoryFrom)
  const cell = { context, values, superseded }
  return { cell, repeated: false, discarded: nothing }
}

function supersede(base: Cell, replaced: readonly CellValue[], seen: Seen): readonly OperationId[] {
  const here = uniteSuperseded(base.superseded, sortedOperations(replaced))
  return uniteSuperseded(here, seen.operations)
}

/** It would replace itself, or what has replaced it since: a second try says what the first one said. */
export function refuseOwnContext(): never {
  throw new QuorateError(
    'BAD_CONTEXT',
    'the context was read after this very operation had been applied; there is nothing left to do, unless it is a new write, which needs an operation id of its own',
    { outcome: 'applied' },
  )
}

function refuseTooMany(cell: Cell): void {
  if (cell.values.length > limits.siblingsMax && liveValues(cell).length > limits.siblingsMax) {
    throw new QuorateError(
      'TOO_MANY_SIBLINGS',
      `the row already has ${limits.siblingsMax} concurrent values; read it and write back with the context it gives`,
      { data: { siblings: cell.values.length - 1, limit: limits.siblingsMax } },
    )
  }
}
