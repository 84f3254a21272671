/**
 * Rows that merge by themselves: steps applied where a write is coordinated, and what a reader is shown.
 *
 * Mechanism: each step is a change of a set of atoms under dots. Removals take away the atoms that they are shown: their
 * dots stay in the context, and what was added meanwhile elsewhere stays alive beside it. So removals win over what they
 * have seen and lose to what they have not (add wins), and merging is that of cells.
 *
 * Retries. A step has an operation of its own, made from that of its write. What a removal takes away it takes away under
 * every dot of that operation (`cells/superseded.ts`). Only removals do: were an addition to take the place of one that
 * is there, two that came to two replicas in either order, each tried at both, would take each other away. So an element
 * has as many atoms as additions, until these are settled. Additions to a counter are different: a coordinator keeps one
 * atom of its own per counter, so an atom goes whenever it is added to. The operation travels inside the atom instead,
 * and a reader counts each once, whichever coordinators have taken it.
 *
 * An operation is settled when every home has what there is of it, and it can come from nowhere else any more: then it
 * becomes part of a sum, or gives way to a later addition of the same element (`settle`).
 *
 * A last-write-wins value that lost is in the ledger, and its operation is not remembered: only writes may add to what a
 * cell has superseded, never merges. Tried again after that, it is written anew.
 *
 * Clearing a counter removes the atoms that are shown; who adds to its own atom meanwhile keeps all it has added.
 *
 * Invariants: an atom of a counter is changed by its own actor only; equal dots are equal atoms; an operation is counted
 * once.
 * References: Almeida, Shoker, Baquero, *Delta state replicated data types* (2018); Bieniusa et al., *An optimized
 * conflict-free replicated set* (2012); Baquero et al., *Pure operation-based CRDTs* (2017), for what is stable.
 */

import { assert } from '../base/assert.ts'
import { stringToU32, u32ToString, u64ToString } from '../base/bytes.ts'
import type { Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { extendOwn } from '../causality/context.ts'
import { type Cell, type CellValue, compareDots, type Dot, emptyCell, mergeCells } from '../cells/cell.ts'
import { canonicalDocument, compareDocuments, type Document } from '../cells/document.ts'
import { sortedOperations, uniteSuperseded } from '../cells/superseded.ts'
import type { Path, Row } from '../updates/update.ts'
import { type Atom, decodeAtom, encodeAtom } from './atom.ts'
import type { Fields, FieldType } from './fields.ts'
import type { MergeStep } from './steps.ts'

export interface MergeWrite {
  readonly operation: OperationId
  readonly steps: readonly MergeStep[]
}

export interface MergeWritten {
  readonly cell: Cell
  /** All of it was here already. */
  readonly repeated: boolean
}

interface Placed {
  readonly value: CellValue
  readonly atom: Atom
}

/** Applies a write at a coordinator. `mint` gives fresh dots of one actor; `memoryFrom` as for `ConflictRule.write`. */
export function applySteps(
  base: Cell = emptyCell,
  { operation, steps }: MergeWrite,
  mint: () => Dot,
  memoryFrom: Stamp,
): MergeWritten {
  let cell = base
  let repeated = true
  for (const [at, step] of steps.entries()) {
    const next = applyStep(cell, step, operationOfStep(operation, at), mint, memoryFrom)
    if (next === undefined) continue
    cell = next
    repeated = false
  }
  return { cell, repeated }
}

/** Undefined: it was applied before, here or where this cell comes from. */
function applyStep(
  cell: Cell,
  step: MergeStep,
  operation: OperationId,
  mint: () => Dot,
  memoryFrom: Stamp,
): Cell | undefined {
  const placed = cell.values.map(value => ({ value, atom: decodeAtom(value.value!) }))
  const at = placed.filter(({ atom }) => samePath(atom.path, step.path))
  if (step.op === 'increment') return incremented(cell, at, step, operation, mint(), memoryFrom)
  const wasApplied =
    cell.superseded.includes(operation) || cell.values.some(value => value.operation === operation)
  if (wasApplied) return undefined
  switch (step.op) {
    case 'enable':
      return withAtom(cell, { kind: 'flag', path: step.path }, operation, mint(), memoryFrom)
    case 'add': {
      const atom: Atom = { kind: 'or-set', path: step.path, element: step.element }
      return withAtom(cell, atom, operation, mint(), memoryFrom)
    }
    case 'set': {
      const values = cell.values.filter(value => !at.some(one => one.value === value))
      const atom: Atom = { kind: 'lww', path: step.path, value: step.to }
      return withAtom({ ...cell, values }, atom, operation, mint(), memoryFrom)
    }
    case 'disable':
      return without(cell, at)
    case 'remove':
      return without(
        cell,
        at.filter(({ atom }) => isElement(atom, step.element)),
      )
    case 'clear':
      return without(
        cell,
        placed.filter(({ atom }) => step.path.every((name, i) => atom.path[i] === name)),
      )
  }
}

function incremented(
  cell: Cell,
  at: readonly Placed[],
  { path, by }: MergeStep & { op: 'increment' },
  operation: OperationId,
  dot: Dot,
  memoryFrom: Stamp,
): Cell | undefined {
  const counters = at.map(({ atom }) => atom).filter(atom => atom.kind === 'counter')
  if (counters.some(({ added }) => added.some(([known]) => known === operation))) return undefined
  const own = at.filter(({ value }) => value.actor === dot.actor)
  let settled = 0
  const added: (readonly [OperationId, number])[] = []
  for (const { atom } of own) {
    assert(atom.kind === 'counter', 'a counter has atoms of counters', atom.kind)
    settled += atom.settled
    added.push(...atom.added)
  }
  added.push([operation, by])
  const values = cell.values.filter(value => !own.some(one => one.value === value))
  const atom: Atom = { kind: 'counter', path, settled, added }
  return withAtom({ ...cell, values }, atom, ownOperation(dot), dot, memoryFrom)
}

function withAtom(cell: Cell, atom: Atom, operation: OperationId, dot: Dot, memoryFrom: Stamp): Cell {
  return {
    ...cell,
    context: extendOwn(cell.context, dot.actor, dot.stamp, memoryFrom),
    values: sorted([...cell.values, { ...dot, operation, value: encodeAtom(atom) }]),
  }
}

/** Their dots stay in the context. */
function without(cell: Cell, gone: readonly Placed[]): Cell {
  if (gone.length === 0) return cell
  const values = cell.values.filter(value => !gone.some(one => one.value === value))
  const covered = gone.filter(({ atom }) => atom.kind !== 'counter').map(({ value }) => value)
  return { ...cell, values, superseded: uniteSuperseded(cell.superseded, sortedOperations(covered)) }
}

export interface MergedRows {
  readonly cell: Cell
  /** Values that a later one of their field has beaten without having seen them. */
  readonly discarded: readonly CellValue[]
}

/** As cells merge; of several values of a last-write-wins field the latest stays. */
export function mergeRows(a: Cell, b: Cell): MergedRows {
  const both = mergeCells(a, b)
  const latest = new Map<string, CellValue>()
  const discarded: CellValue[] = []
  for (const value of both.values) {
    const atom = decodeAtom(value.value!)
    if (atom.kind !== 'lww') continue
    const name = atom.path.join('\0')
    const before = latest.get(name)
    // Values stand in the order of their dots.
    if (before !== undefined) discarded.push(before)
    latest.set(name, value)
  }
  if (discarded.length === 0) return { cell: both, discarded }
  const cell = { ...both, values: both.values.filter(value => !discarded.includes(value)) }
  const operations = [...latest.values()].map(({ operation }) => operation)
  return { cell, discarded: discarded.filter(({ operation }) => !operations.includes(operation)) }
}

/** The row as a reader sees it; undefined: nothing was ever put in, or all is gone. Counters of nothing are 0. */
export function readRow(fields: Fields, cell: Cell): Row | undefined {
  if (cell.values.length === 0) return undefined
  const atoms = cell.values.map(value => decodeAtom(value.value!))
  return readFields(fields, atoms, 0)
}

function readFields(fields: Fields, atoms: readonly Atom[], depth: number): Record<string, Document> {
  const out: Record<string, Document> = {}
  for (const [name, type] of Object.entries(fields)) {
    const below = atoms.filter(({ path }) => path[depth] === name)
    const value = readType(type, below, depth + 1)
    if (value !== undefined) out[name] = value
  }
  return out
}

function readType(type: FieldType, atoms: readonly Atom[], depth: number): Document | undefined {
  if (typeof type === 'object') {
    if ('fields' in type) return readFields(type.fields, atoms, depth)
    const names = [...new Set(atoms.map(({ path }) => path[depth]!))].sort()
    return readFields(Object.fromEntries(names.map(name => [name, type.of])), atoms, depth)
  }
  switch (type) {
    case 'counter':
      return totalOf(atoms)
    case 'flag':
      return atoms.length > 0
    case 'or-set':
      return elementsOf(atoms)
    case 'lww': {
      const last = atoms.at(-1)
      return last?.kind === 'lww' ? last.value : undefined
    }
  }
}

/** Additions in one order everywhere: sums of fractions depend on it. */
function totalOf(atoms: readonly Atom[]): number {
  const additions = new Map<OperationId, number>()
  let total = 0
  for (const atom of atoms) {
    if (atom.kind !== 'counter') continue
    total += atom.settled
    for (const [operation, by] of atom.added) additions.set(operation, by)
  }
  for (const operation of [...additions.keys()].sort()) total += additions.get(operation)!
  return total
}

function elementsOf(atoms: readonly Atom[]): ReadonlySet<Document> {
  const elements = atoms
    .flatMap(atom => (atom.kind === 'or-set' ? [canonicalDocument(atom.element)] : []))
    .sort(compareDocuments)
  return new Set(
    elements.filter((element, i) => i === 0 || compareDocuments(elements[i - 1]!, element) !== 0),
  )
}

/**
 * The row with what is settled put together: additions to the actor's own counters become part of their sums, each under
 * a new dot of it, and of the settled additions of one element the last stays. Undefined: there is nothing to do.
 */
export function settle(
  cell: Cell,
  actor: Incarnation,
  isSettled: (operation: OperationId) => boolean,
  mint: () => Dot,
  memoryFrom: Stamp,
): Cell | undefined {
  const placed = cell.values.map(value => ({ value, atom: decodeAtom(value.value!) }))
  const isDoubled = ({ value, atom }: Placed, at: number): boolean =>
    (atom.kind === 'or-set' || atom.kind === 'flag') &&
    isSettled(value.operation) &&
    placed.slice(at + 1).some(later => isSameThing(atom, later.atom))
  const doubled = placed.filter(isDoubled).map(({ value }) => value)
  let out =
    doubled.length === 0 ? cell : { ...cell, values: cell.values.filter(one => !doubled.includes(one)) }
  for (const { value, atom } of placed) {
    if (value.actor !== actor || atom.kind !== 'counter') continue
    const added = atom.added.filter(([operation]) => !isSettled(operation))
    if (added.length === atom.added.length) continue
    const sum = atom.added.reduce(
      (total, [operation, by]) => (isSettled(operation) ? total + by : total),
      atom.settled,
    )
    const dot = mint()
    const values = out.values.filter(other => other !== value)
    out = withAtom({ ...out, values }, { ...atom, settled: sum, added }, ownOperation(dot), dot, memoryFrom)
  }
  return out === cell ? undefined : out
}

const isSameThing = (a: Atom, b: Atom): boolean =>
  samePath(a.path, b.path) && (a.kind === 'or-set' ? isElement(b, a.element) : b.kind === a.kind)

const samePath = (a: Path, b: Path): boolean => a.length === b.length && a.every((name, i) => name === b[i])

const isElement = (atom: Atom, element: Document): boolean =>
  atom.kind === 'or-set' && compareDocuments(atom.element, element) === 0

const sorted = (values: CellValue[]): CellValue[] => values.sort(compareDots)

/** Bytes of an operation's name before the last four. */
const STEM_BYTES = 12

/** The same in every try of the write; other steps, and other writes, have others. */
export function operationOfStep(operation: OperationId, at: number): OperationId {
  if (at === 0) return operation
  const last = (stringToU32(operation, STEM_BYTES) + at) >>> 0
  return (operation.slice(0, STEM_BYTES) + u32ToString(last)) as OperationId
}

/** Of atoms that are not covered by operation: a name that no write has. */
const ownOperation = ({ actor, stamp }: Dot): OperationId => (actor + u64ToString(stamp)) as OperationId
