/**
 * One read at its coordinator: ask R replicas, merge what they say, repair what was stale.
 *
 * The coordinator's own copy counts when it is a home that is ready. Replicas that fail, refuse (a damaged
 * cell, a rebuild) or are slower than the recent p95 are made up for by asking another; only distinct
 * nodes count. On sloppy tables, when homes run out, fallbacks answer from their hints and are named.
 * Every answer rests on durable state only: each replica waits for the sync of what it read.
 *
 * Repair sends the merged cell to homes that lacked something. A rule that discards must see the losing
 * cell itself at a replica (which writes the ledger), so there the original cells are sent instead.
 * `blocking`: the reply waits until R homes hold the merged state (monotonic quorum reads).
 */

import { bytesEqual } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { Cell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Deadline } from '../ports/deadlines.ts'
import { replicaReadMessage, replicaWriteMessage, type WireReceipt } from '../wire/messages.ts'
import type { LatencyTracker } from './latency-tracker.ts'
import type { NodeContext } from './node-context.ts'

export interface ReadFlowOptions {
  readonly context: NodeContext
  readonly view: TableView
  readonly partition: Partition
  readonly key: ByteString
  readonly needed: number
  readonly hops: number
  readonly deadline: number
  readonly latency: LatencyTracker
  readonly onResult: (cell: Cell | undefined, receipt: WireReceipt) => void
  readonly onError: (error: QuorateError) => void
  readonly onDone: () => void
}

interface Candidate {
  readonly node: NodeId
  readonly fallback: boolean
}

interface Answer {
  readonly node: NodeId
  readonly fallback: boolean
  readonly cell: Uint8Array | undefined
  /** Clock of the store it was read from. */
  readonly asOf: Stamp
}

export class ReadFlow {
  readonly #options: ReadFlowOptions
  readonly #node: NodeContext
  readonly #answers: Answer[] = []
  /** Asked first when it is a home that is ready, and for one answer the only one. */
  readonly #own: Candidate | undefined
  #others: readonly Candidate[] | undefined
  readonly #attempts: string[] = []
  readonly #repaired: NodeId[] = []
  #asked = 0
  #outstanding = 0
  #hedged = false
  #answered = false
  #open = 0
  #end: Deadline | undefined
  #hedgeTime: Deadline | undefined

  constructor(options: ReadFlowOptions) {
    this.#options = options
    this.#node = options.context
    const { self } = this.#node
    const { view, partition } = options
    const isReadyHome = partition.replicas.includes(self) && this.#node.isReady(view, partition)
    this.#own = isReadyHome ? { node: self, fallback: false } : undefined
  }

  /** The replica to ask as number `at`. */
  #candidate(at: number): Candidate | undefined {
    if (this.#own !== undefined && at === 0) return this.#own
    this.#others ??= this.#order()
    return this.#others[this.#own === undefined ? at : at - 1]
  }

  /** Beside this node: homes that seem alive, then suspected homes, then fallbacks. */
  #order(): Candidate[] {
    const { partition, view } = this.#options
    const homes = partition.replicas.filter(home => home !== this.#node.self)
    const alive = homes.filter(home => !this.#node.isSuspected(home))
    const suspected = homes.filter(home => !alive.includes(home))
    const fallbacks = view.descriptor.replication.sloppy
      ? partition.preference.slice(partition.replicas.length).filter(node => !this.#node.isSuspected(node))
      : []
    return [
      ...[...alive, ...suspected].map(node => ({ node, fallback: false })),
      ...fallbacks.map(node => ({ node, fallback: true })),
    ]
  }

  start(): void {
    const { deadline, needed, latency } = this.#options
    const { clock } = this.#node
    this.#open = 1
    this.#askUntil(needed)
    if (!this.#answered && needed > this.#answers.length) {
      const { deadlines } = this.#node.rpc
      latency.readStarted()
      this.#end = deadlines.add(deadline, { expire: () => this.#fail('the deadline passed') })
      const hedgeAt = clock.monotonicMs() + latency.hedgeAfterMs()
      this.#hedgeTime = deadlines.add(hedgeAt, { expire: () => this.#hedge() })
    }
    this.#close()
  }

  /** Asks further replicas until `count` answers are here or on their way. */
  #askUntil(count: number): void {
    while (this.#answers.length + this.#outstanding < count) {
      const next = this.#candidate(this.#asked)
      if (next === undefined) {
        if (this.#outstanding === 0) this.#fail('no further replica could be asked')
        return
      }
      this.#asked++
      this.#ask(next.node, next.fallback)
      if (this.#answered) return
    }
  }

  #ask(node: NodeId, fallback: boolean): void {
    this.#outstanding++
    this.#open++
    if (node === this.#node.self) return this.#askSelf(fallback)
    const { view, key, latency, deadline } = this.#options
    const { clock } = this.#node
    const askedAt = clock.monotonicMs()
    const hedge = this.#hedged
    const timeoutMs = Math.min(limits.replicaTimeoutMs, Math.max(1, deadline - askedAt))
    const message = { table: view.descriptor.id, mapVersion: view.map.version, key, fallback }
    this.#node.rpc.call(
      [node as string as PeerId],
      replicaReadMessage,
      message,
      timeoutMs,
      (_, reply, error) => {
        this.#outstanding--
        if (error === undefined) {
          if (!hedge) latency.record(clock.monotonicMs() - askedAt)
          this.#answer({ node, fallback, ...reply! })
        } else this.#refused(node, error)
        this.#close()
      },
    )
  }

  #askSelf(fallback: boolean): void {
    const { key } = this.#options
    const { rows, store, self } = this.#node
    const asOf = this.#node.hybrid.peek()
    let cell: Uint8Array | undefined
    try {
      cell = rows.read(key)
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      this.#outstanding--
      this.#refused(self, error)
      return this.#close()
    }
    store.whenDurable(rows.positionOf(key), () => {
      this.#outstanding--
      this.#answer({ node: self, fallback, cell, asOf })
      this.#close()
    })
  }

  #refused(node: NodeId, error: QuorateError): void {
    this.#attempts.push(`${node}: ${error.code}`)
    if (!this.#answered) this.#askUntil(this.#options.needed)
  }

  #hedge(): void {
    if (this.#answered || this.#candidate(this.#asked) === undefined) return
    if (!this.#options.latency.take()) {
      this.#node.counters.hedgesWithheld++
      return
    }
    this.#node.counters.hedges++
    this.#hedged = true
    this.#askUntil(this.#answers.length + this.#outstanding + 1)
  }

  #answer(answer: Answer): void {
    if (this.#answered) return
    this.#answers.push(answer)
    if (this.#answers.length >= this.#options.needed) this.#conclude()
  }

  #settle(): void {
    this.#answered = true
    this.#end?.cancel()
    this.#hedgeTime?.cancel()
  }

  /** What an answer holds may not decode or merge: then the reader hears it, and nobody else is harmed. */
  #conclude(): void {
    this.#settle()
    try {
      this.#merge()
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      this.#options.onError(error)
    }
  }

  #merge(): void {
    const answers = this.#answers
    const first = answers[0]!.cell
    if (answers.every(answer => sameBytes(answer.cell, first))) {
      this.#reply(first === undefined ? undefined : decodeCell(first))
      return
    }
    const { view } = this.#options
    let merged: Cell | undefined
    let discards = false
    for (const { cell } of answers) {
      if (cell === undefined) continue
      const decoded = decodeCell(cell)
      if (merged === undefined) merged = decoded
      else {
        const result = view.rule.merge(merged, decoded)
        merged = result.cell
        discards ||= result.discarded.length > 0
      }
    }
    this.#repair(merged!, discards)
  }

  #repair(merged: Cell, discards: boolean): void {
    const { view } = this.#options
    const mergedBytes = encodeCell(merged)
    const asOf = Math.min(...this.#answers.map(answer => answer.asOf)) as Stamp
    const distinct: Uint8Array[] = []
    for (const { cell } of this.#answers) {
      if (cell !== undefined && !distinct.some(other => bytesEqual(other, cell))) distinct.push(cell)
    }
    const stale = this.#answers.filter(answer => !answer.fallback && !sameBytes(answer.cell, mergedBytes))
    const blocking = view.descriptor.replication.readRepair === 'blocking'
    let waiting = stale.length
    let failed = 0
    const done = (ok: boolean): void => {
      waiting--
      if (!ok) failed++
      if (blocking && waiting === 0) {
        if (failed === 0) this.#reply(merged)
        else this.#failBlocking()
      }
    }
    for (const answer of stale) {
      const cells =
        view.rule.discards || discards
          ? distinct.filter(cell => !sameBytes(cell, answer.cell))
          : [mergedBytes]
      this.#repaired.push(answer.node)
      this.#node.counters.readRepairs++
      this.#push(answer.node, cells, asOf, done)
    }
    if (!blocking || stale.length === 0) this.#reply(merged)
  }

  #push(node: NodeId, cells: readonly Uint8Array[], asOf: Stamp, done: (ok: boolean) => void): void {
    const { view, key } = this.#options
    this.#open++
    let left = cells.length
    let ok = true
    const one = (fine: boolean): void => {
      ok &&= fine
      if (--left > 0) return
      done(ok)
      this.#close()
    }
    for (const cell of cells) {
      if (node === this.#node.self) this.#mergeHere(cell, asOf, one)
      else {
        const message = {
          table: view.descriptor.id,
          mapVersion: view.map.version,
          kind: 'repair' as const,
          key,
          cell,
          asOf,
        }
        this.#node.rpc.call(
          [node as string as PeerId],
          replicaWriteMessage,
          message,
          limits.replicaTimeoutMs,
          (_, __, error) => {
            one(error === undefined)
          },
        )
      }
    }
  }

  #mergeHere(cell: Uint8Array, asOf: Stamp, done: (ok: boolean) => void): void {
    const { view, key, partition } = this.#options
    try {
      this.#node.fences.check(view.descriptor.id, partition, 'repair', asOf)
      const applied = this.#node.rows.merge(view, key, cell)
      this.#node.store.whenDurable(applied.position, () => done(true))
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      done(false)
    }
  }

  #reply(cell: Cell | undefined): void {
    this.#node.counters.reads++
    const { view, partition, needed, hops, onResult } = this.#options
    onResult(cell, {
      coordinator: this.#node.self,
      mapVersion: view.map.version,
      needed,
      replicas: partition.replicas.length,
      homes: this.#answers.filter(answer => !answer.fallback).map(answer => answer.node),
      fallbacks: this.#answers
        .filter(answer => answer.fallback)
        .map(answer => ({ node: answer.node, for: this.#missedHome() })),
      hinted: [],
      repaired: [...this.#repaired],
      forwarded: hops > 0,
      hedged: this.#hedged,
    })
  }

  /** The home a fallback answered for: the first that did not answer itself. */
  #missedHome(): NodeId {
    const { replicas } = this.#options.partition
    return replicas.find(home => !this.#answers.some(answer => answer.node === home)) ?? replicas[0]!
  }

  #failBlocking(): void {
    this.#node.counters.readsShort++
    const message =
      'stale replicas were found and could not be repaired in time; answering could make a later read go back'
    this.#options.onError(new QuorateError('READ_SHORT', message, { attempts: this.#attempts }))
  }

  #fail(why: string): void {
    if (this.#answered) return
    this.#settle()
    this.#node.counters.readsShort++
    const { needed } = this.#options
    const message = `${why}: ${this.#answers.length} of the ${needed} answers asked for`
    this.#options.onError(
      new QuorateError('READ_SHORT', message, {
        data: { answered: this.#answers.length, needed },
        attempts: this.#attempts,
      }),
    )
  }

  #close(): void {
    if (--this.#open === 0) this.#options.onDone()
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return bytesEqual(a, b)
}
