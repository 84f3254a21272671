/** Readers that wait until the leader of their partition may answer. Each runs or fails, once. */

import { QuorateError } from '../base/errors.ts'

export interface Reader {
  /** On the monotonic clock. */
  readonly deadline: number
  readonly run: () => void
  readonly failed: (error: QuorateError) => void
}

export class WaitingReaders {
  #readers: Reader[] = []

  get size(): number {
    return this.#readers.length
  }

  add(reader: Reader): void {
    this.#readers.push(reader)
  }

  runAll(): void {
    for (const { run } of this.#readers.splice(0)) run()
  }

  failAll(error: QuorateError): void {
    for (const { failed } of this.#readers.splice(0)) failed(error)
  }

  expire(nowMs: number): void {
    const due = this.#readers.filter(({ deadline }) => deadline <= nowMs)
    if (due.length === 0) return
    this.#readers = this.#readers.filter(({ deadline }) => deadline > nowMs)
    const error = new QuorateError(
      'READ_SHORT',
      'too few followers confirm that this node still leads the partition; a follower answers reads with read: any',
    )
    for (const { failed } of due) failed(error)
  }
}
