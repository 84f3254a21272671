/**
 * Writers that wait until enough copies of their entries exist. Those by the table's own rule are served in order of
 * position; those that asked for more copies are looked at one by one, and are few.
 *
 * Invariant: each is told exactly once: that its entry is committed, or why nobody knows.
 */

import type { QuorateError } from '../base/errors.ts'
import type { AckRule } from '../leadership/acknowledgement.ts'

export interface Waiting {
  readonly position: number
  /** On the monotonic clock. */
  readonly deadline: number
  /** Asked for by the writer, and stricter than the table's; undefined: the table's. */
  readonly rule?: AckRule | undefined
  readonly done: () => void
  readonly failed: (error: QuorateError) => void
}

export class WaitingWrites {
  #inOrder: Waiting[] = []
  #stricter: Waiting[] = []

  get size(): number {
    return this.#inOrder.length + this.#stricter.length
  }

  add(waiting: Waiting): void {
    if (waiting.rule !== undefined) this.#stricter.push(waiting)
    else {
      // Mostly at the end; a retry of an entry that still waits goes to its place.
      let at = this.#inOrder.length
      while (at > 0 && this.#inOrder[at - 1]!.position > waiting.position) at--
      this.#inOrder.splice(at, 0, waiting)
    }
  }

  /** Tells those whose entries are committed. `committedBy`: how far, by a stricter rule. */
  committed(position: number, committedBy: (rule: AckRule) => number): void {
    let count = 0
    while (count < this.#inOrder.length && this.#inOrder[count]!.position <= position) count++
    const due = this.#inOrder.splice(0, count)
    if (this.#stricter.length > 0) {
      const reached = this.#stricter.filter(
        one => one.position <= position && committedBy(one.rule!) >= one.position,
      )
      if (reached.length > 0) this.#stricter = this.#stricter.filter(one => !reached.includes(one))
      due.push(...reached)
    }
    for (const { done } of due) done()
  }

  /** Gives up on those whose time has passed. */
  expire(nowMs: number, error: (waiting: Waiting) => QuorateError): void {
    const isDue = ({ deadline }: Waiting): boolean => deadline <= nowMs
    if (!this.#inOrder.some(isDue) && !this.#stricter.some(isDue)) return
    const due = [...this.#inOrder, ...this.#stricter].filter(isDue)
    this.#inOrder = this.#inOrder.filter(one => !isDue(one))
    this.#stricter = this.#stricter.filter(one => !isDue(one))
    for (const one of due) one.failed(error(one))
  }

  /** Nobody will ever know here what becomes of them. */
  endAll(error: (waiting: Waiting) => QuorateError): void {
    const all = [...this.#inOrder, ...this.#stricter]
    this.#inOrder = []
    this.#stricter = []
    for (const one of all) one.failed(error(one))
  }
}
