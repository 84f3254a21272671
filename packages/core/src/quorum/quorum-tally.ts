/**
 * Arithmetic of acknowledgements.
 *
 * Problem: "enough replicas answered" is asked everywhere and is easy to get wrong: the same member
 * counted twice, two replica sets added up during a move, waiting on when no answer can help.
 * Mechanism: distinct members are counted per replica set; an acknowledgement is needed in *each* set,
 * and a member of several sets counts in all of them. Three answers: `pending`, `reached`, `impossible`.
 * Invariants: `reached` is final; per set, acked + failed ≤ members. A late `ack` overrides an earlier
 * `fail` of the same member (a replica given up on may still answer), never the other way round.
 * References: etcd raft, package quorum (majority and joint configurations).
 */

import { assert } from '../base/assert.ts'

export interface ReplicaSet<Member extends string = string> {
  /** Distinct. */
  readonly members: readonly Member[]
  /** 0 <= needed; above the number of members the set is impossible from the start. */
  readonly needed: number
}

export type TallyState = 'pending' | 'reached' | 'impossible'

export const majorityOf = (count: number): number => Math.floor(count / 2) + 1

/** Sets are small, so lists are searched: a tally is made for every write. */
export class QuorumTally<Member extends string = string> {
  readonly #sets: readonly ReplicaSet<Member>[]
  readonly #acked: Member[] = []
  readonly #failed: Member[] = []

  constructor(sets: readonly ReplicaSet<Member>[]) {
    assert(sets.length > 0, 'a tally needs at least one replica set')
    for (const { members, needed } of sets) {
      assert(Number.isInteger(needed) && needed >= 0, 'needed must be a non-negative integer', needed)
      for (let i = 0; i < members.length; i++)
        assert(!members.includes(members[i]!, i + 1), 'members are distinct', members)
    }
    this.#sets = sets
  }

  /** Counts once per member; true when this changed something. Strangers are ignored. */
  ack(member: Member): boolean {
    if (!this.#isMember(member) || this.#acked.includes(member)) return false
    const failed = this.#failed.indexOf(member)
    if (failed >= 0) this.#failed.splice(failed, 1)
    this.#acked.push(member)
    return true
  }

  /** The member will not acknowledge (refused, timed out, gone). */
  fail(member: Member): boolean {
    if (!this.#isMember(member) || this.#acked.includes(member) || this.#failed.includes(member)) return false
    this.#failed.push(member)
    return true
  }

  state(): TallyState {
    let reached = true
    for (const { members, needed } of this.#sets) {
      if (members.length - countIn(members, this.#failed) < needed) return 'impossible'
      if (countIn(members, this.#acked) < needed) reached = false
    }
    return reached ? 'reached' : 'pending'
  }

  /** Distinct members that acknowledged, over all sets, in that order. */
  acked(): readonly Member[] {
    return this.#acked
  }

  /** Drawn for people: `reached: [a✓ b✓ c·] 2/2 & [c· d✗ e✓] 1/2`. */
  describe(): string {
    const drawn = this.#sets.map(({ members, needed }) => {
      const marks = members.map(member => `${member}${this.#mark(member)}`).join(' ')
      return `[${marks}] ${countIn(members, this.#acked)}/${needed}`
    })
    return `${this.state()}: ${drawn.join(' & ')}`
  }

  #mark(member: Member): string {
    if (this.#acked.includes(member)) return '✓'
    return this.#failed.includes(member) ? '✗' : '·'
  }

  #isMember(member: Member): boolean {
    for (const { members } of this.#sets) if (members.includes(member)) return true
    return false
  }
}

function countIn<Member>(members: readonly Member[], answered: readonly Member[]): number {
  let count = 0
  for (const member of answered) if (members.includes(member)) count++
  return count
}
