/**
 * The replicas on this node of all partitions that have leaders: made and dropped as the maps say, fed by their
 * leaders' messages, and kept quiet towards each other by one message per pair of nodes.
 *
 * Problem: a lease for each of thousands of partitions would be thousands of messages for each node and beat.
 * Mechanism: every `beatMs` a node tells each other node of all partitions that it leads and that one follows; the
 * answer renews the leases and brings what followers have. Entries travel in messages of their own, at once.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import { compareStrings, type NodeId, type PeerId, type TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import type { CutEntry, RowChange } from '../leader/replica.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import type { TableWrite } from '../ports/table.ts'
import type { CallSource } from '../updates/apply-update.ts'
import {
  type LogBeat,
  type LogBeatAnswer,
  logAppendMessage,
  logBeatMessage,
  logVoteMessage,
  mapChangedMessage,
} from '../wire/led-messages.ts'
import { Seat } from './seat.ts'

export interface LedPartitionsOptions {
  readonly node: NodeContext
  readonly leaseMs: number
  readonly beatMs: number
  readonly inSyncLagMs: number
  readonly isEmptied: (view: TableView, partition: Partition) => boolean
  readonly onFilled: (view: TableView, partition: Partition) => void
  /** Records of entries that go, for the ledger. */
  readonly onCut: (table: TableId, entry: CutEntry, unclean: number) => readonly TableWrite[]
  readonly onRows: (table: TableId, changes: readonly RowChange[]) => void
  /** For tables that ship calls as they are. */
  readonly calls: CallSource
  readonly onTrouble: (message: string) => void
  readonly onNews: (message: string) => void
}

export interface Held {
  readonly view: TableView
  readonly partition: Partition
  readonly seat: Seat
}

type BeatAnswer = (answer: LogBeatAnswer | undefined) => void

export class LedPartitions {
  readonly #options: LedPartitionsOptions
  readonly #seats = new Map<TableId, Map<number, Seat>>()
  #stopped = false
  /** Someone must fill a replica of this node: from whom, and which. */
  onLoad: (held: Held, from: NodeId) => void = () => {}

  constructor(options: LedPartitionsOptions) {
    this.#options = options
    this.#serve()
  }

  start(): void {
    this.follow()
    this.#options.node.catalog.onChange(() => this.follow())
    void this.#beats()
  }

  stop(): void {
    this.#stopped = true
    for (const { seat } of this.held()) seat.stop()
  }

  // ── which partitions ──

  /** As the maps have it now. */
  follow(): void {
    if (this.#stopped) return
    const { node } = this.#options
    for (const view of node.catalog.views()) {
      if (ledOf(view.descriptor) === undefined) continue
      const { id } = view.descriptor
      const seats = this.#seats.get(id) ?? new Map<number, Seat>()
      this.#seats.set(id, seats)
      for (const partition of view.map.partitions) this.#followOne(view, partition, seats)
    }
  }

  #followOne(view: TableView, partition: Partition, seats: Map<number, Seat>): void {
    let seat = seats.get(partition.id)
    if (!partition.holders.includes(this.#options.node.self)) {
      if (seat === undefined) return
      seat.stop()
      seats.delete(partition.id)
      return
    }
    if (seat === undefined) {
      seat = this.#seat(view, partition)
      if (seat === undefined) return
      seats.set(partition.id, seat)
    }
    seat.follow(partition)
  }

  #seat(view: TableView, partition: Partition): Seat | undefined {
    const { node, leaseMs, inSyncLagMs, isEmptied, onFilled, onCut, onRows, calls, onTrouble, onNews } =
      this.#options
    const settings = ledOf(view.descriptor)!
    const [table, id] = [view.descriptor.id, partition.id]
    const now = (): { view: TableView; partition: Partition } => {
      const found = node.catalog.find(table) ?? view
      return { view: found, partition: found.map.find(id) ?? partition }
    }
    try {
      return new Seat({
        node,
        leaseMs,
        inSyncLagMs,
        place: { table, partition: id, settings, calls: settings.freeze === false ? calls : undefined },
        replica: {
          onRows: changes => onRows(table, changes),
          onDamaged: key => node.rows.markDamaged(key),
        },
        onCut: (entry, unclean) => onCut(table, entry, unclean),
        isEmptied: () => isEmptied(now().view, now().partition),
        onFilled: () => onFilled(now().view, now().partition),
        onNews,
      })
    } catch (error) {
      if (!isQuorateError(error)) throw error
      onTrouble(`partition ${id} of "${view.descriptor.name}": ${error.message}`)
      return undefined
    }
  }

  find(table: number, partition: number): Held | undefined {
    const seat = this.#seats.get(table as TableId)?.get(partition)
    const view = this.#options.node.catalog.find(table)
    const found = view?.map.find(partition)
    if (seat === undefined || view === undefined || found === undefined) return undefined
    return { view, partition: found, seat }
  }

  held(): Held[] {
    return [...this.#seats.keys()].flatMap(table => this.heldOf(table))
  }

  heldOf(table: TableId): Held[] {
    const seats = this.#seats.get(table)
    return [...(seats?.keys() ?? [])].flatMap(partition => this.find(table, partition) ?? [])
  }

  // ── what leaders and candidates send ──

  #serve(): void {
    const { node } = this.#options
    const { rpc, store } = node
    rpc.handle(logAppendMessage, (request, respond, from) => {
      const held = this.find(request.table, request.partition)
      if (held === undefined) throw this.#notHere(request.table, request.partition)
      const { answer, position } = held.seat.append(from as string as NodeId, request, request.entries)
      const reply =
        answer.kind === 'matched'
          ? { store: store.incarnation, matched: answer.position, behind: undefined }
          : { store: store.incarnation, matched: 0, behind: { shape: answer.shape, first: answer.first } }
      store.whenDurable(position, () => respond.ok(reply))
    })
    rpc.handle(logBeatMessage, ({ beats }, respond, from) => {
      const answers = beats.map(beat => this.#beaten(from as string as NodeId, beat))
      // At once: a promise is kept in memory, and a disk that is slow must not look like a node that is dead.
      respond.ok({ answers })
    })
    rpc.handle(logVoteMessage, ({ candidate, dry, partitions }, respond) => {
      const votes = partitions.map(({ table, partition, epoch }) => {
        const held = this.find(table, partition)
        if (held !== undefined) return held.seat.vote(candidate, epoch, dry)
        const end = { epoch: 0, position: 0 }
        const why = `${node.self} does not keep the partition`
        return {
          vote: { granted: false, why, fence: 0, end, told: end, emptied: true, leads: false },
          position: 0,
        }
      })
      const last = Math.max(0, ...votes.map(({ position }) => position))
      store.whenDurable(last, () => respond.ok({ votes: votes.map(({ vote }) => vote) }))
    })
    rpc.handle(mapChangedMessage, ({ table, index }, respond, from) => {
      void node.catchUp(table as TableId, index, from).then(() => respond.ok({}))
    })
  }

  #notHere(table: number, partition: number): QuorateError {
    return new QuorateError(
      'NOT_REPLICA',
      `${this.#options.node.self} does not keep partition ${partition} of table ${table}`,
    )
  }

  notLeading(table: number, partition: number): QuorateError {
    return new QuorateError(
      'NOT_LEADER',
      `${this.#options.node.self} does not lead partition ${partition} of table ${table}`,
      { data: { retryAfterMs: 20 } },
    )
  }

  #beaten(from: NodeId, beat: LogBeat): LogBeatAnswer {
    const { store: own } = this.#options.node
    const store = own.incarnation
    const nothing = { store, matched: 0, behind: undefined, fence: 0, unknown: false, pending: false }
    const held = this.find(beat.table, beat.partition)
    if (held === undefined) return { ...nothing, unknown: true }
    try {
      const { answer, position } = held.seat.append(from, beat, [])
      if (answer.kind === 'matched')
        return position > own.durable
          ? { ...nothing, pending: true }
          : { ...nothing, matched: answer.position }
      if (beat.load) this.onLoad(held, from)
      const { shape, first } = answer
      return { ...nothing, behind: { shape, first } }
    } catch (error) {
      if (!isQuorateError(error)) throw error
      if (error.code === 'STORE_FULL' || error.code === 'OVERLOADED') {
        held.seat.promise(from)
        return { ...nothing, pending: true }
      }
      if (error.code === 'PROTOCOL_VERSION') this.#options.onTrouble(error.message)
      const fence = error.code === 'FENCED' ? Number(error.data.fence ?? 0) : 0
      return { ...nothing, fence, unknown: fence === 0 }
    }
  }

  // ── what this node sends ──

  async #beats(): Promise<void> {
    const { node, beatMs } = this.#options
    while (!this.#stopped) {
      await pause(node.clock, beatMs)
      if (this.#stopped) return
      this.#beat()
    }
  }

  #beat(): void {
    const { node } = this.#options
    const byPeer = new Map<NodeId, { beats: LogBeat[]; answers: BeatAnswer[] }>()
    const sentMs = node.clock.monotonicMs()
    for (const { seat, partition } of this.held()) {
      seat.beginIfLeader(partition)
      const { leading } = seat
      leading?.tick()
      if (leading === undefined || leading.hasEnded) continue
      for (const follower of leading.replication.followers) {
        const beat = leading.beat(follower)
        if (beat === undefined) continue
        const to = byPeer.get(follower) ?? { beats: [], answers: [] }
        byPeer.set(follower, to)
        to.beats.push(beat)
        to.answers.push(answer => leading.beatAnswered(follower, sentMs, answer))
      }
    }
    for (const [peer, { beats, answers }] of [...byPeer].sort(([a], [b]) => compareStrings(a, b)))
      this.#send(peer, beats, answers)
  }

  #send(peer: NodeId, beats: readonly LogBeat[], answers: readonly BeatAnswer[]): void {
    const { node } = this.#options
    const to = peer as string as PeerId
    node.rpc.call([to], logBeatMessage, { beats }, limits.replicaTimeoutMs, (_, reply) => {
      for (const [at, answer] of answers.entries()) answer(reply?.answers[at])
    })
  }
}
