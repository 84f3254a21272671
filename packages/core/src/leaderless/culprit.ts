/**
 * Which key is why a node is full, in words, for the error that refuses a request.
 *
 * Problem: thousands of requests a second may be refused, and looking over all busy partitions for each would be
 * work at the worst time. Mechanism: looked up at most once in `EVERY_MS`. A key is named only when it surely
 * makes more than half of what this node coordinates: whoever reads the error would otherwise look in the wrong place.
 */

import type { ByteString, TableId } from '../base/ids.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { HotPartitions } from '../hotkeys/hot-partitions.ts'
import { describeRow } from './describe-row.ts'

const EVERY_MS = 1_000

export class Culprit {
  readonly #hot: HotPartitions
  readonly #catalog: Catalog
  readonly #nowMs: () => number
  #words: string | undefined
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(hot: HotPartitions, catalog: Catalog, nowMs: () => number) {
    this.#hot = hot
    this.#catalog = catalog
    this.#nowMs = nowMs
  }

  /** Like `row k1 of table "carts" makes 83 % of its requests`. */
  words(): string | undefined {
    const nowMs = this.#nowMs()
    if (nowMs - this.#lookedMs >= EVERY_MS) {
      this.#lookedMs = nowMs
      this.#words = this.#look(nowMs)
    }
    return this.#words
  }

  #look(nowMs: number): string | undefined {
    const found = this.#hot.dominant(nowMs)
    if (found === undefined) return undefined
    const name = this.#catalog.find(found.table as TableId)?.descriptor.name ?? String(found.table)
    const share = Math.round(found.share * 100)
    return `${describeRow(found.key as ByteString)} of table "${name}" makes ${share} % of its requests`
  }
}
