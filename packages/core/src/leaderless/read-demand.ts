/**
 * What a session demands of a read beside its number of answers (leaderless/read-flow.ts asks further replicas until it
 * is met, or there is nobody left to ask). Pure.
 *
 * Collected rows. The writes that a session has seen may have been deleted since, and the tombstone collected: then no
 * replica shows them, and none ever will. What is missing is excused when every home has answered, none of them has it,
 * and each of them says that its partition has been collected past it: a collection only removes what every home had. A
 * home that has lost rows, or came after the collection, says no such thing (losses.ts).
 */

import type { Stamp } from '../base/ids.ts'
import { type Context, contextCovers, mergeContexts } from '../causality/context.ts'
import { decodeCell } from '../cells/cell-codec.ts'

export interface ReadDemand {
  /** Writes of the row that the answer must reflect. */
  readonly context: Context
  /** Fallbacks are not asked: what is settled is on homes. */
  readonly homesOnly: boolean
  /** The reply waits until the homes that answered hold what it shows. */
  readonly repairs: boolean
}

export interface DemandedAnswer {
  readonly cell: Uint8Array | undefined
  readonly fallback: boolean
  readonly collected: Stamp
}

/** Do these answers show all that is demanded? `homes`: how many the row has. */
export function isMet(demand: ReadDemand, answers: readonly DemandedAnswer[], homes: number): boolean {
  if (demand.context.length === 0) return true
  let shown: Context = []
  for (const { cell } of answers) {
    if (cell !== undefined) shown = mergeContexts(shown, decodeCell(cell).context)
    if (contextCovers(shown, demand.context)) return true
  }
  const fromHomes = answers.filter(({ fallback }) => !fallback)
  if (fromHomes.length < homes) return false
  const collected = Math.min(...fromHomes.map(answer => answer.collected))
  const left = demand.context.map(({ actor, intervals }) => ({
    actor,
    intervals: after(intervals, collected),
  }))
  return contextCovers(
    shown,
    left.filter(({ intervals }) => intervals.length > 0),
  )
}

/** What of these intervals lies behind a stamp. */
function after(intervals: readonly number[], stamp: number): readonly number[] {
  const out: number[] = []
  for (let at = 0; at < intervals.length; at += 2)
    if (intervals[at + 1]! > stamp) out.push(Math.max(intervals[at]!, stamp + 1), intervals[at + 1]!)
  return out
}
