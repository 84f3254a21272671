/**
 * What the leader of one partition does, for as long as its epoch lasts.
 *
 * A write is ordered in one turn: the row as the entries before have left it, its conditions, its entry in the log,
 * with no `await` between. Entries go to the followers in batches while the leader's own sync is under way, several
 * batches ahead of their answers. When enough copies are durable the entry is committed: its effect reaches the rows,
 * and its writer hears of it, if the lease still holds then. A reader is answered from the rows under the lease, and
 * not before the first entry of this epoch is committed: until then the leader does not know what earlier ones have
 * acknowledged.
 *
 * The leader ends when a newer epoch shows, in its map or in a follower's answer, or when it has not heard enough
 * followers for so long that it would only keep others from being elected. What waits then is of unknown outcome.
 *
 * Invariants: nothing of the epoch is sent before its first entry is durable here, so a restarted leader finds it in its
 * log and never writes in that epoch again; committed before acknowledged; the lease is looked at after the commit and
 * before the reply; conditions that did not hold are told only when what they rest on is committed.
 * References: PacificA (2008); Raft (2014), §5.3, §8; Gray, Cheriton, "Leases" (1989).
 */

import { QuorateError } from '../base/errors.ts'
import type { Incarnation, NodeId, PeerId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { encodeBody, type LogBody, STORE_FORMAT } from '../leader/log-body.ts'
import type { Replica } from '../leader/replica.ts'
import { Replication } from '../leader/replication.ts'
import { SENT_BYTES } from '../leaderless/counters.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import type { AckRule } from '../leadership/acknowledgement.ts'
import { epochAt } from '../leadership/epoch-history.ts'
import type { Lead } from '../leadership/leadership.ts'
import { leaseUntilMs } from '../leadership/lease.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { type LogBeat, type LogBeatAnswer, logAppendMessage } from '../wire/led-messages.ts'
import { InSyncMembers } from './in-sync-members.ts'
import { Ordering } from './ordering.ts'
import { countsForZone } from './other-zone.ts'
import type { Place } from './place.ts'
import { type Reader, WaitingReaders } from './waiting-readers.ts'
import { type Waiting, WaitingWrites } from './waiting-writes.ts'

export interface LeadingOptions {
  readonly node: NodeContext
  readonly place: Place
  readonly replica: Replica
  readonly lead: Lead
  readonly partition: Partition
  readonly leaseMs: number
  /** How much longer than that it may take until who does not answer is out of the in-sync set. */
  readonly patienceMs: number
  /** Its epoch is over, or it can do nothing for its clients any more. */
  readonly onEnd: (why: string) => void
  /** More of the log is carried out. */
  readonly onCommitted: () => void
}

/** A leader without a lease for so many leases makes room for others. */
const PATIENCE_LEASES = 2

export class Leading {
  readonly epoch: number
  readonly ordering: Ordering
  readonly replication: Replication
  readonly #options: LeadingOptions
  readonly #rule: AckRule
  readonly #epochFrom: number
  readonly #waiting = new WaitingWrites()
  readonly #readers = new WaitingReaders()
  /** When the newest message that each follower has acknowledged was sent. */
  readonly #sentMs = new Map<NodeId, number>()
  /** The same of messages whose answers tell of copies: a disk that hangs keeps nobody from promising. */
  readonly #copiedMs = new Map<NodeId, number>()
  /** Stores that followers have answered from, the one of now first. */
  readonly #stores = new Map<NodeId, readonly Incarnation[]>()
  #sets: Partition['writeSets']
  /** Of the partition, as it is followed. */
  #version: number
  readonly #members: InSyncMembers
  /** All of them. */
  #inSync: readonly NodeId[]
  #isOpen = false
  #isPumping = false
  #ended = false
  /** Takes no writes: it is handing over. */
  #isClosing = false
  /** Nobody is told anything: another may lead already. */
  #isSealed = false
  /** All that had been committed by then, by anyone, is known to be committed here. */
  #vouchedFor = 0 as Stamp
  #leaseLostMs: number
  #leaseUntilMs = Number.NEGATIVE_INFINITY
  #isAdvancing = false
  #idsGiven = 0

  /** Throws when the store cannot take the first entry now, or the clock not be read: to be tried again. */
  constructor(options: LeadingOptions) {
    this.#options = options
    const { node, place, replica, lead, partition } = options
    const { ack, minInSync } = place.settings
    this.epoch = lead.epoch
    this.#rule = { ack, minInSync, n: partition.replicas.length }
    this.#sets = partition.writeSets
    this.#version = partition.version
    this.#members = new InSyncMembers(lead.inSync)
    this.#inSync = lead.inSync
    this.#leaseLostMs = node.clock.monotonicMs()
    this.ordering = new Ordering(replica, place.calls)
    const { log } = replica
    const body: LogBody = { kind: 'epoch', leader: node.self, stamp: node.hybrid.mint() }
    const position = log.append(this.epoch, log.end, [{ epoch: this.epoch, body: encodeBody(body) }])
    this.#epochFrom = log.shape.last
    this.replication = new Replication(
      {
        rule: this.#rule,
        self: node.self,
        epoch: this.epoch,
        sets: partition.writeSets,
        log,
        bytesMax: limits.logBatchBytes,
        pipeline: limits.logPipeline,
        ...(place.settings.otherZone ? { counts: (home: NodeId) => this.#countsForZone(home) } : {}),
      },
      this.#epochFrom,
      lead.inSync,
    )
    this.replication.setHomes(partition.writeSets, partition.holders)
    this.#renewLease()
    node.store.whenDurable(position, () => this.#opened())
  }

  #opened(): void {
    if (this.#ended) return
    this.#isOpen = true
    this.replication.durableTo(this.#epochFrom)
    this.#advance()
    this.#pump()
  }

  /** Position of the first entry of this epoch. */
  get epochFrom(): number {
    return this.#epochFrom
  }

  /** Who wrote an entry of the log. */
  epochOf(position: number): number {
    return epochAt(this.#options.replica.log.shape, position)
  }

  nextId(): number {
    return this.#idsGiven++
  }

  get rule(): AckRule {
    return this.#rule
  }

  get inSync(): readonly NodeId[] {
    return this.#inSync
  }

  /** To look at; changed by `follow` and `askInSync`. */
  get members(): Readonly<InSyncMembers> {
    return this.#members
  }

  /** The homes and the in-sync set as the map has them. */
  follow(partition: Partition, inSync: readonly NodeId[]): void {
    this.#sets = partition.writeSets
    this.#version = partition.version
    this.#members.registered = inSync
    this.replication.setHomes(partition.writeSets, partition.holders)
    this.#recount()
  }

  /** The register may have these from now on, whatever maps say, until it is known that it has not. */
  askInSync(asked: readonly NodeId[]): void {
    this.#members.asked = asked
    this.#recount()
  }

  #recount(): void {
    this.#inSync = this.#members.all
    this.replication.setInSync(this.#inSync)
    this.#renewLease()
    this.#advance()
    this.#pump()
  }

  // ── lease ──

  /** When the lease ends, on the monotonic clock. */
  get leaseUntilMs(): number {
    return this.#leaseUntilMs
  }

  get hasLease(): boolean {
    return !this.#ended && this.#options.node.clock.monotonicMs() < this.#leaseUntilMs
  }

  #renewLease(): void {
    const { node, leaseMs } = this.#options
    // Its own promise it keeps for as long as it leads.
    const sentMs = new Map(this.#sentMs).set(node.self, Number.POSITIVE_INFINITY)
    const support = { sentMs, inSync: this.#inSync, sets: this.#sets }
    this.#leaseUntilMs = leaseUntilMs(this.#rule, support, leaseMs)
  }

  /** Is everything that earlier epochs acknowledged committed here, and is nobody else elected? */
  get isEstablished(): boolean {
    return !this.#isClosing && this.replication.committed >= this.#epochFrom && this.hasLease
  }

  /** Of when the rows here are, for certain; 0: nobody knows. */
  get rowsAsOf(): Stamp {
    const hasAll = this.#options.replica.carriedOut >= this.replication.committed
    return hasAll ? this.#vouchedFor : (0 as Stamp)
  }

  /** May readers be answered: is all that is committed in the rows, from which a full store keeps it? */
  get isServing(): boolean {
    return this.isEstablished && this.#options.replica.carriedOut >= this.replication.committed
  }

  #countsForZone(home: NodeId): boolean {
    const { node, leaseMs } = this.#options
    return countsForZone(node, home, this.#copiedMs, node.clock.monotonicMs() - PATIENCE_LEASES * leaseMs)
  }

  /** When the newest message that a follower has acknowledged was sent; before the first: long ago. */
  heardFrom(follower: NodeId): number {
    return this.#sentMs.get(follower) ?? Number.NEGATIVE_INFINITY
  }

  // ── writers and readers ──

  /** Adds an entry; `waiting` hears of it. Throws when nothing was added. */
  order(body: LogBody, waiting: Omit<Waiting, 'position'>): number {
    this.#refuseClosing()
    this.#refuseTooFew()
    if (this.#waiting.size >= limits.logWaitingMax)
      throw new QuorateError('OVERLOADED', `${this.#waiting.size} writes wait for copies here already`, {
        data: { retryAfterMs: 50 },
      })
    const { node, replica } = this.#options
    const encoded = encodeBody(body)
    const stored = replica.log.append(this.epoch, replica.log.end, [{ epoch: this.epoch, body: encoded }])
    const position = replica.log.shape.last
    this.ordering.ordered(position, body)
    this.#waiting.add({ ...waiting, position })
    node.store.whenDurable(stored, () => {
      if (this.#ended) return
      this.replication.durableTo(position)
      this.#advanceSoon()
    })
    this.#pump()
    return position
  }

  /**
   * Tells when everything up to a position is committed; 0: what is carried out already. Throws when this leader hands
   * over: then it cannot know what another has told.
   */
  afterCommit(waiting: Waiting): void {
    this.#refuseClosing()
    this.#waiting.add(waiting)
    this.#advance()
  }

  /** Runs when readers may be answered. */
  whenServing(reader: Reader): void {
    if (this.isServing) reader.run()
    else this.#readers.add(reader)
  }

  #refuseTooFew(): void {
    const { ack, minInSync } = this.#rule
    if (ack !== 'in-sync' || this.#inSync.length >= minInSync) return
    const why = `${this.#inSync.length} replicas are in sync (${this.#inSync.join(', ')}), and the table asks for ${minInSync} at least`
    throw new QuorateError('UNAVAILABLE', why, { data: { minInSync, retryAfterMs: 100 } })
  }

  #refuseClosing(): void {
    if (this.#isClosing || this.#ended)
      throw new QuorateError('NOT_LEADER', `${this.#options.node.self} is handing the partition over`, {
        data: { retryAfterMs: 10 },
      })
  }

  // ── followers ──

  /** Sends what followers lack, once the requests of this turn are in. */
  #pump(): void {
    if (!this.#isOpen || this.#isPumping) return
    this.#isPumping = true
    this.#options.node.clock.defer(() => {
      this.#isPumping = false
      if (this.#ended) return
      for (const follower of this.replication.followers) this.#push(follower)
    })
  }

  #push(follower: NodeId): void {
    const { node, place } = this.#options
    for (;;) {
      const request = this.replication.next(follower)
      if (request === undefined) return
      const sentMs = node.clock.monotonicMs()
      const { table, partition } = place
      const message = { table, partition, ...request, ...this.#told() }
      node.counters.logEntriesSent += request.entries.length
      for (const { body } of request.entries) node.counters[SENT_BYTES[place.settings.log]] += body.length
      node.rpc.call(
        [follower as string as PeerId],
        logAppendMessage,
        message,
        limits.replicaTimeoutMs,
        (_, reply, error) => {
          if (this.#ended) return
          if (reply !== undefined) return this.#answered(follower, sentMs, reply)
          if (error?.code === 'FENCED') return this.#fenced(Number(error.data.fence ?? 0))
          this.replication.failed(follower)
        },
      )
    }
  }

  /** What a follower is told when there is nothing to send. Undefined: not before the epoch has begun here. */
  beat(follower: NodeId): LogBeat | undefined {
    if (!this.#isOpen || this.#ended) return undefined
    const request = this.replication.heartbeat(follower)
    if (request === undefined) return undefined
    const { epoch, before, committed } = request
    const load = this.replication.needsSnapshot(follower)
    const { table, partition } = this.#options.place
    return { table, partition, epoch, before, committed, ...this.#told(), load }
  }

  /** The last entry that all replicas have, as far as is known here. */
  get everywhere(): number {
    const { replica } = this.#options
    const others = this.replication.followers.map(follower => this.replication.matchedOf(follower))
    return Math.min(replica.carriedOut, ...others)
  }

  /** What every message tells of this leader. */
  #told() {
    const { node, replica, lead } = this.#options
    const { unclean } = lead
    const { last } = replica.log.shape
    // Nothing else has been committed by now.
    if (this.isEstablished) this.#vouchedFor = node.hybrid.peek()
    const [mapVersion, { everywhere }] = [this.#version, this]
    return { last, mapVersion, everywhere, asOf: this.#vouchedFor, unclean, storeFormat: STORE_FORMAT }
  }

  beatAnswered(follower: NodeId, sentMs: number, answer: LogBeatAnswer | undefined): void {
    if (this.#ended) return
    if (answer === undefined || answer.unknown) return this.replication.failed(follower)
    if (answer.fence > 0) return this.#fenced(answer.fence)
    if (answer.pending) {
      if (this.#heard(follower, sentMs, answer.store)) this.replication.heard(follower)
    } else this.#answered(follower, sentMs, answer)
    this.#push(follower)
  }

  #answered(
    follower: NodeId,
    sentMs: number,
    { store, matched, behind }: Omit<LogBeatAnswer, 'fence' | 'unknown' | 'pending'>,
  ): void {
    if (!this.#heard(follower, sentMs, store)) return
    this.#copiedMs.set(follower, Math.max(sentMs, this.#copiedMs.get(follower) ?? 0))
    if (behind === undefined) this.replication.answered(follower, { kind: 'matched', position: matched })
    else this.replication.answered(follower, { kind: 'behind', ...behind })
    this.#advanceSoon()
    this.#pump()
  }

  /** It has renewed its promise. False: the answer is of a store that does not count. */
  #heard(follower: NodeId, sentMs: number, store: Incarnation): boolean {
    if (!this.#isOfNow(follower, store)) {
      this.replication.failed(follower)
      return false
    }
    this.#sentMs.set(follower, Math.max(sentMs, this.#sentMs.get(follower) ?? 0))
    this.#renewLease()
    this.#advanceSoon()
    return true
  }

  /**
   * Is it from the store that the follower has now? Answers of one that was lost may still be on their way; and a new one
   * counts when the cluster knows of it: until then who lost a store may not know to whom it had promised.
   */
  #isOfNow(follower: NodeId, store: Incarnation): boolean {
    if (this.#options.node.catalog.member(follower)?.incarnation !== store) return false
    const known = this.#stores.get(follower) ?? []
    if (known[0] === store) return true
    if (known.includes(store)) return false
    this.#stores.set(follower, [store, ...known])
    if (known.length > 0) this.replication.forget(follower)
    return true
  }

  #fenced(fence: number): void {
    if (fence > this.epoch) this.end(`a replica has promised to epoch ${fence}`)
  }

  // ── progress ──

  /** Once for all that comes in this turn: what is committed together is carried out in one batch. */
  #advanceSoon(): void {
    if (this.#isAdvancing) return
    this.#isAdvancing = true
    this.#options.node.clock.defer(() => {
      this.#isAdvancing = false
      this.#advance()
    })
  }

  /** Carries out what is committed, and tells those who wait for it. */
  #advance(): void {
    if (this.#ended) return
    const { replica, onCommitted } = this.#options
    const { committed } = this.replication
    if (committed > replica.carriedOut) {
      try {
        replica.commit(committed)
      } catch (error) {
        // A full store: the entries are safe; their effect and the answers follow at a later call.
        if (!(error instanceof QuorateError)) throw error
        return
      }
      onCommitted()
    }
    // After the commit and before the reply: who has no lease cannot know that what it committed is what others see.
    if (!this.hasLease || this.#isSealed) return
    this.#waiting.committed(replica.carriedOut, rule => this.replication.committedBy(rule))
    if (this.#readers.size > 0 && this.isServing) this.#readers.runAll()
  }

  /** From time to time: deadlines, and whether this leader is of any use. */
  tick(): void {
    if (this.#ended) return
    const nowMs = this.#options.node.clock.monotonicMs()
    this.#advance()
    this.#waiting.expire(nowMs, () =>
      this.#unknown('the deadline passed before enough copies were acknowledged'),
    )
    this.#readers.expire(nowMs)
    if (this.hasLease) this.#leaseLostMs = nowMs
    else if (nowMs - this.#leaseLostMs > PATIENCE_LEASES * this.#options.leaseMs + this.#options.patienceMs)
      this.end('too few followers have answered for too long')
    this.#pump()
  }

  #unknown(why: string): QuorateError {
    return new QuorateError('WRITE_SHORT', `${why}: the write is in the log of ${this.#options.node.self}`, {
      outcome: 'unknown',
      data: { epoch: this.epoch },
    })
  }

  // ── hand-over ──

  /** Takes no more writes and answers no more reads, until it is reopened. */
  close(): void {
    this.#isClosing = true
  }

  /** Says nothing either: the register is asked to name another. */
  seal(): void {
    this.#isSealed = true
  }

  reopen(): void {
    this.#isClosing = false
    this.#isSealed = false
    this.#advance()
  }

  get isClosing(): boolean {
    return this.#isClosing
  }

  end(why: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#waiting.endAll(() => this.#unknown(`this node leads no more (${why})`))
    const error = new QuorateError('NOT_LEADER', `this node leads the partition no more: ${why}`, {
      data: { retryAfterMs: 20 },
    })
    this.#readers.failAll(error)
    this.#options.onEnd(why)
  }

  get hasEnded(): boolean {
    return this.#ended
  }
}
