/**
 * Heals rows whose stored cell failed its checksum: reads the row from every other home, merges all, and
 * only then lifts the mark. All homes are needed: the lost copy may have been one of the W that made a
 * write acknowledged, and which of the others has it is not known. With W copies promised, N − W + 1
 * others are enough to meet one of them; with W = 1 nothing less than all is.
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { leaderlessOf, ledOf } from '../catalog/table-descriptor.ts'
import { rowTable } from '../partitioning/row-key.ts'
import { pause } from '../ports/pause.ts'
import { replicaReadMessage } from '../wire/messages.ts'
import type { NodeContext } from './node-context.ts'

const RETRY_MS = 1_000

/** Other homes that must be heard before this one may speak for the row again. */
export function othersNeeded(n: number, w: number): number {
  return Math.min(n - 1, n - w + 1)
}

export class DamageHealer {
  readonly #node: NodeContext
  readonly #healLed: (table: number, partition: number, key: ByteString) => Promise<boolean>
  #running = false
  #stopped = false

  /** `healLed`: of a table with leaders, whose rows follow from logs. */
  constructor(
    node: NodeContext,
    healLed: (table: number, partition: number, key: ByteString) => Promise<boolean>,
  ) {
    this.#node = node
    this.#healLed = healLed
  }

  start(): void {
    this.#node.rows.onDamaged = () => {
      this.#node.counters.damagedCells++
      this.#wake()
    }
    this.#wake()
  }

  stop(): void {
    this.#stopped = true
  }

  #wake(): void {
    if (this.#running || this.#stopped || this.#node.rows.damagedKeys.size === 0) return
    this.#running = true
    void this.#run()
  }

  async #run(): Promise<void> {
    while (!this.#stopped && this.#node.rows.damagedKeys.size > 0) {
      for (const key of [...this.#node.rows.damagedKeys]) {
        if (await this.#heal(key)) this.#node.counters.healedCells++
        if (this.#stopped) return
      }
      if (this.#node.rows.damagedKeys.size > 0) await pause(this.#node.clock, RETRY_MS)
    }
    this.#running = false
  }

  async #heal(key: ByteString): Promise<boolean> {
    const { catalog, rpc, self, rows } = this.#node
    const view = catalog.find(rowTable(key))
    if (view === undefined) return false
    const partition = view.map.locate(key)
    if (ledOf(view.descriptor) !== undefined) return this.#healLed(view.descriptor.id, partition.id, key)
    const others = partition.replicas.filter(home => home !== self)
    const message = { table: view.descriptor.id, mapVersion: partition.version, key, fallback: false }
    const copies = await Promise.all(
      others.map(home =>
        rpc.request(home as string as PeerId, replicaReadMessage, message, limits.replicaTimeoutMs).then(
          reply => ({ cell: reply.cell?.slice() }),
          () => undefined,
        ),
      ),
    )
    const heard = copies.filter(copy => copy !== undefined)
    if (heard.length < othersNeeded(partition.replicas.length, leaderlessOf(view.descriptor).w)) return false
    try {
      rows.heal(
        view,
        key,
        heard.flatMap(copy => (copy.cell === undefined ? [] : [copy.cell])),
      )
      return true
    } catch (error) {
      // A full store: tried again with everything else that is still damaged.
      if (!isQuorateError(error)) throw error
      return false
    }
  }
}
