/**
 * One write at its coordinator (Dynamo §4.5): apply here, send the cell to the other homes, answer after W.
 *
 * The dot is minted and the cell committed first; the cell then travels while the sync is in flight
 * (stamps are reserved, so a crash cannot make one dot name two writes) except when the rule discarded
 * something (see `Written.holdBack`). A home that does not answer gets a hint: held by a fallback, which
 * counts towards W on sloppy tables and is named in the receipt, or by this coordinator, which never counts.
 *
 * A home that knows a newer version of the partition refuses; the flow learns it and sends the same cell again
 * under that one. Answers under different versions are never counted together.
 *
 * Invariants: exactly one reply; success only when W distinct homes (or their named stand-ins) said
 * "durable"; after the local commit no reply says `not-applied`; the client never waits for, nor fails by, a hint.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { RowPlace, TableView } from '../catalog/catalog.ts'
import { leaderlessOf } from '../catalog/table-descriptor.ts'
import { decodeTokenOfRow, encodeContextToken } from '../cells/context-token.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Deadline } from '../ports/deadlines.ts'
import { QuorumTally } from '../quorum/quorum-tally.ts'
import {
  replicaWriteMessage,
  storeHintMessage,
  type WireReceipt,
  type WriteReply,
  type WriteRequest,
} from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import { writeAsFallback } from './fallback-write.ts'
import { answersNeeded } from './levels.ts'
import type { NodeContext } from './node-context.ts'
import type { Written } from './row-store.ts'
import type { SessionCall } from './session-call.ts'

/** Times one write begins anew because its partition has changed under it. */
const MAP_CHANGES_MAX = 16

const peer = (node: NodeId): PeerId => node as string as PeerId

export interface WriteFlowOptions {
  readonly context: NodeContext
  readonly view: TableView
  readonly place: RowPlace
  /** Which operation, value and context; where is said by `place`. */
  readonly request: WriteRequest
  readonly respond: Respond<WriteReply>
  /** On this node's monotonic clock. */
  readonly deadline: number
  readonly session?: SessionCall | undefined
  readonly onDone: () => void
}

export class WriteFlow {
  readonly #options: WriteFlowOptions
  readonly #node: NodeContext
  readonly #needed: number
  readonly #sloppy: boolean
  #view: TableView
  #partition: Partition
  #tally: QuorumTally<NodeId>
  /** Grows when the flow begins anew under a newer version of the partition: older answers count no more. */
  #round = 0
  #catchingUp = false
  #fallbacks: { node: NodeId; for: NodeId }[] = []
  #hinted: NodeId[] = []
  readonly #attempts: string[] = []
  /** Fallbacks tried or in use. */
  readonly #used: NodeId[] = []
  #coordinatesFor: NodeId | undefined
  #open = 0
  readonly #begunMs: number
  #written: Written | undefined
  #asOf = 0 as Stamp
  #answered = false
  #deadline: Deadline | undefined

  constructor(options: WriteFlowOptions) {
    this.#options = options
    this.#node = options.context
    this.#begunMs = options.context.clock.monotonicMs()
    const replication = leaderlessOf(options.view.descriptor)
    // What was true when the request came may have changed while it was on its way here.
    this.#view = options.context.catalog.find(options.view.descriptor.id) ?? options.view
    this.#partition = this.#view.map.locate(options.place.key)
    this.#needed = answersNeeded(options.request.level, this.#partition.replicas.length, replication.w, 'w')
    this.#sloppy = replication.sloppy && !options.request.strict
    this.#tally = this.#newTally()
    this.#node.hot.noteWrite(this.#view.descriptor.id, this.#partition.id, options.place.row, this.#begunMs)
  }

  /** In a partition that moves, W of the old homes and, apart from them, W of the new ones. */
  #newTally(): QuorumTally<NodeId> {
    const { level } = this.#options.request
    const { w } = leaderlessOf(this.#view.descriptor)
    return new QuorumTally(
      this.#partition.writeSets.map(members => ({
        members,
        needed: Math.min(
          answersNeeded(level, Math.max(members.length, this.#needed), w, 'w'),
          members.length,
        ),
      })),
    )
  }

  /** Everyone who must hear of the write. */
  #targets(): readonly NodeId[] {
    const { writeSets, holders } = this.#partition
    return writeSets.length === 1 ? writeSets[0]! : holders
  }

  start(): void {
    const { request, deadline } = this.#options
    const { key, row, part } = this.#options.place
    const [view, partition] = [this.#view, this.#partition]
    const node = this.#node
    this.#refuseHopeless()
    const seen = request.context === undefined ? undefined : decodeTokenOfRow(request.context, row, part)
    // The value is a view of the frame: the cell that is made of it is a copy.
    const { session } = this.#options
    const after = session?.seenOf(key)
    const causes = session?.causes(key)
    const operation = { operation: request.operation, value: request.value, seen, after, causes }
    this.#asOf = node.hybrid.peek()
    const isHome = partition.replicas.includes(node.self)
    const standsFor = isHome ? undefined : this.#standsFor()
    if (standsFor === undefined) this.#written = node.rows.write(view, key, operation)
    else {
      const written = writeAsFallback(node, view, key, operation, standsFor)
      this.#asOf = written.asOf
      this.#written = written
    }
    this.#deadline = node.rpc.deadlines.add(deadline, this)
    const { position, holdBack } = this.#written!
    this.#open++
    // Sent first: a repeated write is durable already, runs its callback at once, and must not look finished.
    if (!holdBack) this.#sendToHomes()
    node.store.whenDurable(position, () => {
      if (this.#round === 0) {
        this.#tally.ack(standsFor ?? node.self)
        if (holdBack) this.#sendToHomes()
      }
      this.#settled()
    })
  }

  /**
   * A home knows a newer version of the partition: nothing more can be acknowledged under ours. The cell is
   * here and stays what it is; it is sent again, under the newer version, to whoever must have it now.
   */
  #moveOn(informant: PeerId): void {
    if (this.#catchingUp) return
    this.#catchingUp = true
    this.#open++
    const { descriptor } = this.#view
    void this.#node.catchUp(descriptor.id, this.#partition.chunk, informant).then(() => {
      this.#catchingUp = false
      if (!this.#answered) this.#beginAnew()
      this.#settled()
    })
  }

  #beginAnew(): void {
    const { key } = this.#options.place
    const node = this.#node
    const view = node.catalog.find(this.#view.descriptor.id) ?? this.#view
    const partition = view.map.locate(key)
    if (partition.version <= this.#partition.version || this.#round >= MAP_CHANGES_MAX)
      return this.#fallShort('the map has changed and could not be learned')
    this.#round++
    this.#view = view
    this.#partition = partition
    this.#tally = this.#newTally()
    this.#fallbacks = []
    this.#hinted = []
    this.#used.length = 0
    // What this node keeps as a hint, its replayer takes to the homes of now.
    this.#coordinatesFor = undefined
    const round = this.#round
    this.#open++
    node.store.whenDurable(this.#written!.position, () => {
      if (round === this.#round && !this.#answered) {
        if (this.#targets().includes(node.self)) this.#tally.ack(node.self)
        this.#sendToHomes()
      }
      this.#settled()
    })
  }

  /** The home this node coordinates for when no home can: always writable, on sloppy tables only. */
  #standsFor(): NodeId {
    const partition = this.#partition
    const home = partition.replicas.find(replica => this.#node.isSuspected(replica)) ?? partition.replicas[0]!
    // A home to be has not all rows yet: what it would write on top of them could claim to have seen what it has not.
    const { catalog, self } = this.#node
    const isLeaving = catalog.member(self)?.state === 'leaving'
    if (!this.#sloppy || isLeaving || partition.holders.includes(self)) {
      throw new QuorateError('NOT_REPLICA', `${this.#node.self} is not a home of this row`, {
        data: { node: this.#node.self },
      })
    }
    this.#coordinatesFor = home
    this.#used.push(this.#node.self)
    this.#fallbacks.push({ node: this.#node.self, for: home })
    this.#hinted.push(home)
    return home
  }

  /** Refuses before anything is applied when too few homes are up for what was asked. */
  #refuseHopeless(): void {
    if (this.#sloppy) return
    for (const set of this.#partition.writeSets) {
      const up = set.filter(home => home === this.#node.self || !this.#node.isSuspected(home))
      if (up.length >= Math.min(this.#needed, set.length)) continue
      throw new QuorateError(
        'UNAVAILABLE',
        `w=${this.#needed} was asked, but only ${up.length} of ${set.length} home replicas are up (${up.join(', ') || 'none'})`,
        { data: { needed: this.#needed, up: up.length, n: set.length } },
      )
    }
  }

  #sendToHomes(): void {
    const { key } = this.#options.place
    const [view, partition, round] = [this.#view, this.#partition, this.#round]
    const alive: PeerId[] = []
    for (const home of this.#targets()) {
      if (home === this.#node.self || home === this.#coordinatesFor) continue
      if (this.#node.isSuspected(home)) {
        this.#attempts.push(`${home}: suspected down`)
        this.#standIn(home)
      } else alive.push(peer(home))
    }
    if (alive.length === 0) return
    this.#open += alive.length
    // Under another version of the partition there are homes that have none of the row.
    const delta = round === 0 ? this.#written!.delta : undefined
    const message = {
      table: view.descriptor.id,
      mapVersion: partition.version,
      kind: delta === undefined ? ('write' as const) : ('delta' as const),
      key,
      cell: delta ?? this.#written!.bytes,
      asOf: this.#asOf,
    }
    const onReply = (from: PeerId, error: QuorateError | undefined): void => {
      const home = from as string as NodeId
      if (round !== this.#round) return this.#settled()
      if (error === undefined) this.#tally.ack(home)
      else if (error.code === 'FENCED' || error.code === 'CAUSAL_GAP') this.#sendAgain(home)
      else if (knowsBetter(error, partition)) this.#moveOn(from)
      else {
        this.#attempts.push(`${home}: ${error.code}`)
        this.#standIn(home)
      }
      this.#settled()
    }
    try {
      this.#node.rpc.call(alive, replicaWriteMessage, message, limits.replicaTimeoutMs, (from, _, error) =>
        onReply(from, error),
      )
    } catch (error) {
      // Merged past what travels: it is applied here, and no other home can be told of it.
      if (!isQuorateError(error)) throw error
      for (const home of alive) this.#tally.fail(home as string as NodeId)
      this.#attempts.push(`${alive.join(', ')}: ${error.code}`)
      this.#open -= alive.length
    }
  }

  /** A collection raised its fence between our read and its arrival: what we hold now is newer than the cut. */
  #sendAgain(home: NodeId): void {
    const { key } = this.#options.place
    const [view, partition, round] = [this.#view, this.#partition, this.#round]
    const asOf = this.#node.hybrid.peek()
    const cell = this.#coordinatesFor === undefined ? this.#readAgain(key) : undefined
    if (cell === undefined) return this.#standIn(home)
    this.#open++
    const message = {
      table: view.descriptor.id,
      mapVersion: partition.version,
      kind: 'write' as const,
      key,
      cell,
      asOf,
    }
    // What is read now may rest on a ledger entry still in flight (see `Written.holdBack`).
    const { rpc, rows, store } = this.#node
    store.whenDurable(rows.positionOf(key), () =>
      rpc.call([peer(home)], replicaWriteMessage, message, limits.replicaTimeoutMs, (from, __, error) => {
        if (round !== this.#round) return this.#settled()
        if (error === undefined) this.#tally.ack(home)
        else if (knowsBetter(error, partition)) this.#moveOn(from)
        else this.#standIn(home)
        this.#settled()
      }),
    )
  }

  /** Undefined when this replica's copy has been found damaged meanwhile. */
  #readAgain(key: ByteString): Uint8Array | undefined {
    try {
      return this.#node.rows.read(key)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return undefined
    }
  }

  /** Finds someone to keep the write for `home`. */
  #standIn(home: NodeId): void {
    const fallback = this.#sloppy ? this.#nextFallback() : undefined
    if (fallback === undefined) {
      this.#tally.fail(home)
      this.#hintHere(home)
      return
    }
    const { key } = this.#options.place
    const [view, partition, round] = [this.#view, this.#partition, this.#round]
    this.#open++
    const message = {
      table: view.descriptor.id,
      mapVersion: partition.version,
      target: home,
      key,
      cell: this.#written!.bytes,
      asOf: this.#asOf,
    }
    this.#node.rpc.call(
      [peer(fallback)],
      storeHintMessage,
      message,
      limits.replicaTimeoutMs,
      (from, __, error) => {
        if (round !== this.#round) return this.#settled()
        if (error !== undefined && knowsBetter(error, partition)) this.#moveOn(from)
        else if (error === undefined) {
          if (this.#tally.ack(home)) this.#fallbacks.push({ node: fallback, for: home })
          this.#hinted.push(home)
        } else {
          this.#attempts.push(`${fallback} for ${home}: ${error.code}`)
          this.#standIn(home)
        }
        this.#settled()
      },
    )
  }

  #nextFallback(): NodeId | undefined {
    const partition = this.#partition
    for (const candidate of this.#view.map.preference(partition)) {
      if (
        candidate === this.#node.self ||
        partition.holders.includes(candidate) ||
        this.#used.includes(candidate) ||
        this.#node.isSuspected(candidate)
      )
        continue
      this.#used.push(candidate)
      return candidate
    }
    return undefined
  }

  /** Kept here, never counted: this coordinator's own copy is already one of the homes. */
  #hintHere(home: NodeId): void {
    if (this.#coordinatesFor !== undefined) return
    const { key } = this.#options.place
    try {
      this.#node.fences.check(key, 'store-hint', this.#asOf)
      const position = this.#node.hints.put(
        home,
        key,
        this.#written!.bytes,
        this.#asOf,
        this.#node.hybrid.peek(),
      )
      if (position !== undefined) this.#hinted.push(home)
    } catch (error) {
      // A hint is an optimisation over the sweep: a store that cannot take it must not fail the write.
      this.#attempts.push(`hint for ${home}: ${error instanceof Error ? error.message : String(error)}`)
      this.#node.counters.hintsDropped++
    }
  }

  #settled(): void {
    this.#open--
    if (!this.#answered && !this.#catchingUp) {
      const state = this.#tally.state()
      if (state === 'reached') this.#succeed()
      else if (state === 'impossible') this.#fallShort('too few replicas acknowledged')
    }
    if (this.#open === 0) this.#finish()
  }

  #succeed(): void {
    this.#answered = true
    this.#deadline?.cancel()
    this.#node.counters.writes++
    this.#node.latency.record(this.#node.clock.monotonicMs() - this.#begunMs)
    const { seen, repeated } = this.#written!
    const { row, part } = this.#options.place
    const context = encodeContextToken(seen, row, part)
    const { session } = this.#options
    session?.wrote(this.#options.place.key, seen.context)
    this.#options.respond.ok({ receipt: this.#receipt(), context, repeated, session: session?.tokenNow() })
  }

  /** The deadline passed. */
  expire(): void {
    if (!this.#answered) this.#fallShort('the deadline passed')
  }

  #fallShort(why: string): void {
    this.#answered = true
    this.#deadline?.cancel()
    this.#node.counters.writesShort++
    this.#node.latency.record(this.#node.clock.monotonicMs() - this.#begunMs)
    const acked = this.#tally.acked()
    this.#options.respond.fail(
      new QuorateError(
        'WRITE_SHORT',
        `${why}: ${acked.length} of the ${this.#needed} acknowledgements asked for; the write is on ${acked.join(', ') || 'no disk for certain'} and may yet reach the others`,
        { outcome: 'unknown', data: { acked: acked.length, needed: this.#needed }, attempts: this.#attempts },
      ),
    )
  }

  #finish(): void {
    if (!this.#answered) this.#fallShort('every replica has answered')
    this.#options.onDone()
  }

  #receipt(): WireReceipt {
    const { request } = this.#options
    const { writeSets, version } = this.#partition
    const isStoodIn = (home: NodeId): boolean => this.#fallbacks.some(fallback => fallback.for === home)
    // Of a partition that moves, the set with the fewest copies: reads may ask either before long.
    const copies = this.#tally.acked().filter(home => !isStoodIn(home))
    const inSet = (set: readonly NodeId[]): NodeId[] => copies.filter(home => set.includes(home))
    const replicas = writeSets.reduce((least, set) => (inSet(set).length < inSet(least).length ? set : least))
    return {
      coordinator: this.#node.self,
      mapVersion: version,
      needed: this.#needed,
      replicas: replicas.length,
      homes: inSet(replicas),
      fallbacks: this.#fallbacks.filter(fallback => replicas.includes(fallback.for)),
      hinted: this.#hinted,
      repaired: [],
      forwarded: request.hops > 0,
      via: [],
      hedged: false,
      log: undefined,
    }
  }
}

/** Has the peer a newer version of the partition than the one it was asked under? */
export function knowsBetter(error: QuorateError, partition: Partition): boolean {
  return error.code === 'STALE_MAP' && Number(error.data.version ?? 0) > partition.version
}
