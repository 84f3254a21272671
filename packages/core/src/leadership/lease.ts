/**
 * How long a leader may believe that it is the only one. Pure.
 *
 * Problem: a leader that was paused or cut off answers reads from what was true before another was elected.
 * Mechanism: whoever acknowledges a leader's message promises, from the moment it came, to answer no election for
 * `leaseMs` by its own clock. The leader counts from the moment it *sent* the message, by its own clock, and less by
 * what clocks may drift apart meanwhile. It needs the promises of so many replicas that any set of answers that makes an
 * election clean has one of them in it (`votesNeeded`); under `in-sync` those of all members of the set.
 *
 * Invariants: no clocks are compared, only spans; a promise is durable neither here nor there: a replica that starts
 * anew answers nothing for `leaseMs`; an old leader's lease has ended before the answers to a challenger are complete.
 * References: Gray, Cheriton, "Leases" (SOSP 1989); CockroachDB store liveness; Ongaro's dissertation (2014), §6.4.1.
 */

import type { NodeId } from '../base/ids.ts'
import { type AckRule, votesNeeded } from './acknowledgement.ts'

/**
 * Two clocks run at most so unevenly, each to one side. Quartz does a thousandth of it; a virtual machine that is short of
 * processor time, and catches up, comes near.
 */
export const CLOCK_DRIFT_SHARE = 0.04

export interface LeaseSupport {
  /** By replica: when the newest message that it has acknowledged was sent. The leader's own is now. In ms, monotonic. */
  readonly sentMs: ReadonlyMap<NodeId, number>
  readonly inSync: readonly NodeId[]
  /** The homes; while the partition moves, the old and the new ones. Default: all of `sentMs`. */
  readonly sets?: readonly (readonly NodeId[])[] | undefined
}

/** Up to when, by the leader's monotonic clock; before the first support: in the past. */
export function leaseUntilMs(
  rule: AckRule,
  { sentMs, inSync, sets = [[...sentMs.keys()]] }: LeaseSupport,
  leaseMs: number,
): number {
  const since = Math.min(
    ...sets.map(set => supportedSince({ ...rule, n: set.length }, set, { sentMs, inSync })),
  )
  return since === 0 ? Number.NEGATIVE_INFINITY : since + leaseMs * (1 - 2 * CLOCK_DRIFT_SHARE)
}

/** The moment since which enough of one set have promised to vote for nobody else; 0: never. */
function supportedSince(
  rule: AckRule,
  set: readonly NodeId[],
  { sentMs, inSync }: Pick<LeaseSupport, 'sentMs' | 'inSync'>,
): number {
  const sinceOf = (node: NodeId): number => sentMs.get(node) ?? 0
  if (rule.ack === 'in-sync') return Math.min(...set.filter(node => inSync.includes(node)).map(sinceOf))
  const newestFirst = set.map(sinceOf).sort((a, b) => (a === b ? 0 : b - a))
  return newestFirst[rule.n - votesNeeded(rule)] ?? 0
}

/** May this replica answer an election? `supportedMs`: when the last message of a leader came, or its process began. */
export function mayVote(nowMs: number, supportedMs: number, leaseMs: number): boolean {
  return nowMs >= supportedMs + leaseMs
}
