/**
 * Hands hints to targets that are back: newest first (what is read soonest), a bounded number in flight,
 * at most `hintReplayPerSecond`, backing off when the target refuses. A hint is forgotten only after its
 * target said it is durable there. Hints past their age go to the ledger.
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { stampMs } from '../causality/hybrid-clock.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { rowTable } from '../partitioning/row-key.ts'
import { pause } from '../ports/pause.ts'
import { replicaWriteMessage } from '../wire/messages.ts'
import type { Hint, HintStore } from './hint-store.ts'
import type { NodeContext } from './node-context.ts'
import { knowsBetter } from './write-flow.ts'

const IDLE_MS = 200
const BACK_OFF_MS = 1_000

export class HintReplayer {
  readonly #node: NodeContext
  readonly #running = new Set<NodeId>()
  #stopped = false

  constructor(node: NodeContext) {
    this.#node = node
  }

  start(): void {
    this.#node.hints.onStored = target => this.#wake(target)
    for (const target of this.#node.hints.targets()) this.#wake(target)
  }

  stop(): void {
    this.#stopped = true
  }

  #wake(target: NodeId): void {
    if (this.#running.has(target) || this.#stopped) return
    this.#running.add(target)
    void this.#run(target)
  }

  async #run(target: NodeId): Promise<void> {
    const { hints, clock } = this.#node
    let from: ByteString | undefined
    while (!this.#stopped && hints.totals(target).count > 0) {
      if (!this.#expireOld(target)) {
        await pause(clock, BACK_OFF_MS)
        continue
      }
      if (this.#isMember(target) && this.#node.isSuspected(target)) {
        await pause(clock, IDLE_MS)
        continue
      }
      const began = clock.monotonicMs()
      const batch = this.#next(target, from)
      if (batch === undefined) {
        await pause(clock, BACK_OFF_MS)
        continue
      }
      const delivered = await Promise.all(batch.hints.map(hint => this.#deliver(hint)))
      const failures = delivered.filter(ok => !ok).length
      // What failed, and what came meanwhile, is met again from the start.
      from = failures > 0 ? undefined : batch.next
      const pacedMs = (batch.hints.length / limits.hintReplayPerSecond) * 1_000
      const elapsedMs = clock.monotonicMs() - began
      await pause(clock, failures > 0 ? BACK_OFF_MS : Math.max(1, pacedMs - elapsedMs))
    }
    this.#running.delete(target)
  }

  /** Hints for a node that is no member any more go to those who keep its rows now. */
  #isMember(target: NodeId): boolean {
    return this.#node.catalog.member(target) !== undefined
  }

  /** Undefined when the store cannot forget broken hints now. */
  #next(target: NodeId, from: ByteString | undefined): ReturnType<HintStore['newest']> | undefined {
    try {
      return this.#node.hints.newest(target, limits.hintReplayInFlight, from)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return undefined
    }
  }

  /** False when the store takes no writes now. */
  #expireOld(target: NodeId): boolean {
    const { hints, hybrid, store } = this.#node
    const now = stampMs(hybrid.peek())
    if (store.status().state !== 'open') return false
    try {
      for (const hint of hints.oldest(target, 16)) {
        if (now - stampMs(hint.since) > limits.hintAgeMaxMs) hints.expire(hint)
      }
    } catch (error) {
      // One that cannot be expired now must not keep the others from being handed off.
      if (!isQuorateError(error)) throw error
    }
    return true
  }

  #deliver(hint: Hint): Promise<boolean> {
    const { catalog, hints, store } = this.#node
    const view = catalog.find(rowTable(hint.key))
    if (view === undefined) return Promise.resolve(false)
    const partition = view.map.locate(hint.key)
    return new Promise(resolve => {
      // The hint may still be in flight to our own disk; what travels must not be forgotten by us first.
      store.whenDurable(hints.positionOf(hint.target, hint.key), () => {
        const homes = this.#destinations(partition, hint.target)
        void Promise.all(homes.map(home => this.#send(partition, home, hint))).then(taken =>
          resolve(taken.every(ok => ok) && this.#forget(hint)),
        )
      })
    })
  }

  /**
   * The target, while it keeps the row. When the partition has gone to other nodes since, everyone who keeps it
   * now: the hint may be the only copy of its write.
   */
  #destinations(partition: Partition, target: NodeId): readonly NodeId[] {
    const homes = [...new Set(partition.writeSets.flat())].filter(home => this.#isMember(home))
    return homes.includes(target) ? [target] : homes
  }

  #send(partition: Partition, home: NodeId, hint: Hint): Promise<boolean> {
    const { rpc, catchUp, counters } = this.#node
    const table = rowTable(hint.key)
    const { key, cell, asOf } = hint
    const message = { table, mapVersion: partition.version, kind: 'hint' as const, key, cell, asOf }
    return new Promise(resolve => {
      const to = home as string as PeerId
      rpc.call([to], replicaWriteMessage, message, limits.replicaTimeoutMs, (_, __, error) => {
        if (error === undefined) counters.hintsReplayed++
        if (error !== undefined && knowsBetter(error, partition)) {
          return void catchUp(table, partition.chunk, to).then(() => resolve(false))
        }
        // FENCED: the row was collected since, or its other homes hold newer; the sweep has the last word.
        resolve(error === undefined || error.code === 'FENCED')
      })
    })
  }

  /** False when the store cannot take it now: the hint is handed over once more, later. */
  #forget(hint: Hint): boolean {
    try {
      this.#node.hints.remove(hint)
      return true
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return false
    }
  }
}
