/**
 * Who waits for what: callbacks by the group whose sync they wait for, without a promise each.
 *
 * At any time two groups have waiters: the one being written and the one that forms. Groups are
 * released in order; within one group, whose batches become durable at the same instant, callbacks
 * run in the order they were registered.
 */

import { assert } from '../base/assert.ts'
import type { Position } from './store-face.ts'

type Run = () => void

export class DurableQueue {
  #writing: Run[] = []
  #forming: Run[] = []
  /** Last position of the group being written. */
  #sealed: Position = 0

  push(position: Position, run: Run): void {
    if (position <= this.#sealed) this.#writing.push(run)
    else this.#forming.push(run)
  }

  /** The forming group, up to `position`, is now the one being written. */
  seal(position: Position): void {
    assert(this.#writing.length === 0, 'one group is written at a time')
    const empty = this.#writing
    this.#writing = this.#forming
    this.#forming = empty
    this.#sealed = position
  }

  /** Takes the waiters of the group that is durable now; the caller runs them. */
  take(): Run[] {
    const due = this.#writing
    this.#writing = []
    return due
  }

  /** Forgets everyone: nothing becomes durable any more. */
  clear(): void {
    this.#writing = []
    this.#forming = []
  }
}
