/**
 * Rule `crdt`: the cell of one field of a row that merges by itself, or of one element of a set.
 *
 * Mechanism: each write puts an atom under its dot, or takes away the atoms that its writer was shown; their dots stay in
 * the context. So merging is that of cells, and what a removal has not seen stays beside it (add wins).
 *
 * Retries. A write tried again through another coordinator is one operation under two dots: a reader counts operations,
 * not dots, and what a removal takes away it takes away under every dot (`cells/superseded.ts`). Additions do not take
 * the place of each other: were the second of two to take that of the first, a late try of the first could come back
 * after a removal of the second. So atoms gather until they are *settled*: every home has the same cell, none of its
 * operations is still being tried, and nothing older is on its way (`sweep/collector.ts`). Then all homes put them
 * together, each by itself and to the same bytes: additions become a sum under the last of their dots, and of puts the
 * last stays. Of two atoms under one dot the one that more was put into has the other in it.
 *
 * A last-write-wins value that lost is in the ledger, and its operation is not remembered: tried again, it is written anew.
 *
 * Invariants: a cell has atoms of one field; an operation counts once; what is put together is never added apart.
 * References: Almeida, Shoker, Baquero, *Delta state replicated data types* (2018), of dots with values that merge;
 * Brown et al., *Big(ger) Sets* (2016), of elements that are kept apart; Baquero et al., *Pure operation-based CRDTs*
 * (2017), of what is stable.
 */

import { assert } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import { compareStrings, type Incarnation, type OperationId, type Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Context, contextHas, extendOwn } from '../causality/context.ts'
import { type Cell, type CellValue, compareDots, type Dot, emptyCell, mergeCells } from '../cells/cell.ts'
import {
  type ConflictRule,
  type MergeResult,
  seenAfter,
  valueWritten,
  type WriteOperation,
  type WriteResult,
} from '../cells/conflict-rule.ts'
import { deltaWith } from '../cells/delta.ts'
import { type Document, encodeDocument } from '../cells/document.ts'
import { lwwRule } from '../cells/lww.ts'
import { writeBeside } from '../cells/siblings.ts'
import { mergeSeen, nothingSeen, type Seen } from '../cells/superseded.ts'
import { type Atom, decodeAtom, encodeAtom } from './atom.ts'
import { decodeFieldStep, type FieldStep } from './steps.ts'
import { updatesTogether } from './yjs-updates.ts'

const nothing: readonly CellValue[] = []

export const fieldRule: ConflictRule = {
  kind: 'crdt',
  // Of last-write-wins fields.
  discards: true,

  write(base: Cell = emptyCell, write: WriteOperation, dot: Dot, memoryFrom: Stamp): WriteResult {
    const isHere = base.values.some(value => value.operation === write.operation)
    if (isHere || base.superseded.includes(write.operation))
      return { cell: base, repeated: true, discarded: nothing }
    const step = stepOf(write)
    switch (step.op) {
      case 'take': {
        if (write.seen === undefined) refuseBlindRemoval()
        refuseOldContext(base, write.seen)
        return writeBeside(base, { ...write, value: undefined }, dot, memoryFrom)
      }
      case 'set':
        return lwwRule.write(base, withAtom(write, { kind: 'value', value: step.to }), dot, memoryFrom)
      case 'unset':
        return lwwRule.write(base, { ...write, value: undefined }, dot, memoryFrom)
      case 'increment':
        return added(base, withAtom(write, { kind: 'add', by: step.by }), dot, memoryFrom)
      case 'put':
        return added(base, withAtom(write, { kind: 'put' }), dot, memoryFrom)
      case 'edit':
        return added(base, withAtom(write, { kind: 'edit', update: step.update }), dot, memoryFrom)
    }
  },

  /** Who adds has seen nothing by that: else the context of an addition would grow with the others. */
  seenAfter(write: WriteOperation, cell: Cell): Seen {
    const { op } = stepOf(write)
    if (op === 'take' || op === 'unset') return seenAfter({ ...write, value: undefined }, cell)
    const own = cell.values.filter(value => value.operation === write.operation)
    return mergeSeen(write.seen ?? nothingSeen, { context: contextOf(own), operations: [] })
  },

  merge(a: Cell, b: Cell): MergeResult {
    if (kindOf(a) === 'value' || kindOf(b) === 'value') return lwwRule.merge(a, b)
    return { cell: mergeCells(a, b, moreOf), discarded: nothing }
  },

  read(cell: Cell): readonly Uint8Array[] {
    // Updates of a document are for the reader to merge: they may be more together than a value may be.
    const kind = kindOf(cell)
    if (kind === 'edit' || kind === 'merged') return updatesOf(cell.values).map(one => encodeDocument(one))
    const value = shownBy(cell)
    return value === undefined ? [] : [encodeDocument(value)]
  },

  deltaOf(base: Cell, after: Cell, operation: OperationId): Cell | undefined {
    const value = after.values.find(one => one.operation === operation)
    return value?.value === undefined || kindOf(after) === 'value' ? undefined : deltaWith(base, after, value)
  },

  gathering: {
    isDue(cell: Cell): boolean {
      return cell.values.length >= limits.atomsKept
    },
    upTo(cell: Cell, upTo: Stamp): Cell {
      const values = writtenUpTo(cell, upTo)
      return { ...emptyCell, context: contextOf(values), values }
    },
    putTogether,
  },
}

function stepOf({ value }: WriteOperation): FieldStep {
  const step = value === undefined ? undefined : decodeFieldStep(value)
  assert(step !== undefined, 'a step was checked where it came in')
  return step
}

const withAtom = (write: WriteOperation, atom: Atom): WriteOperation => ({
  ...write,
  value: encodeAtom(atom),
})

function added(base: Cell, write: WriteOperation, dot: Dot, memoryFrom: Stamp): WriteResult {
  const context = extendOwn(base.context, dot.actor, dot.stamp, memoryFrom)
  const values = [...base.values, valueWritten(write, dot)].sort(compareDots)
  return { cell: { ...base, context, values }, repeated: false, discarded: nothing }
}

function refuseBlindRemoval(): never {
  throw new QuorateError(
    'BAD_REQUEST',
    'a removal takes away what its writer was shown: it needs the context of a read',
    { data: { field: 'context' } },
  )
}

/** What was seen has become part of a sum that was not: it cannot be taken away by itself any more. */
function refuseOldContext({ values }: Cell, { context }: Seen): void {
  const isUnseenSum = ({ actor, stamp, value }: CellValue): boolean =>
    !contextHas(context, actor, stamp) && decodeAtom(value!).kind === 'sum'
  if (context.length > 0 && values.some(isUnseenSum))
    throw new QuorateError(
      'BAD_CONTEXT',
      'the context is too old: additions have been put together since; read again',
    )
}

/** Of the field that the cell is of; undefined when there is nothing in it. Only values are taken away by a write. */
function kindOf({ values }: Cell): Atom['kind'] | undefined {
  if (values.length === 0) return undefined
  const { value } = values[0]!
  return value === undefined ? 'value' : decodeAtom(value).kind
}

/** Two names of one addition are equal; of two sums, or an addition and a sum, one has the other in it. */
function moreOf(a: CellValue, b: CellValue): CellValue {
  return atomsIn(b) > atomsIn(a) ? b : a
}

function atomsIn({ value }: CellValue): number {
  const atom = decodeAtom(value!)
  return 'atoms' in atom ? atom.atoms : 1
}

const updatesOf = (values: readonly CellValue[]): Uint8Array[] =>
  values.flatMap(({ value }) => {
    const atom = decodeAtom(value!)
    return 'update' in atom ? [atom.update] : []
  })

/** What a reader sees of the field; undefined: nothing. */
function shownBy(cell: Cell): Document | undefined {
  switch (kindOf(cell)) {
    case undefined:
      return undefined
    case 'put':
      return true
    case 'value': {
      const { value } = cell.values.at(-1)!
      const last = value === undefined ? undefined : decodeAtom(value)
      return last?.kind === 'value' ? last.value : undefined
    }
    default:
      return numberOf(totalOf(cell.values).total)
  }
}

/** A number where it is exact. */
const numberOf = (total: bigint): number | bigint =>
  total >= Number.MIN_SAFE_INTEGER && total <= Number.MAX_SAFE_INTEGER ? Number(total) : total

function totalOf(values: readonly CellValue[]): { readonly total: bigint; readonly atoms: number } {
  const counted = new Set<OperationId>()
  let total = 0n
  let atoms = 0
  // From the last on: a sum stands under the name of the last addition in it.
  for (let at = values.length - 1; at >= 0; at--) {
    const { operation, value } = values[at]!
    const atom = decodeAtom(value!)
    atoms += atom.kind === 'sum' ? atom.atoms : 1
    if (counted.has(operation)) continue
    counted.add(operation)
    if (atom.kind === 'add') total += BigInt(atom.by)
    else if (atom.kind === 'sum') total += atom.total
  }
  return { total, atoms }
}

const writtenUpTo = ({ values }: Cell, upTo: Stamp): readonly CellValue[] =>
  values.filter(({ stamp }) => stamp <= upTo)

/** Just these dots. */
function contextOf(values: readonly CellValue[]): Context {
  const byActor = new Map<Incarnation, number[]>()
  // They lie in the order of their stamps.
  for (const { actor, stamp } of values) {
    const intervals = byActor.get(actor) ?? []
    if (intervals.at(-1) === stamp - 1) intervals[intervals.length - 1] = stamp
    else intervals.push(stamp, stamp)
    byActor.set(actor, intervals)
  }
  return [...byActor]
    .map(([actor, intervals]) => ({ actor, intervals }))
    .sort((a, b) => compareStrings(a.actor, b.actor))
}

/** What nobody tries any more, under all its names: these are older than `upTo`, or there are none to come. */
function putTogether(cell: Cell, upTo: Stamp, settledTo: Stamp): Cell | undefined {
  if (kindOf(cell) === 'value') return undefined
  const known = writtenUpTo(cell, upTo)
  const settled = new Set(known.filter(({ stamp }) => stamp <= settledTo).map(({ operation }) => operation))
  const together = known.filter(({ operation }) => settled.has(operation))
  const parts = new Set(together)
  const last = together.at(-1)
  if (last === undefined || together.length === 1) return undefined
  const value = oneFor(together)
  if (value === undefined) return undefined
  const values = cell.values.flatMap(one =>
    one === last ? [{ ...last, value }] : parts.has(one) ? [] : [one],
  )
  return { ...cell, values }
}

/** Undefined: they are too much for one. */
function oneFor(together: readonly CellValue[]): Uint8Array | undefined {
  const last = together.at(-1)!.value!
  const { kind } = decodeAtom(last)
  if (kind === 'put') return last
  if (kind !== 'edit' && kind !== 'merged') return encodeAtom({ kind: 'sum', ...totalOf(together) })
  const update = updatesTogether(updatesOf(together))
  if (update.length > limits.valueBytesMax - ENVELOPE_BYTES) return undefined
  const atoms = together.reduce((sum, value) => sum + atomsIn(value), 0)
  return encodeAtom({ kind: 'merged', update, atoms })
}

/** Of an atom, around what it holds. */
const ENVELOPE_BYTES = 64
