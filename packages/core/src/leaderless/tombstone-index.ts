/**
 * Which rows are probably tombstones: candidates for collection without reading every row. Bounded; what
 * does not fit is found again by the scrub. Never trusted: the collector reads each row before it counts.
 */

import type { ByteString } from '../base/ids.ts'

const KEYS_MAX = 100_000

export class TombstoneIndex {
  readonly #keys = new Set<ByteString>()

  add(key: ByteString): void {
    if (this.#keys.size < KEYS_MAX) this.#keys.add(key)
  }

  delete(key: ByteString): void {
    this.#keys.delete(key)
  }

  inRange(range: { readonly from: ByteString; readonly to: ByteString }, limit: number): ByteString[] {
    const out: ByteString[] = []
    for (const key of this.#keys) {
      if (out.length >= limit) break
      if (key >= range.from && key < range.to) out.push(key)
    }
    return out
  }
}
