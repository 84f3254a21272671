/**
 * Who leads a partition, as its register has it, and the changes that may be made to it. Pure: each function is a
 * compare-and-set's change, gets what the register has now, and may run more than once.
 *
 * Invariants: an epoch has one leader, and the next one a greater number; the in-sync set is of replicas, with the
 * leader in it, and changes within an epoch only by its leader; an election stands on answers to this very epoch,
 * which are kept in the record as its evidence. A leader acts by a set only when the register has it: the smaller
 * one before it commits without those who left, the larger one from the moment it asks for it (then both count).
 * References: PacificA (2008), reconfiguration; Kafka KIP-497 (AlterPartition), KIP-966.
 */

import { assert } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import type { NodeId } from '../base/ids.ts'
import type { AckRule } from './acknowledgement.ts'
import { electOver, type PossibleLoss, type Vote } from './election.ts'
import type { LogPoint } from './epoch-history.ts'

/** Why a leader is one. */
export type Evidence =
  | { readonly kind: 'created' }
  | { readonly kind: 'elected'; readonly votes: readonly Vote[] }
  /** Handed over by the leader of the epoch before, with everything it had. */
  | { readonly kind: 'handed-over'; readonly by: NodeId; readonly end: LogPoint }
  /** By a plan that said what may be lost. */
  | {
      readonly kind: 'unclean'
      readonly plan: string
      readonly votes: readonly Vote[]
      readonly loss: PossibleLoss
    }

/** What the register keeps beside the homes of the partition. */
export interface Lead {
  /** Undefined: nobody leads, and writes wait. */
  readonly leader: NodeId | undefined
  /** 1 for the first leader. */
  readonly epoch: number
  readonly inSync: readonly NodeId[]
  readonly evidence: Evidence
  /** The last epoch that began by an unclean election; 0: none has. What older epochs committed may be lost. */
  readonly unclean: number
}

export interface Leadership extends Lead {
  readonly replicas: readonly NodeId[]
  /** While the partition moves, its old and its new homes: what is asked of replicas is asked of each set. */
  readonly sets?: readonly (readonly NodeId[])[] | undefined
}

/** A change that is not made, and why: someone was first, or it may not be. */
export type Refusal = string

export function firstLeadership(replicas: readonly NodeId[], leader: NodeId): Leadership {
  assert(replicas.includes(leader), 'a leader is a replica', { leader })
  return { leader, epoch: 1, replicas, inSync: replicas, evidence: { kind: 'created' }, unclean: 0 }
}

export interface Challenge {
  readonly rule: AckRule
  /** The epoch that the votes were asked under: what the register had then. */
  readonly seenEpoch: number
  readonly votes: readonly Vote[]
  readonly preferred: readonly NodeId[]
}

/** The next epoch under whoever the votes make leader. */
export function elected(
  now: Leadership,
  { rule, seenEpoch, votes, preferred }: Challenge,
): Leadership | Refusal {
  if (now.epoch !== seenEpoch)
    return `the votes were asked in epoch ${seenEpoch}, and epoch ${now.epoch} has begun since`
  const { replicas, sets = [replicas], inSync } = now
  const homes = { ...now, replicas: [...new Set(sets.flat())] }
  const found = electOver(sets, { rule, inSync, votes, preferred })
  if (found.kind === 'short') return `${found.missing} more of ${found.from.join(', ')} must answer`
  return begin(homes, found.leader, { kind: 'elected', votes })
}

/** By the leader alone, when `to` has everything it has, and it takes no more writes itself. */
export function handedOver(
  now: Leadership,
  by: { readonly node: NodeId; readonly epoch: number; readonly end: LogPoint },
  to: NodeId,
): Leadership | Refusal {
  if (now.leader !== by.node || now.epoch !== by.epoch) return notLeader(now, by)
  if (!now.replicas.includes(to)) return `${to} does not count as a home of the partition now`
  if (!now.inSync.includes(to)) return `${to} is not in sync: it has not everything that ${by.node} has`
  return begin(now, to, { kind: 'handed-over', by: by.node, end: by.end })
}

export function electedUncleanly(
  now: Leadership,
  challenge: Challenge,
  to: NodeId,
  plan: string,
  loss: PossibleLoss,
): Leadership | Refusal {
  if (now.epoch !== challenge.seenEpoch) return `plan ${plan} is stale: epoch ${now.epoch} has begun since`
  if (!challenge.votes.some(({ node }) => node === to)) return `${to} has not answered`
  if (!now.replicas.includes(to)) return `${to} does not count as a home of the partition now`
  // Of the others nobody knows what they have: they come back into the set when they have caught up.
  return {
    ...begin(now, to, { kind: 'unclean', plan, votes: challenge.votes, loss }),
    inSync: [to],
    unclean: now.epoch + 1,
  }
}

function begin(now: Leadership, leader: NodeId, evidence: Evidence): Leadership {
  assert(now.replicas.includes(leader), 'a leader is a replica', { leader })
  const inSync = now.inSync.includes(leader) ? now.inSync : [...now.inSync, leader]
  return { ...now, leader, epoch: now.epoch + 1, inSync, evidence }
}

/** The in-sync set that a leader wants, within its epoch. */
export function withInSync(
  now: Leadership,
  by: { readonly node: NodeId; readonly epoch: number },
  inSync: readonly NodeId[],
): Leadership | Refusal {
  if (now.leader !== by.node || now.epoch !== by.epoch) return notLeader(now, by)
  const stranger = inSync.find(node => !now.replicas.includes(node))
  if (stranger !== undefined) return `${stranger} is no replica of the partition`
  if (!inSync.includes(by.node)) return `${by.node} leads and is in sync with itself`
  return { ...now, inSync: now.replicas.filter(node => inSync.includes(node)) }
}

const notLeader = ({ leader, epoch }: Leadership, by: { node: NodeId; epoch: number }): Refusal =>
  `${by.node} led epoch ${by.epoch}; ${leader ?? 'nobody'} leads epoch ${epoch} now`

/** Ids that a leader gives out: no two epochs can give the same, so nobody need know what the last one gave. */
export const EPOCH_SHIFT = 40n

export function generatedId(epoch: number, sequence: number): bigint {
  if (sequence >= 2 ** Number(EPOCH_SHIFT))
    throw new QuorateError(
      'UNAVAILABLE',
      `epoch ${epoch} has given out all of its ids: a hand-over begins another`,
    )
  assert(epoch > 0 && sequence >= 0, 'an id of an epoch', { epoch, sequence })
  return (BigInt(epoch) << EPOCH_SHIFT) | BigInt(sequence)
}
