/**
 * Which rows probably have something to collect (`sweep/collector.ts`): found without reading every row.
 * Bounded; what does not fit is found again by the scrub. Never trusted: the collector reads each row
 * before it counts.
 */

import type { ByteString } from '../base/ids.ts'
import { SortedTree } from '../base/sorted-tree.ts'

const KEYS_MAX = 100_000

interface KeyRange {
  readonly from: ByteString
  readonly to: ByteString
}

export class CollectableIndex {
  readonly #keys = new SortedTree<ByteString, undefined>()
  /** By the start of a range: the last key that was given out. */
  readonly #ended = new Map<ByteString, ByteString>()

  add(key: ByteString): void {
    if (this.#keys.size < KEYS_MAX) this.#keys.set(key, undefined)
  }

  delete(key: ByteString): void {
    this.#keys.delete(key)
  }

  /** Keys of the range, starting behind where its last call ended, once round. */
  next(range: KeyRange, limit: number): ByteString[] {
    // A range that has shrunk since may end before that: nothing of its neighbour may be given out for it.
    const ended = this.#ended.get(range.from)
    const after = ended !== undefined && ended < range.to ? ended : undefined
    const keys = [
      ...this.#span(after === undefined ? range.from : ((after + '\0') as ByteString), range.to, limit),
    ]
    if (after !== undefined) keys.push(...this.#span(range.from, (after + '\0') as ByteString, limit))
    return keys.slice(0, limit)
  }

  /** Where the next call goes on; undefined: at the start. */
  endedAt(range: KeyRange, key: ByteString | undefined): void {
    if (key === undefined) this.#ended.delete(range.from)
    else this.#ended.set(range.from, key)
  }

  clear(range: KeyRange): void {
    for (const key of this.#span(range.from, range.to, KEYS_MAX)) this.#keys.delete(key)
  }

  #span(from: ByteString, to: ByteString, limit: number): ByteString[] {
    const out: ByteString[] = []
    for (const [key] of this.#keys.entries(from)) {
      if (out.length >= limit || key >= to) break
      out.push(key)
    }
    return out
  }
}
