/**
 * The one interface behind which a table's conflicts are settled.
 *
 * Laws, for every rule (checked by `cells.laws.test.ts`): `merge` is commutative, associative and
 * idempotent on reachable states; `decode(encode(s))` is `s`; equal states have equal bytes and equal
 * digests; a retried operation changes nothing.
 */

import type { OperationId, Stamp } from '../base/ids.ts'
import { type Context, contextHas, contextWithout, mergeContexts } from '../causality/context.ts'
import type { Cell, CellValue, Dot } from './cell.ts'
import { isCollectable } from './collectable.ts'
import { nothingSeen, type Seen, sortedOperations, uniteOperations } from './superseded.ts'

export interface WriteOperation {
  readonly operation: OperationId
  /** Encoded document; undefined deletes. */
  readonly value: Uint8Array | undefined
  /** What the writer had seen; undefined: nothing was said (see each rule). */
  readonly seen: Seen | undefined
  /** What the writer's session has seen of the row, which the write must come after. Only `lww` needs it: see there. */
  readonly after?: Context | undefined
  /** See `CellValue.causes`. */
  readonly causes?: Uint8Array | undefined
}

/** The value of a write, under its dot. */
export function valueWritten({ operation, value, causes }: WriteOperation, dot: Dot): CellValue {
  return causes === undefined ? { ...dot, operation, value } : { ...dot, operation, value, causes }
}

/**
 * What its writer has seen once the write is applied: all that `cell` reflects, but for the values that stand
 * beside it and that it has not said it had seen. (What is superseded it need not have seen: someone had.)
 * So a chain of writes, each with the context of the one before, carries no more than the cell does.
 */
export function seenAfter(write: WriteOperation, cell: Cell): Seen {
  const { context, operations } = write.seen ?? nothingSeen
  const isSeen = (value: CellValue): boolean =>
    value.operation === write.operation ||
    contextHas(context, value.actor, value.stamp) ||
    operations.includes(value.operation)
  const own = write.value === undefined ? [] : [write]
  const known = sortedOperations([...cell.values.filter(isSeen), ...own])
  const unseen = cell.values.filter(value => !isSeen(value))
  return {
    context: mergeContexts(context, contextWithout(cell.context, unseen)),
    operations: uniteOperations(cell.superseded, known),
  }
}

export interface WriteResult {
  readonly cell: Cell
  readonly repeated: boolean
  /** Values that this write discarded without their having been seen by it: they go to the ledger. */
  readonly discarded: readonly CellValue[]
}

export interface MergeResult {
  readonly cell: Cell
  readonly discarded: readonly CellValue[]
}

/**
 * Values that stand beside each other until nothing can come that one of them must be told from: then all homes put them
 * together, each by itself (`sweep/collector.ts`).
 */
export interface Gathering {
  /** Are there enough of them? */
  isDue(cell: Cell): boolean
  /** What homes must agree on: the cell as far as it was made of writes up to this stamp. */
  upTo(cell: Cell, upTo: Stamp): Cell
  /**
   * What was written up to `settledTo` put together, with all names that it has up to `upTo`. Homes that agree up to there
   * come to the same. Undefined: there is nothing to do.
   */
  putTogether(cell: Cell, upTo: Stamp, settledTo: Stamp): Cell | undefined
}

export interface ConflictRule {
  readonly kind: string
  /** May `write` and `merge` discard acknowledged values (into the ledger)? */
  readonly discards: boolean
  /**
   * Applies a write at a coordinator. `dot` is fresh; `memoryFrom` says since when its actor remembers
   * its own writes of this row (see `extendOwn`). Throws TOO_MANY_SIBLINGS, not applied.
   */
  write(base: Cell | undefined, write: WriteOperation, dot: Dot, memoryFrom: Stamp): WriteResult
  /** What the writer has seen once `write` is applied to `cell`; without: `seenAfter`. */
  seenAfter?(write: WriteOperation, cell: Cell): Seen
  merge(a: Cell, b: Cell): MergeResult
  /**
   * Of rules whose cells grow: what a write has added to `base`, as a cell that who has seen all before it merges to the
   * same. Undefined: only the whole cell says it.
   */
  deltaOf?(base: Cell, after: Cell, operation: OperationId): Cell | undefined
  /** Of rules whose cells gather what can be put together. */
  readonly gathering?: Gathering
  /** Encoded documents to give to a reader, in a deterministic order; more than one is a conflict. */
  read(cell: Cell): readonly Uint8Array[]
}

export const seenBy = (rule: ConflictRule, write: WriteOperation, cell: Cell): Seen =>
  rule.seenAfter === undefined ? seenAfter(write, cell) : rule.seenAfter(write, cell)

export const isWorthCollecting = ({ gathering }: ConflictRule, cell: Cell): boolean =>
  isCollectable(cell) || gathering?.isDue(cell) === true
