/**
 * Removes rows from nodes that do not keep their partition any more: the last step of a move, or of one that
 * was taken back.
 *
 * The map alone says what may go: a node that is not among the holders has been told so after everyone who is
 * had everything (SPEC.md). The removal must come after the map in the log, or a restart could go back to a
 * map under which this node would answer with nothing: so nothing goes while a piece of the map is not kept.
 */

import { isQuorateError } from '../base/errors.ts'
import type { TableId } from '../base/ids.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { dropLog, giveUpLog } from '../leader/drop-log.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'

const LOOK_MS = 1_000
const BATCH_ROWS = 500
const BATCH_PAUSE_MS = 10

export class Janitor {
  readonly #node: NodeContext
  readonly #mapsAreKept: () => boolean
  /** `table/partition` → version under which nothing was left here. */
  readonly #clean = new Map<string, number>()
  #stopped = false
  #due = true

  constructor(node: NodeContext, mapsAreKept: () => boolean) {
    this.#node = node
    this.#mapsAreKept = mapsAreKept
    node.catalog.onChange(() => {
      this.#due = true
    })
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#node.clock, LOOK_MS)
      if (this.#stopped || !this.#due || !this.#mapsAreKept()) continue
      this.#due = false
      for (const view of this.#node.catalog.views()) {
        for (const partition of view.map.partitions) {
          if (!partition.holders.includes(this.#node.self)) await this.#empty(view.descriptor.id, partition)
        }
      }
    }
  }

  async #empty(table: TableId, partition: Partition): Promise<void> {
    const name = `${table}/${partition.id}`
    if (this.#clean.get(name) === partition.version) return
    while (!this.#stopped) {
      const left = this.#removeSome(table, partition)
      if (left === 'kept') {
        this.#due = true
        return
      }
      if (left === 'clean') {
        this.#clean.set(name, partition.version)
        return
      }
      await pause(this.#node.clock, BATCH_PAUSE_MS)
    }
  }

  /** Looks at the map and removes in one go: between the two nothing can change. */
  #removeSome(table: TableId, { id, from, to }: Partition): 'some' | 'clean' | 'kept' {
    const { catalog, self, store, rows, counters } = this.#node
    const view = catalog.find(table)
    const now = view?.map.find(id)
    if (view === undefined || now === undefined || now.from !== from || now.to !== to) return 'kept'
    if (now.holders.includes(self) || !this.#mapsAreKept()) return 'kept'
    const keys = [...store.scan(from, to, { limit: BATCH_ROWS })].map(([key]) => key)
    try {
      // Before the first row goes the log says that it stands for none; it goes itself when the last one is gone.
      if (ledOf(view.descriptor) !== undefined && giveUpLog(store, table, id)) return 'some'
      if (keys.length === 0) return dropLog(store, table, id, BATCH_ROWS) ? 'clean' : 'some'
      rows.drop(view, keys)
      counters.rowsMovedAway += keys.length
      return 'some'
    } catch (error) {
      // A full store takes no removals either; there is room when it is open again.
      if (!isQuorateError(error)) throw error
      return 'kept'
    }
  }
}
