/**
 * How many copies of an entry exist before its writer hears "committed", and how far a leader's log is committed.
 *
 *   all      every replica: one that is down stops writes
 *   in-sync  every member of the in-sync set, which has `minInSync` members at least
 *   majority more than half
 *   one      the leader and one follower (semi-synchronous)
 *   none     the leader alone (asynchronous)
 *
 * Copies are durable ones, and the leader's is one of them. An entry counts as committed by its copies only when
 * the leader's own epoch wrote it: one of an older epoch that lies on enough replicas can still lose an election to
 * a log with a newer epoch, and is committed by what its leader writes behind it.
 *
 * Invariants: the committed position never goes back within an epoch; with the in-sync set below `minInSync` it
 * stands still; what is committed survives every election that `election.ts` calls clean.
 * References: Ongaro, Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014), §5.4.2;
 * Kafka KIP-966 (strict minimum of the in-sync set); Lin et al., PacificA (2008).
 */

import { assert } from '../base/assert.ts'
import type { NodeId } from '../base/ids.ts'

export const ACKNOWLEDGEMENTS = ['all', 'in-sync', 'majority', 'one', 'none'] as const
export type Acknowledgement = (typeof ACKNOWLEDGEMENTS)[number]

export interface AckRule {
  readonly ack: Acknowledgement
  /** Replicas of a partition. */
  readonly n: number
  /** Of `in-sync`: fewer members refuse writes; 1 ≤ minInSync ≤ n. */
  readonly minInSync: number
}

/** Copies that every committed entry has, the leader's included; for `in-sync` the least. */
export function copiesPromised({ ack, n, minInSync }: AckRule): number {
  switch (ack) {
    case 'all':
      return n
    case 'in-sync':
      return minInSync
    case 'majority':
      return Math.floor(n / 2) + 1
    case 'one':
      return Math.min(2, n)
    case 'none':
      return 1
  }
}

/** Logs that are read in a clean election: one of them has every committed entry. Each member of the in-sync set has. */
export function readersNeeded(rule: AckRule): number {
  return rule.ack === 'in-sync' ? 1 : Math.max(1, rule.n - copiesPromised(rule) + 1)
}

/**
 * Replicas that promise to hear no older leader, the readers among them: more than half, so that two elections, or an
 * election and a lease, always share one. Of the in-sync set one is enough, since a lease needs all of it.
 */
export function votesNeeded(rule: AckRule): number {
  if (rule.ack === 'in-sync') return 1
  return Math.max(readersNeeded(rule), Math.floor(rule.n / 2) + 1)
}

/** Why N replicas cannot give what is asked; undefined when they can. */
export function whyImpossible({ ack, n, minInSync }: AckRule): string | undefined {
  if (ack === 'one' && n < 2) return 'ack "one" waits for a follower, and a table with n=1 has none'
  if (ack !== 'in-sync') return undefined
  if (!Number.isInteger(minInSync) || minInSync < 1) return `minInSync is ${minInSync}: at least 1 is meant`
  if (minInSync > n) return `minInSync is ${minInSync}, and there are only n=${n} replicas`
  return undefined
}

export interface LogProgress {
  /** The last position that each replica, the leader among them, has durably in the leader's log. */
  readonly matched: ReadonlyMap<NodeId, number>
  /** As the register has it; while it changes, the members of before and after. */
  readonly inSync: readonly NodeId[]
  /** First position that the leader's own epoch wrote. */
  readonly epochFrom: number
  readonly committed: number
}

/** How far the log is committed under the rule. */
export function committedTo(rule: AckRule, progress: LogProgress): number {
  const { matched, inSync, epochFrom, committed } = progress
  const reached =
    rule.ack === 'in-sync' ? inSyncTo(rule, matched, inSync) : copiedTo(copiesPromised(rule), matched)
  return reached >= epochFrom ? Math.max(committed, reached) : committed
}

/** The same for a partition that moves: what is committed has its copies in each of the sets. */
export function committedOver(
  sets: readonly (readonly NodeId[])[],
  rule: AckRule,
  progress: LogProgress,
): number {
  const positions = sets.map(set => {
    const matched = new Map(set.map(node => [node, progress.matched.get(node) ?? 0]))
    const inSync = progress.inSync.filter(node => set.includes(node))
    return committedTo({ ...rule, n: set.length }, { ...progress, matched, inSync })
  })
  return Math.min(...positions)
}

function inSyncTo(
  { minInSync }: AckRule,
  matched: LogProgress['matched'],
  inSync: readonly NodeId[],
): number {
  if (inSync.length < minInSync) return 0
  return Math.min(...inSync.map(node => matched.get(node) ?? 0))
}

/** The greatest position that so many replicas have. */
function copiedTo(copies: number, matched: LogProgress['matched']): number {
  const positions = [...matched.values()].sort((a, b) => b - a)
  assert(copies >= 1, 'one copy at least', copies)
  return positions[copies - 1] ?? 0
}
