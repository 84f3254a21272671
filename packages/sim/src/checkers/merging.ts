/**
 * Rows that merge by themselves, against what was done to them, by the history alone.
 *
 *   conservation   a counter is the sum of the additions that were acknowledged and of some of those whose outcome is
 *                  unknown, each once
 *   or-set         an element that was added and that no removal can have seen is there; one whose only addition was
 *                  acknowledged before a removal looked, is not, if that removal was acknowledged; none is there that was
 *                  never added
 *   last value     what stands in a field was set there
 *
 * Where disks were destroyed acknowledged writes may be gone with them: only what is there without ever having been done
 * is wrong then.
 */

import type { MergingOperation, MergingRow } from '../workloads/merging-clients.ts'
import type { Violation } from './evidence.ts'

export interface MergingEvidence {
  readonly operations: readonly MergingOperation[]
  readonly final: ReadonlyMap<string, MergingRow>
  readonly destroyed: boolean
  /** A removal looks at enough replicas to see every addition that was acknowledged. */
  readonly overlaps: boolean
}

/** Unknown additions whose part in a sum is worked out; of more, only the bounds. */
const UNKNOWN_MAX = 30

export function checkMerging(evidence: MergingEvidence): Violation[] {
  const violations: Violation[] = []
  for (const [key, row] of evidence.final) {
    const done = evidence.operations.filter(operation => operation.key === key)
    violations.push(
      ...checkSum(key, row, done, evidence),
      ...checkSets(key, row, done, evidence),
      ...checkValue(key, row, done),
    )
  }
  return violations
}

const isDone = ({ outcome }: MergingOperation): boolean => outcome === 'ok'
const mayBeDone = ({ outcome }: MergingOperation): boolean => outcome !== 'failed'

function checkSum(
  key: string,
  row: MergingRow,
  done: readonly MergingOperation[],
  { destroyed }: MergingEvidence,
): Violation[] {
  const sizes = (which: (operation: MergingOperation) => boolean): number[] =>
    done.flatMap(operation =>
      operation.step.op === 'increment' && which(operation) ? [operation.step.by] : [],
    )
  const sum = (all: readonly number[]): number => all.reduce((total, by) => total + by, 0)
  const acknowledged = sizes(isDone)
  const unknown = sizes(operation => mayBeDone(operation) && !isDone(operation))
  const total = Number(row.sum)
  const left = total - sum(acknowledged)
  const message = (what: string): Violation[] => [
    {
      checker: 'conservation',
      message: `${key}.sum is ${total}: ${what} (${acknowledged.length} acknowledged additions make ${sum(acknowledged)}, ${unknown.length} are unknown)`,
    },
  ]
  if (total > sum(acknowledged) + sum(unknown)) return message('something counted twice')
  if (destroyed) return []
  if (left < 0) return message('an acknowledged addition is missing')
  if (unknown.length <= UNKNOWN_MAX && !isSumOfSome(left, unknown))
    return message(`no choice of the unknown ones makes the remaining ${left}`)
  return []
}

/** Meets in the middle: 2 × 2^15 sums at the most. */
export function isSumOfSome(total: number, of: readonly number[]): boolean {
  const half = Math.floor(of.length / 2)
  const left = sumsOf(of.slice(0, half))
  return [...sumsOf(of.slice(half))].some(sum => left.has(total - sum))
}

function sumsOf(of: readonly number[]): Set<number> {
  let sums = [0]
  for (const by of of) sums = sums.concat(sums.map(sum => sum + by))
  return new Set(sums)
}

function checkSets(
  key: string,
  row: MergingRow,
  done: readonly MergingOperation[],
  evidence: MergingEvidence,
): Violation[] {
  const violations: Violation[] = []
  const elements = new Map<string, { readonly isThere: boolean }>()
  for (const element of row.once) elements.set(JSON.stringify([['once'], element]), { isThere: true })
  for (const [name, set] of Object.entries(row.shared))
    for (const element of set) elements.set(JSON.stringify([['shared', name], element]), { isThere: true })
  for (const { step } of done)
    if (step.op === 'add') {
      const name = JSON.stringify([step.path, step.element])
      if (!elements.has(name)) elements.set(name, { isThere: false })
    }
  for (const [name, { isThere }] of elements) {
    const of = (op: string): MergingOperation[] =>
      done.filter(
        ({ step }) =>
          step.op === op && 'element' in step && JSON.stringify([step.path, step.element]) === name,
      )
    const why = whyWrong(isThere, of('add'), of('remove'), evidence)
    if (why !== undefined) violations.push({ checker: 'or-set', message: `${key} ${name}: ${why}` })
  }
  return violations
}

function whyWrong(
  isThere: boolean,
  adds: readonly MergingOperation[],
  removes: readonly MergingOperation[],
  { destroyed, overlaps }: MergingEvidence,
): string | undefined {
  if (isThere && !adds.some(mayBeDone)) return 'it is there, and nobody added it'
  if (destroyed) return undefined
  const lastLook = Math.max(...removes.filter(mayBeDone).map(({ lookedMs }) => lookedMs))
  const unseen = adds.find(add => isDone(add) && add.callMs > lastLook)
  if (!isThere && unseen !== undefined)
    return `it is gone, though it was added at ${unseen.callMs} and no removal can have seen that`
  const surely = removes.filter(isDone).map(({ lookMs }) => lookMs)
  const isTaken = (add: MergingOperation): boolean =>
    isDone(add) && add.returnMs !== undefined && surely.some(lookMs => lookMs > add.returnMs!)
  const possible = adds.filter(mayBeDone)
  if (isThere && overlaps && possible.every(isTaken))
    return 'it is there, though a removal that was acknowledged had seen every addition'
  return undefined
}

function checkValue(key: string, row: MergingRow, done: readonly MergingOperation[]): Violation[] {
  if (row.name === undefined) return []
  const set = done.some(({ step }) => step.op === 'set' && step.to === row.name)
  return set ? [] : [{ checker: 'last-value', message: `${key}.name is ${row.name}, which nobody set` }]
}
