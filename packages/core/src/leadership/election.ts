/**
 * Who may lead next: an election is a read of the log. Pure.
 *
 * Every committed entry has k durable copies among N replicas, so of any N − k + 1 replicas one has it; the one
 * whose last entry has the greatest (epoch, position) has all of them (`acknowledgement.ts` says why the epoch comes
 * first). Under `in-sync` every member of the set has all, so one of them is enough. Whoever answers has first made
 * durable that it takes nothing of older epochs any more: else an old leader could have entries committed behind the
 * back of the reader.
 *
 * A replica that was emptied answers, too: it makes the promise, and its log counts for nothing.
 *
 * With fewer answers a successor may lack committed entries: that election is unclean, never made by itself, and
 * says what may be lost.
 * References: PacificA (2008); Kafka KIP-966; Raft (2014), §5.4.1.
 */

import { compareStrings, type NodeId } from '../base/ids.ts'
import { type AckRule, readersNeeded, votesNeeded } from './acknowledgement.ts'
import { beforeAll, comparePoints, type LogPoint } from './epoch-history.ts'

/** A replica that has fenced older epochs, and the end of its log. */
export interface Vote {
  readonly node: NodeId
  readonly end: LogPoint
  /**
   * It was emptied, and its log is not what it once had: it promises to hear no older leader, and tells nothing of what
   * was committed.
   */
  readonly isEmptied?: boolean | undefined
}

export interface ElectionQuestion {
  readonly rule: AckRule
  readonly replicas: readonly NodeId[]
  /** As the register has it. */
  readonly inSync: readonly NodeId[]
  readonly votes: readonly Vote[]
  /** Whom to take among equals, first to last. */
  readonly preferred: readonly NodeId[]
}

export type Election =
  | { readonly kind: 'clean'; readonly leader: NodeId; readonly end: LogPoint }
  | {
      readonly kind: 'short'
      /** Answers still needed, and who could give them. */
      readonly missing: number
      readonly from: readonly NodeId[]
      /** Who an unclean election would take; undefined when nobody answered. */
      readonly best: Vote | undefined
    }

export function elect({ rule, replicas, inSync, votes, preferred }: ElectionQuestion): Election {
  const known = new Map(votes.filter(({ node }) => replicas.includes(node)).map(vote => [vote.node, vote]))
  const voters = rule.ack === 'in-sync' ? replicas.filter(node => inSync.includes(node)) : replicas
  const promised = voters.filter(node => known.has(node))
  const whole = promised.map(node => known.get(node)!).filter(({ isEmptied }) => isEmptied !== true)
  const missing = Math.max(votesNeeded(rule) - promised.length, readersNeeded(rule) - whole.length)
  if (missing <= 0) {
    const leader = bestOf(whole, preferred)!
    return { kind: 'clean', leader: leader.node, end: leader.end }
  }
  return {
    kind: 'short',
    missing,
    from: voters.filter(node => !whole.some(vote => vote.node === node)),
    best: bestOf(
      [...known.values()].filter(({ isEmptied }) => isEmptied !== true),
      preferred,
    ),
  }
}

/** The election of a partition that moves: clean when it is so in each of its sets, among all that answered. */
export function electOver(
  sets: readonly (readonly NodeId[])[],
  question: Omit<ElectionQuestion, 'replicas'>,
): Election {
  const { rule, votes, preferred } = question
  const elections = sets.map(replicas =>
    elect({ ...question, rule: { ...rule, n: replicas.length }, replicas }),
  )
  const short = elections.find(election => election.kind === 'short')
  if (short !== undefined) return short
  const members = new Set(sets.flat())
  const best = bestOf(
    votes.filter(({ node, isEmptied }) => members.has(node) && isEmptied !== true),
    preferred,
  )!
  return { kind: 'clean', leader: best.node, end: best.end }
}

function bestOf(votes: readonly Vote[], preferred: readonly NodeId[]): Vote | undefined {
  const rank = (node: NodeId): number =>
    preferred.includes(node) ? preferred.indexOf(node) : preferred.length
  const order = (a: Vote, b: Vote): number =>
    comparePoints(b.end, a.end) || rank(a.node) - rank(b.node) || compareStrings(a.node, b.node)
  return [...votes].sort(order)[0]
}

export interface PossibleLoss {
  /** Everything behind this entry may be lost. */
  readonly after: LogPoint
  /** The furthest end that anyone has told of since; what was not told of may be lost too. */
  readonly upTo: LogPoint
  /** Replicas that did not answer: what is lost here may be on their disks, and goes to the ledger when they return. */
  readonly onlyOn: readonly NodeId[]
}

/** What an unclean election of the best who answered gives up. `told`: ends heard of before, by gossip or lag reports. */
export function lossOf(question: ElectionQuestion, told: readonly LogPoint[]): PossibleLoss {
  const election = elect(question)
  const after = election.kind === 'clean' ? election.end : (election.best?.end ?? beforeAll)
  const upTo = told.reduce((most, end) => (comparePoints(end, most) > 0 ? end : most), after)
  const heard = new Set(question.votes.map(({ node }) => node))
  return { after, upTo, onlyOn: question.replicas.filter(node => !heard.has(node)) }
}
