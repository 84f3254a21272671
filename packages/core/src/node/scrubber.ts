/**
 * The slow scrub: re-reads what is stored before a reader has to.
 *
 * Walks the table's values against their checksums, every leaf of the trees against its rows, and the
 * closed log segments. A bad row is marked and healed from replicas; a wrong leaf is counted anew; a bad
 * log segment is made superfluous by a checkpoint of what is in memory; anything that cannot be healed
 * ends the store.
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { pause } from '../ports/pause.ts'
import { healable, keyspaces } from '../store/keyspace.ts'
import type { LogStore } from '../store/log-store.ts'
import { DAMAGED } from '../store/store-face.ts'
import type { Trees } from '../sweep/trees.ts'

const STEP_CELLS = 256

export interface ScrubReport {
  cells: number
  damaged: number
  wrongLeaves: number
  damagedSegments: number
}

export class Scrubber {
  readonly #node: NodeContext
  readonly #store: LogStore
  readonly #trees: Trees
  readonly #intervalMs: number
  #stopped = false
  lastReport: ScrubReport | undefined
  lastFinishedMs: number | undefined

  constructor(node: NodeContext, store: LogStore, trees: Trees, intervalMs: number) {
    this.#node = node
    this.#store = store
    this.#trees = trees
    this.#intervalMs = intervalMs
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#node.clock, this.#intervalMs)
      if (!this.#stopped) await this.pass()
    }
  }

  async pass(): Promise<ScrubReport> {
    const report: ScrubReport = { cells: 0, damaged: 0, wrongLeaves: 0, damagedSegments: 0 }
    await this.#table(report)
    await this.#leaves(report)
    report.damagedSegments = (await this.#store.scrubLog()).length
    if (report.damagedSegments > 0) await this.#store.checkpoint()
    this.lastReport = report
    this.lastFinishedMs = this.#node.clock.wallMs()
    return report
  }

  #pace(cells: number): Promise<void> {
    return pause(this.#node.clock, Math.max(1, (cells / limits.scrubCellsPerSecond) * 1_000))
  }

  async #table(report: ScrubReport): Promise<void> {
    let from: ByteString | undefined = '' as ByteString
    while (from !== undefined && !this.#stopped) {
      const step = this.#store.scrubStep(from, STEP_CELLS)
      report.cells += step.checked
      this.#node.counters.scrubbedCells += step.checked
      for (const key of step.damaged) {
        if (this.#noteDamaged(key)) report.damaged++
      }
      from = step.next
      await this.#pace(step.checked)
    }
  }

  #noteDamaged(key: ByteString): boolean {
    // A newer value in memory may hide the bad one; then the next checkpoint overwrites it. Reading a
    // damaged promise ends the store, as it must.
    if (this.#store.get(key) !== DAMAGED) return false
    try {
      if (key.startsWith(keyspaces.row)) this.#node.rows.markDamaged(key)
      // An order record has no content but its key: without it a whole hint would never be found again.
      else if (key.startsWith(keyspaces.hintOrder)) this.#store.commit([{ key, value: new Uint8Array(0) }])
      else if (healable(key)) this.#store.commit([{ key, value: undefined }])
    } catch (error) {
      // No room for a mark now: the next pass finds it again.
      if (!isQuorateError(error)) throw error
    }
    return true
  }

  async #leaves(report: ScrubReport): Promise<void> {
    const { catalog, rows, self } = this.#node
    for (const { descriptor, map, rule } of catalog.views()) {
      for (const { id, holders } of map.partitions) {
        if (!holders.includes(self)) continue
        let leaf = 0
        while (leaf < this.#trees.leafCount(descriptor.id, id)) {
          if (this.#stopped) return
          const step = this.#trees.scrubLeaves(descriptor.id, id, leaf, STEP_CELLS, (key, bytes) =>
            rows.noteScrubbed(rule, key, bytes),
          )
          report.wrongLeaves += step.wrong
          leaf = step.nextLeaf
          await this.#pace(step.cells)
        }
      }
    }
  }
}
