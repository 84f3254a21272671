/**
 * Superseded operations: what lets a deletion cover a write that it has seen under one of its names only.
 *
 * Problem: a put that was tried again through a second coordinator is one operation with two dots. Who read
 * it saw one of them, say, while the first coordinator was cut off with the other. A context covers dots, so
 * the unseen one is concurrent with a delete that had seen the very same value, and would bring it back.
 * Mechanism: a write that supersedes values remembers the *operations* it superseded, and what its writer had
 * been told of earlier ones, in its cell. Merging unites these sets and drops every value whose operation is
 * in them, whatever its dot. Only writes add to the set, never merges: a set that merges could grow by
 * themselves would depend on their order. Contexts handed to clients carry operations for the same reason:
 * the coordinator of the delete may never have held the value.
 *
 * Bounds: a cell keeps the newest `limits.supersededMax` (operation ids begin with the time they were made),
 * the same ones whatever the order of merging, so that replicas of a busy row stay byte-equal. Past that bound a
 * value may be dropped in one order of merging and not in another; replicas still converge, since whoever dropped
 * it covers its dot. The collector empties the set by evidence, once every home has the same bytes and nothing older can arrive
 * (`sweep/collector.ts`). Rule `lww` keeps none: there the later stamp wins, and the loser is in the ledger.
 */

import type { OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Context, mergeContexts } from '../causality/context.ts'
import type { Cell } from './cell.ts'

/** What a reader was shown of a row, for the write that builds on it. */
export interface Seen {
  readonly context: Context
  /** Operations whose values, under whatever dot, are thereby seen; ascending, distinct. */
  readonly operations: readonly OperationId[]
}

const none: readonly OperationId[] = []

export const nothingSeen: Seen = { context: [], operations: none }

export function seenOf(cell: Cell): Seen {
  const { context, values, superseded } = cell
  return { context, operations: uniteOperations(superseded, sortedOperations(values)) }
}

export function mergeSeen(a: Seen, b: Seen): Seen {
  return {
    context: mergeContexts(a.context, b.context),
    operations: uniteOperations(a.operations, b.operations),
  }
}

/** What a cell keeps of two sets. */
export function uniteSuperseded(
  a: readonly OperationId[],
  b: readonly OperationId[],
): readonly OperationId[] {
  const all = uniteOperations(a, b)
  return all.length <= limits.supersededMax ? all : all.slice(-limits.supersededMax)
}

/** Union of two ascending lists without doubles. */
export function uniteOperations(
  a: readonly OperationId[],
  b: readonly OperationId[],
): readonly OperationId[] {
  if (b.length === 0) return a
  if (a.length === 0) return b
  const out: OperationId[] = []
  let j = 0
  for (const operation of a) {
    while (j < b.length && b[j]! < operation) out.push(b[j++]!)
    if (b[j] === operation) j++
    out.push(operation)
  }
  while (j < b.length) out.push(b[j++]!)
  return out
}

/** The operations of some values, ascending and distinct. */
export function sortedOperations(
  values: readonly { readonly operation: OperationId }[],
): readonly OperationId[] {
  if (values.length === 0) return none
  if (values.length === 1) return [values[0]!.operation]
  return [...new Set(values.map(value => value.operation))].sort()
}
