/**
 * One replica of a partition with a leader, on this node: follows whoever leads, votes, and leads when the register
 * says so.
 *
 * Promises: each message of a leader renews, from the moment it came, the promise to answer no election for one lease
 * (`mayVote`); they are not kept on disk, so a process that starts answers nothing for one lease. The candidate that a
 * seat last supported may ask at once: a leader that asks for votes has begun anew, and leads no more by the old one.
 *
 * A replica that was emptied, by the loss of its store or to be filled anew, promises like any other, and says that its
 * log counts for nothing, until it has everything that its leader had when it began to have something again.
 *
 * Invariants: a vote is told when its fence is durable, and its end is what the log ends with from then on; an epoch is
 * begun once: never by a process that finds entries of it in its log.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { NodeId, Stamp } from '../base/ids.ts'
import { stampMs } from '../causality/hybrid-clock.ts'
import { decodeBody, STORE_FORMAT } from '../leader/log-body.ts'
import { type AppendAnswer, type CutEntry, Replica, type ReplicaOptions } from '../leader/replica.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { beforeAll, comparePoints, type LogPoint } from '../leadership/epoch-history.ts'
import type { Lead } from '../leadership/leadership.ts'
import { mayVote } from '../leadership/lease.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { TableWrite } from '../ports/table.ts'
import type { LogBeat, LogVote } from '../wire/led-messages.ts'
import { Leading } from './leading.ts'
import type { Place } from './place.ts'

export interface SeatOptions {
  readonly node: NodeContext
  readonly place: Place
  readonly leaseMs: number
  readonly inSyncLagMs: number
  readonly replica: Pick<ReplicaOptions, 'onRows' | 'onDamaged'>
  /** Records of an entry that goes; `unclean`: the last epoch that began by an unclean election. */
  readonly onCut: (entry: CutEntry, unclean: number) => readonly TableWrite[]
  /** Did this node lose its store, and not get back yet what it had of this partition? */
  readonly isEmptied: () => boolean
  /** Everything that the leader had is here. */
  readonly onFilled: () => void
  readonly onNews: (message: string) => void
}

const FORSAKEN_LEASES = 2
/** After the last page of a filling. */
const HOLD_MS = 30_000

export interface SeatReport {
  readonly state: 'leads' | 'begins' | 'follows' | 'is being filled' | 'is being rebuilt'
  readonly end: LogPoint
  readonly carriedOut: number
  readonly first: number
  /** How long ago the last message of a leader came. */
  readonly heardMs: number
  readonly staleMs: number
  readonly followers: readonly {
    readonly node: NodeId
    readonly entries: number
    readonly bytes: number
    /** Age of the oldest entry that it lacks. */
    readonly seconds: number
    /** Since the newest message that it has answered was sent; null: none yet. */
    readonly silentMs: number | null
    /** False: the log does not reach back to what it lacks. */
    readonly isFilled: boolean
  }[]
}

type Progress = Pick<
  LogBeat,
  'epoch' | 'before' | 'committed' | 'last' | 'mapVersion' | 'everywhere' | 'asOf' | 'unclean' | 'storeFormat'
>

export class Seat {
  readonly place: Place
  readonly replica: Replica
  readonly #options: SeatOptions
  #lead: Lead | undefined
  #leading: Leading | undefined
  /** When the last message of a leader came. */
  #heardMs: number
  #supported: NodeId | undefined
  /** Everything that was committed at this moment, by the leader's clock, has been carried out here. */
  #asOfMs = 0
  #unclean = 0
  #everywhere = 0
  #isStopped = false
  /** The furthest end of a leader's log that was told of. */
  #told: LogPoint = beforeAll
  /** The greatest version of the partition under which a leader's whole log was here. */
  #wholeUnder = 0
  #hold: { readonly from: number; untilMs: number } | undefined
  readonly #waiting = new Set<() => void>()

  constructor(options: SeatOptions) {
    const { node, place, replica } = options
    this.#options = options
    this.place = place
    const { table, partition, calls } = place
    const more = calls === undefined ? {} : { calls }
    const onCut = (entry: CutEntry): readonly TableWrite[] => options.onCut(entry, this.#unclean)
    this.replica = new Replica({ ...replica, ...more, onCut, store: node.store, table, partition })
    this.#heardMs = node.clock.monotonicMs()
  }

  /** Undefined unless this node leads the partition now. */
  get leading(): Leading | undefined {
    return this.#leading
  }

  get lead(): Lead | undefined {
    return this.#lead
  }

  get heardMs(): number {
    return this.#heardMs
  }

  /** Has no leader been heard of for so long that what is handed on to it is hardly answered? */
  get isForsaken(): boolean {
    const { node, leaseMs } = this.#options
    return this.#leading === undefined && node.clock.monotonicMs() - this.#heardMs > FORSAKEN_LEASES * leaseMs
  }

  /** May rows be told from here, by a follower? */
  get isReadable(): boolean {
    return this.replica.isWhole && !this.#options.isEmptied()
  }

  /** Did this replica have everything that a leader had who acted under this version of the partition, or a newer one? */
  isWholeUnder(version: number): boolean {
    if (this.#leading?.isServing === true) return true
    return this.isReadable && this.#wholeUnder >= version
  }

  /** The last entry that all replicas have, as its leader has told. */
  get everywhere(): number {
    return Math.max(this.#everywhere, this.#leading?.everywhere ?? 0)
  }

  /** How old the state here may be, in milliseconds, by this node's clock. */
  staleMs(): number {
    if (this.#leading?.isServing === true) return 0
    const asOfMs = Math.max(this.#asOfMs, stampMs(this.#leading?.rowsAsOf ?? (0 as Stamp)))
    return Math.max(0, stampMs(this.#options.node.hybrid.peek()) - asOfMs)
  }

  /** Told when more is carried out, until what is given back is called. */
  onProgress(run: () => void): () => void {
    this.#waiting.add(run)
    return () => void this.#waiting.delete(run)
  }

  #progressed(): void {
    for (const run of [...this.#waiting]) run()
  }

  // ── the register ──

  /** Who leads, as the register has it. */
  follow(partition: Partition): void {
    const { lead } = partition
    if (lead === undefined || lead.epoch < (this.#lead?.epoch ?? 0)) return
    const isNew = lead.epoch !== this.#lead?.epoch
    this.#lead = lead
    this.#unclean = Math.max(this.#unclean, lead.unclean)
    if (this.#leading !== undefined && this.#leading.epoch < lead.epoch)
      this.#leading.end(`${lead.leader ?? 'nobody'} leads epoch ${lead.epoch}`)
    else if (this.#leading !== undefined) this.#leading.follow(partition, lead.inSync)
    if (isNew && lead.leader !== undefined) {
      this.#heardMs = Math.max(this.#heardMs, this.#options.node.clock.monotonicMs())
      this.#supported = lead.leader
    }
    this.beginIfLeader(partition)
  }

  /** Leads, if the register says so and this process may. */
  beginIfLeader(partition: Partition): void {
    const { node, leaseMs, place } = this.#options
    const lead = this.#lead
    const { log } = this.replica
    if (lead?.leader !== node.self || this.#leading !== undefined || !this.isReadable) return
    // Entries of the epoch that are here, or were sent from here and are not: only a new epoch tells them apart.
    if (log.fence > lead.epoch || log.end.epoch >= lead.epoch) return
    try {
      this.#observeLast()
      node.counters.leaderships++
      this.#leading = new Leading({
        node,
        place,
        replica: this.replica,
        lead,
        partition,
        leaseMs,
        patienceMs: place.settings.ack === 'in-sync' ? 2 * this.#options.inSyncLagMs : 0,
        onEnd: why => this.#ended(why),
        onCommitted: () => this.#progressed(),
      })
      const { table, partition: id } = place
      // The first leaders of a table are no news.
      if (lead.epoch > 1)
        this.#options.onNews(
          `this node leads partition ${id} of table ${table}: epoch ${lead.epoch}, ${lead.evidence.kind}`,
        )
    } catch (error) {
      // The store or the clock, now: tried again by whoever comes next.
      if (!isQuorateError(error)) throw error
      this.#leading = undefined
    }
  }

  /** Stamps ascend along the log, whoever wrote it. */
  #observeLast(): void {
    const { log } = this.replica
    if (log.shape.last < log.first) return
    const { body } = log.entry(log.shape.last)
    this.#options.node.hybrid.observe(decodeBody(body).stamp, 'the last entry of the log')
  }

  #ended(why: string): void {
    this.#asOfMs = Math.max(this.#asOfMs, stampMs(this.#leading?.rowsAsOf ?? (0 as Stamp)))
    this.#leading = undefined
    this.#heardMs = this.#options.node.clock.monotonicMs()
    if (this.#isStopped) return
    const { table, partition } = this.place
    this.#options.onNews(`this node leads partition ${partition} of table ${table} no more: ${why}`)
  }

  // ── a leader's messages ──

  /** Entries, or none, of whoever leads. Throws FENCED, with the fence. */
  append(
    from: NodeId,
    progress: Progress,
    entries: Parameters<Replica['append']>[0]['entries'],
  ): { readonly answer: AppendAnswer; readonly position: number } {
    const { epoch, before, committed, last, asOf } = progress
    this.#refuseOtherFormat(from, progress.storeFormat)
    // A replica that lost its store has lost its fence: that the register has a newer leader is one, too.
    const newest = this.#lead?.epoch ?? 0
    if (epoch < newest)
      throw new QuorateError('FENCED', `epoch ${epoch} leads no more: the register has epoch ${newest}`, {
        data: { epoch, fence: newest },
      })
    if (this.#leading !== undefined && epoch > this.#leading.epoch)
      this.#leading.end(`${from} leads epoch ${epoch}`)
    this.#unclean = Math.max(this.#unclean, progress.unclean)
    this.#everywhere = Math.max(this.#everywhere, progress.everywhere)
    const told = { epoch, position: last }
    if (comparePoints(told, this.#told) > 0) this.#told = told
    const had = this.replica.carriedOut
    const result = this.replica.append({ epoch, before, entries, committed })
    this.#heardMs = this.#options.node.clock.monotonicMs()
    this.#supported = from
    if (this.replica.isWhole && this.replica.carriedOut >= committed) {
      this.#asOfMs = Math.max(this.#asOfMs, stampMs(asOf))
      if (result.answer.kind === 'matched' && result.answer.position >= last)
        this.#wholeUnder = Math.max(this.#wholeUnder, progress.mapVersion)
      if (result.answer.kind === 'matched' && result.answer.position >= last && this.#options.isEmptied())
        this.#options.node.store.whenDurable(result.position, () => this.#options.onFilled())
    }
    if (this.replica.carriedOut > had) this.#progressed()
    return result
  }

  /**
   * Promises a leader its lease though its message cannot be taken, since the store has no room: a vote would need room,
   * too. Only after `append` has not called the message fenced.
   */
  promise(from: NodeId): void {
    this.#heardMs = this.#options.node.clock.monotonicMs()
    this.#supported = from
  }

  /** The log is kept from here on for a replica that is being filled, while it asks for pages, and catches up. */
  holdLog(from: number): void {
    const nowMs = this.#options.node.clock.monotonicMs()
    if (this.#hold === undefined || this.#hold.untilMs < nowMs) this.#hold = { from, untilMs: 0 }
    this.#hold.untilMs = nowMs + HOLD_MS
  }

  /** Up to where the log may be forgotten, whatever room it takes. */
  get mayForget(): number {
    const nowMs = this.#options.node.clock.monotonicMs()
    return this.#hold === undefined || this.#hold.untilMs < nowMs
      ? Number.POSITIVE_INFINITY
      : this.#hold.from - 1
  }

  /** Before the first entry is taken: a log of bytes that cannot be carried out here is no copy. */
  #refuseOtherFormat(from: NodeId, format: number): void {
    const { log } = this.place.settings
    if (log !== 'physical' || format === STORE_FORMAT) return
    throw new QuorateError(
      'PROTOCOL_VERSION',
      `${from} ships the bytes of its store, of format ${format}, and the store here is of format ${STORE_FORMAT}: let both nodes run the same version, or the table ship its log as "logical"`,
      { data: { format, own: STORE_FORMAT } },
    )
  }

  /** For whoever looks: where this replica stands, and if it leads, how far each follower is behind it. */
  report(): SeatReport {
    const { log, carriedOut } = this.replica
    const nowMs = this.#options.node.clock.monotonicMs()
    const leading = this.#leading
    return {
      state:
        leading?.isEstablished === true
          ? 'leads'
          : leading !== undefined
            ? 'begins'
            : this.#stateOfFollower(),
      end: this.end,
      carriedOut,
      first: log.first,
      heardMs: Math.round(nowMs - this.#heardMs),
      staleMs: Math.round(this.staleMs()),
      followers: (leading?.replication.followers ?? []).map(node => ({
        node,
        ...this.#lagOf(leading!, node, nowMs),
      })),
    }
  }

  #stateOfFollower(): 'follows' | 'is being filled' | 'is being rebuilt' {
    if (!this.replica.isWhole) return 'is being filled'
    return this.#options.isEmptied() ? 'is being rebuilt' : 'follows'
  }

  #lagOf(leading: Leading, follower: NodeId, nowMs: number) {
    const { log } = this.replica
    const entries = leading.replication.lagOf(follower)
    const matched = leading.replication.matchedOf(follower)
    // Of a log that was trimmed, what is left of it.
    const oldest = Math.max(matched + 1, log.first)
    const stamp = oldest > log.shape.last ? undefined : decodeBody(log.entry(oldest).body).stamp
    const seconds =
      stamp === undefined
        ? 0
        : Math.max(0, stampMs(this.#options.node.hybrid.peek()) - stampMs(stamp)) / 1_000
    const heard = leading.heardFrom(follower)
    return {
      entries,
      bytes: log.bytesBehind(matched),
      seconds,
      silentMs: Number.isFinite(heard) ? Math.round(nowMs - heard) : null,
      isFilled: !leading.replication.needsSnapshot(follower),
    }
  }

  // ── votes ──

  /** `position`: what to wait for before it is told. */
  vote(candidate: NodeId, epoch: number, dry: boolean): { vote: LogVote; position: number } {
    const { node } = this.#options
    const why = this.#whyNoVote(candidate, epoch)
    const { log } = this.replica
    const leads = this.#leading?.hasLease === true
    let position = 0
    if (why === '' && !dry) {
      position = log.raiseFence(epoch + 1)
      if (this.#leading !== undefined) this.#leading.end(`${node.self} has voted for epoch ${epoch + 1}`)
    }
    const emptied = !this.isReadable
    return {
      vote: { granted: why === '', why, fence: log.fence, end: log.end, told: this.#told, emptied, leads },
      position,
    }
  }

  #whyNoVote(candidate: NodeId, epoch: number): string {
    const { node, leaseMs } = this.#options
    const known = this.#lead?.epoch ?? 0
    if (known > epoch) return `epoch ${known} has begun`
    if (candidate === this.#supported) return ''
    if (this.#leading?.hasLease === true) return 'it leads'
    const nowMs = node.clock.monotonicMs()
    if (!mayVote(nowMs, this.#heardMs, leaseMs))
      return `it heard ${this.#supported ?? 'its own start'} ${Math.round(nowMs - this.#heardMs)} ms ago`
    return ''
  }

  /** Where this replica's log ends. */
  get end(): LogPoint {
    return this.replica.log.end
  }

  stop(): void {
    this.#isStopped = true
    this.#leading?.end('the node stops')
  }
}
