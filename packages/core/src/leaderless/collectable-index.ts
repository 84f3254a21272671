/**
 * Which rows probably have something to collect (`sweep/collector.ts`): found without reading every row.
 * Bounded; what does not fit is found again by the scrub. Never trusted: the collector reads each row
 * before it counts.
 */

import type { ByteString } from '../base/ids.ts'
import { SortedTree } from '../base/sorted-tree.ts'

const KEYS_MAX = 100_000

export class CollectableIndex {
  readonly #keys = new SortedTree<ByteString, undefined>()

  add(key: ByteString): void {
    if (this.#keys.size < KEYS_MAX) this.#keys.set(key, undefined)
  }

  delete(key: ByteString): void {
    this.#keys.delete(key)
  }

  inRange(range: { readonly from: ByteString; readonly to: ByteString }, limit: number): ByteString[] {
    const out: ByteString[] = []
    for (const [key] of this.#keys.entries(range.from)) {
      if (out.length >= limit || key >= range.to) break
      out.push(key)
    }
    return out
  }
}
