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
  readonly members: readonly Member[]
  /** 0 <= needed; above the number of members the set is impossible from the start. */
  readonly needed: number
}

export type TallyState = 'pending' | 'reached' | 'impossible'

export const majorityOf = (count: number): number => Math.floor(count / 2) + 1

export class QuorumTally<Member extends string = string> {
  readonly #sets: readonly { readonly members: ReadonlySet<Member>; readonly needed: number }[]
  readonly #answers = new Map<Member, boolean>()

  constructor(sets: readonly ReplicaSet<Member>[]) {
    assert(sets.length > 0, 'a tally needs at least one replica set')
    for (const set of sets) {
      assert(
        Number.isInteger(set.needed) && set.needed >= 0,
        'needed must be a non-negative integer',
        set.needed,
      )
    }
    this.#sets = sets.map(set => ({ members: new Set(set.members), needed: set.needed }))
  }

  /** Counts once per member; true when this changed something. Strangers are ignored. */
  ack(member: Member): boolean {
    if (!this.#isMember(member) || this.#answers.get(member) === true) return false
    this.#answers.set(member, true)
    return true
  }

  /** The member will not acknowledge (refused, timed out, gone). */
  fail(member: Member): boolean {
    if (!this.#isMember(member) || this.#answers.has(member)) return false
    this.#answers.set(member, false)
    return true
  }

  state(): TallyState {
    let reached = true
    for (const set of this.#sets) {
      const { acked, failed } = this.#count(set.members)
      if (set.members.size - failed < set.needed) return 'impossible'
      if (acked < set.needed) reached = false
    }
    return reached ? 'reached' : 'pending'
  }

  /** Distinct members that acknowledged, over all sets. */
  acked(): Member[] {
    return [...this.#answers].filter(([, ok]) => ok).map(([member]) => member)
  }

  /** Drawn for people: `reached: [a✓ b✓ c·] 2/2 & [c· d✗ e✓] 1/2`. */
  describe(): string {
    const drawn = this.#sets.map(set => {
      const marks = [...set.members].map(member => `${member}${this.#mark(member)}`).join(' ')
      return `[${marks}] ${this.#count(set.members).acked}/${set.needed}`
    })
    return `${this.state()}: ${drawn.join(' & ')}`
  }

  #mark(member: Member): string {
    const answer = this.#answers.get(member)
    return answer === undefined ? '·' : answer ? '✓' : '✗'
  }

  #isMember(member: Member): boolean {
    return this.#sets.some(set => set.members.has(member))
  }

  #count(members: ReadonlySet<Member>): { acked: number; failed: number } {
    let acked = 0
    let failed = 0
    for (const member of members) {
      const answer = this.#answers.get(member)
      if (answer === true) acked++
      else if (answer === false) failed++
    }
    return { acked, failed }
  }
}
