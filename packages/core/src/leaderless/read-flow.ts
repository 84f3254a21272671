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
import { placeOfKey, type TableView } from '../catalog/catalog.ts'
import { leaderlessOf } from '../catalog/table-descriptor.ts'
import type { Cell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Deadline } from '../ports/deadlines.ts'
import { QuorumTally } from '../quorum/quorum-tally.ts'
import { replicaReadMessage, replicaWriteMessage, type WireReceipt } from '../wire/messages.ts'
import type { LatencyTracker } from './latency-tracker.ts'
import { collectedUpTo } from './losses.ts'
import type { NodeContext } from './node-context.ts'
import { othersToAsk, type ReadCandidate } from './read-candidates.ts'
import { isMet, type ReadDemand } from './read-demand.ts'
import { knowsBetter } from './write-flow.ts'

/** Times one read begins anew because its partition has changed under it. */
const MAP_CHANGES_MAX = 16

export interface ReadFlowOptions {
  readonly context: NodeContext
  readonly view: TableView
  readonly key: ByteString
  readonly needed: number
  readonly hops: number
  readonly deadline: number
  readonly latency: LatencyTracker
  readonly demand?: ReadDemand | undefined
  readonly onResult: (cell: Cell | undefined, receipt: WireReceipt) => void
  readonly onError: (error: QuorateError) => void
  readonly onDone: () => void
}

interface Answer {
  readonly node: NodeId
  readonly fallback: boolean
  readonly cell: Uint8Array | undefined
  /** Clock of the store it was read from. */
  readonly asOf: Stamp
  /** What has been collected there (see `isMet`). */
  readonly collected: Stamp
}

export class ReadFlow {
  readonly #options: ReadFlowOptions
  readonly #node: NodeContext
  #view: TableView
  #partition: Partition
  #answers: Answer[] = []
  /** Asked first when it is a home that is ready, and for one answer the only one. */
  #own: ReadCandidate | undefined
  /** Grows when the read begins anew under a newer version of the partition: older answers count no more. */
  #round = 0
  #catchingUp = false
  #others: readonly ReadCandidate[] | undefined
  readonly #attempts: string[] = []
  readonly #repaired: NodeId[] = []
  readonly #begunMs: number
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
    this.#begunMs = options.context.clock.monotonicMs()
    // What was true when the request came may have changed while it was on its way here.
    this.#view = options.context.catalog.find(options.view.descriptor.id) ?? options.view
    this.#partition = this.#view.map.locate(options.key)
    this.#own = this.#ownCandidate()
    const { row } = placeOfKey(this.#view, options.key)
    this.#node.hot.noteRead(this.#view.descriptor.id, this.#partition.id, row, this.#begunMs)
  }

  #ownCandidate(): ReadCandidate | undefined {
    const { self } = this.#node
    const isReadyHome =
      this.#partition.replicas.includes(self) && this.#node.isReady(this.#view, this.#partition)
    return isReadyHome ? { node: self, fallback: false } : undefined
  }

  /** The replica to ask as number `at`. */
  #candidate(at: number): ReadCandidate | undefined {
    if (this.#own !== undefined && at === 0) return this.#own
    this.#others ??= othersToAsk(
      this.#node,
      this.#view,
      this.#partition,
      this.#options.demand?.homesOnly === true,
    )
    return this.#others[this.#own === undefined ? at : at - 1]
  }

  start(): void {
    const { deadline, needed, latency } = this.#options
    const { clock } = this.#node
    this.#open = 1
    this.#askUntil(needed)
    if (!this.#answered) {
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
    const { key, latency, deadline } = this.#options
    const [view, partition, round] = [this.#view, this.#partition, this.#round]
    const { clock } = this.#node
    const askedAt = clock.monotonicMs()
    const hedge = this.#hedged
    const timeoutMs = Math.min(limits.replicaTimeoutMs, Math.max(1, deadline - askedAt))
    const message = { table: view.descriptor.id, mapVersion: partition.version, key, fallback }
    this.#node.rpc.call(
      [node as string as PeerId],
      replicaReadMessage,
      message,
      timeoutMs,
      (from, reply, error) => {
        if (round !== this.#round) return this.#close()
        this.#outstanding--
        if (error !== undefined && knowsBetter(error, partition)) this.#moveOn(from)
        else if (error === undefined) {
          if (!hedge) latency.record(clock.monotonicMs() - askedAt)
          this.#answer({ node, fallback, ...reply! })
        } else this.#refused(node, error)
        this.#close()
      },
    )
  }

  #askSelf(fallback: boolean): void {
    const { key } = this.#options
    const round = this.#round
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
      if (round !== this.#round) return this.#close()
      this.#outstanding--
      this.#answer({ node: self, fallback, cell, asOf, collected: collectedUpTo(this.#node, key) })
      this.#close()
    })
  }

  #refused(node: NodeId, error: QuorateError): void {
    this.#attempts.push(`${node}: ${error.code}`)
    if (!this.#answered && !this.#catchingUp) this.#askFurther()
  }

  /** A home knows a newer version of the partition: the read begins anew under that one. */
  #moveOn(informant: PeerId): void {
    if (this.#catchingUp || this.#answered) return
    this.#catchingUp = true
    this.#open++
    void this.#node.catchUp(this.#view.descriptor.id, this.#partition.chunk, informant).then(() => {
      this.#catchingUp = false
      if (!this.#answered) this.#beginAnew()
      this.#close()
    })
  }

  #beginAnew(): void {
    const view = this.#node.catalog.find(this.#view.descriptor.id) ?? this.#view
    const partition = view.map.locate(this.#options.key)
    if (partition.version <= this.#partition.version || this.#round >= MAP_CHANGES_MAX)
      return this.#fail('the map has changed and could not be learned')
    this.#round++
    this.#view = view
    this.#partition = partition
    this.#answers = []
    this.#others = undefined
    this.#own = this.#ownCandidate()
    this.#asked = 0
    this.#outstanding = 0
    this.#askUntil(this.#options.needed)
  }

  #hedge(): void {
    if (this.#answered || this.#catchingUp || this.#candidate(this.#asked) === undefined) return
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
    if (this.#answers.length >= this.#options.needed && this.#isMet()) this.#conclude()
    else if (!this.#catchingUp) this.#askFurther()
  }

  #isMet(): boolean {
    const { demand } = this.#options
    return demand === undefined || isMet(demand, this.#answers, this.#partition.replicas.length)
  }

  /** As many as were asked for; and when these are here and a session has seen more than they show, all others. */
  #askFurther(): void {
    const { needed } = this.#options
    if (this.#answers.length < needed) return this.#askUntil(needed)
    if (this.#candidate(this.#asked) !== undefined) this.#node.counters.sessionReadsWidened++
    for (let next = this.#candidate(this.#asked); next !== undefined; next = this.#candidate(this.#asked)) {
      this.#asked++
      this.#ask(next.node, next.fallback)
      if (this.#answered) return
    }
    if (this.#outstanding === 0) this.#fail('none of the homes shows what this session has seen')
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
      const cell = first === undefined ? undefined : decodeCell(first)
      if (cell !== undefined && this.#bothSetsMustHold()) return this.#repair(cell, false)
      this.#reply(cell)
      return
    }
    const view = this.#view
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

  #isBlocking(): boolean {
    const { demand } = this.#options
    return demand?.repairs === true || leaderlessOf(this.#view.descriptor).readRepair === 'blocking'
  }

  /** A monotonic read while the partition moves: those who answer later reads must hold what this one saw. */
  #bothSetsMustHold(): boolean {
    const { writeSets, replicas, settled } = this.#partition
    return this.#isBlocking() && writeSets.length > 1 && replicas === settled
  }

  #repair(merged: Cell, discards: boolean): void {
    const view = this.#view
    const mergedBytes = encodeCell(merged)
    const asOf = Math.min(...this.#answers.map(answer => answer.asOf)) as Stamp
    const distinct: Uint8Array[] = []
    for (const { cell } of this.#answers) {
      if (cell !== undefined && !distinct.some(other => bytesEqual(other, cell))) distinct.push(cell)
    }
    const stale = this.#answers.filter(answer => !answer.fallback && !sameBytes(answer.cell, mergedBytes))
    const blocking = this.#isBlocking()
    if (this.#bothSetsMustHold()) return this.#repairBothSets(merged, distinct, asOf)
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

  /** Waits until R of the old homes and, apart from them, R of the new ones hold the merged state. */
  #repairBothSets(merged: Cell, distinct: readonly Uint8Array[], asOf: Stamp): void {
    const { holders, writeSets } = this.#partition
    const mergedBytes = encodeCell(merged)
    const needed = this.#options.needed
    const tally = new QuorumTally(
      writeSets.map(members => ({ members, needed: Math.min(needed, members.length) })),
    )
    let replied = false
    const settle = (): void => {
      const state = tally.state()
      if (replied || state === 'pending') return
      replied = true
      if (state === 'reached') this.#reply(merged)
      else this.#failBlocking()
    }
    for (const node of holders) {
      const answer = this.#answers.find(given => given.node === node && !given.fallback)
      if (answer !== undefined && sameBytes(answer.cell, mergedBytes)) {
        tally.ack(node)
        continue
      }
      const cells = distinct.filter(cell => answer === undefined || !sameBytes(cell, answer.cell))
      if (answer !== undefined) this.#repaired.push(node)
      this.#node.counters.readRepairs++
      this.#push(node, cells, asOf, ok => {
        if (ok) tally.ack(node)
        else tally.fail(node)
        settle()
      })
    }
    settle()
  }

  #push(node: NodeId, cells: readonly Uint8Array[], asOf: Stamp, done: (ok: boolean) => void): void {
    const { key } = this.#options
    const [view, partition] = [this.#view, this.#partition]
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
          mapVersion: partition.version,
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
    const { key } = this.#options
    const view = this.#view
    try {
      this.#node.fences.check(key, 'repair', asOf)
      if (view.map.locate(key) !== this.#node.catalog.find(view.descriptor.id)?.map.locate(key))
        return done(false)
      const applied = this.#node.rows.merge(view, key, cell)
      this.#node.store.whenDurable(applied.position, () => done(true))
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      done(false)
    }
  }

  #reply(cell: Cell | undefined): void {
    this.#node.counters.reads++
    this.#node.latency.record(this.#node.clock.monotonicMs() - this.#begunMs)
    const { needed, hops, onResult } = this.#options
    const partition = this.#partition
    onResult(cell, {
      coordinator: this.#node.self,
      mapVersion: partition.version,
      needed,
      replicas: partition.replicas.length,
      homes: this.#answers.filter(answer => !answer.fallback).map(answer => answer.node),
      fallbacks: this.#answers
        .filter(answer => answer.fallback)
        .map(answer => ({ node: answer.node, for: this.#missedHome() })),
      hinted: [],
      repaired: [...this.#repaired],
      forwarded: hops > 0,
      via: [],
      hedged: this.#hedged,
      log: undefined,
    })
  }

  /** The home a fallback answered for: the first that did not answer itself. */
  #missedHome(): NodeId {
    const { replicas } = this.#partition
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
    const answered = this.#answers.length
    const isUnmet = answered >= needed
    const asked = this.#answers.map(({ node }) => node).join(', ')
    const message = isUnmet
      ? `${why}: ${asked} answered, and what it saw of this row is with none of them`
      : `${why}: ${answered} of the ${needed} answers asked for`
    const data = isUnmet ? { answered, needed, asked } : { answered, needed }
    const code = isUnmet ? 'SESSION_NOT_REACHED' : 'READ_SHORT'
    this.#options.onError(new QuorateError(code, message, { data, attempts: this.#attempts }))
  }

  #close(): void {
    if (--this.#open === 0) this.#options.onDone()
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return bytesEqual(a, b)
}
