/**
 * Ballots: the order in which proposals to one register count.
 *
 * Problem: two different values under one ballot break every quorum argument, so a ballot must never
 * be made twice, also not by a process that crashed and forgot what it had used.
 * Mechanism: (counter, node, store incarnation, life). `life` counts the starts of the process on this
 * store and is durable before the first ballot is made; within a life the counter only grows.
 * Invariants: total order; counter >= 1 for every real ballot; `ballotZero` is below all of them.
 */

import { assertSafeInteger } from '../base/assert.ts'
import { compareStrings, type Incarnation, type NodeId } from '../base/ids.ts'

export interface Ballot {
  readonly counter: number
  readonly node: NodeId
  readonly incarnation: Incarnation
  readonly life: number
}

/** "Nothing promised", "nothing accepted". */
export const ballotZero: Ballot = { counter: 0, node: '' as NodeId, incarnation: '' as Incarnation, life: 0 }

export function compareBallots(a: Ballot, b: Ballot): number {
  return (
    a.counter - b.counter ||
    compareStrings(a.node, b.node) ||
    compareStrings(a.incarnation, b.incarnation) ||
    a.life - b.life
  )
}

export const ballotsEqual = (a: Ballot, b: Ballot): boolean => compareBallots(a, b) === 0

export const ballotIsZero = (ballot: Ballot): boolean => ballot.counter === 0

export const ballotMax = (a: Ballot, b: Ballot): Ballot => (compareBallots(a, b) >= 0 ? a : b)

/** Source of one proposer's ballots: strictly increasing, fast-forwarded past everything it hears of. */
export class BallotSource {
  readonly #node: NodeId
  readonly #incarnation: Incarnation
  readonly #life: number
  #counter = 0

  constructor(node: NodeId, incarnation: Incarnation, life: number) {
    this.#node = node
    this.#incarnation = incarnation
    this.#life = life
  }

  /** After this, `next()` is above every ballot with this counter. */
  passed(counter: number): void {
    if (counter > this.#counter) this.#counter = counter
  }

  next(): Ballot {
    this.#counter++
    assertSafeInteger(this.#counter, 'ballot counter')
    return { counter: this.#counter, node: this.#node, incarnation: this.#incarnation, life: this.#life }
  }
}
