/**
 * A leader's view of its followers: what to send to whom next, and what their answers commit. No time, no transport.
 *
 * Mechanism: per follower the position up to which its log is known to be the leader's (`matched`), and the next
 * one to send (`next`), which runs ahead of `matched`: requests are sent before the answers to the ones before them
 * have come. A follower that lacks what stands before is asked from where the logs part (`divergence`); one whose
 * place has been trimmed here needs a snapshot. An answer counts only for the epoch it was asked in. `matched` goes back
 * when a follower says that it lacks what it had: it has been emptied, or the answer is an old one.
 *
 * Invariants: `matched < next`; committed positions go up only; what is committed is by the leader's own epoch, or
 * lies before something that is (`committedTo`).
 * References: Raft (2014), §5.3; Kafka's replica fetching; PacificA (2008).
 */

import { assert } from '../base/assert.ts'
import type { NodeId } from '../base/ids.ts'
import { type AckRule, committedOver } from '../leadership/acknowledgement.ts'
import { divergence, epochAt } from '../leadership/epoch-history.ts'
import type { PartitionLog } from './partition-log.ts'
import type { AppendAnswer, AppendRequest } from './replica.ts'

interface Follower {
  matched: number
  next: number
  /** Requests whose answers have not come. */
  open: number
  needsSnapshot: boolean
}

export interface ReplicationOptions {
  readonly rule: AckRule
  readonly self: NodeId
  readonly epoch: number
  /** The homes; while the partition moves, the old and the new ones: what is committed has its copies in each set. */
  readonly sets: readonly (readonly NodeId[])[]
  /** The leader's own log; it begins the epoch with an entry. */
  readonly log: PartitionLog
  /** Of one request. */
  readonly bytesMax: number
  /** Requests under way to one follower. */
  readonly pipeline: number
  /** Does the copy of a replica count now? Default: each does. */
  readonly counts?: (node: NodeId) => boolean
}

export class Replication {
  readonly #options: ReplicationOptions
  readonly #followers = new Map<NodeId, Follower>()
  readonly #epochFrom: number
  #inSync: readonly NodeId[]
  #sets: readonly (readonly NodeId[])[]
  #holders: readonly NodeId[]
  /** Of the leader's own log. */
  #durable = 0
  #committed = 0

  /** `epochFrom`: position of the first entry of this epoch. */
  constructor(options: ReplicationOptions, epochFrom: number, inSync: readonly NodeId[]) {
    this.#options = options
    this.#epochFrom = epochFrom
    this.#inSync = inSync
    this.#sets = options.sets
    this.#holders = []
    this.setHomes(options.sets, options.sets.flat())
  }

  /** Who counts, and who gets entries: `holders` may be more, who are getting ready to count. */
  setHomes(sets: readonly (readonly NodeId[])[], holders: readonly NodeId[]): void {
    this.#sets = sets
    this.#holders = [...new Set(holders)]
    for (const node of this.#holders)
      if (node !== this.#options.self && !this.#followers.has(node))
        this.#followers.set(node, { matched: 0, next: this.#epochFrom, open: 0, needsSnapshot: false })
    for (const node of [...this.#followers.keys()])
      if (!this.#holders.includes(node)) this.#followers.delete(node)
    this.#advance()
  }

  get followers(): readonly NodeId[] {
    return [...this.#followers.keys()]
  }

  /** How far the log is committed by a stricter rule than the table's. */
  committedBy(rule: AckRule): number {
    return this.#reached(rule, 0)
  }

  get committed(): number {
    return this.#committed
  }

  matchedOf(node: NodeId): number {
    return node === this.#options.self ? this.#durable : (this.#followers.get(node)?.matched ?? 0)
  }

  /** Entries that a replica lacks of the leader's log. */
  lagOf(node: NodeId): number {
    return this.#options.log.shape.last - this.matchedOf(node)
  }

  needsSnapshot(node: NodeId): boolean {
    return this.#followers.get(node)?.needsSnapshot ?? false
  }

  /** The set as the register has it, or while it changes the members of before and after. */
  setInSync(inSync: readonly NodeId[]): void {
    this.#inSync = inSync
    this.#advance()
  }

  /** The leader's own entries are durable up to here. */
  durableTo(position: number): void {
    this.#durable = Math.max(this.#durable, position)
    this.#advance()
  }

  /** What to send to a follower now; undefined when there is nothing, or enough on the way. */
  next(node: NodeId): AppendRequest | undefined {
    const { log, bytesMax, pipeline } = this.#options
    const follower = this.#followers.get(node)
    if (follower === undefined || follower.needsSnapshot || follower.open >= pipeline) return undefined
    if (follower.next > log.shape.last) return undefined
    if (follower.next < log.first) {
      follower.needsSnapshot = true
      return undefined
    }
    const entries = log.read(follower.next, bytesMax)
    const request = this.#request(follower.next - 1, entries)
    follower.next += entries.length
    follower.open++
    return request
  }

  /** What keeps the lease and tells how far the log is committed, when there is nothing to send. */
  heartbeat(node: NodeId): AppendRequest | undefined {
    const follower = this.#followers.get(node)
    if (follower === undefined) return undefined
    follower.open++
    return this.#request(Math.max(follower.matched, this.#options.log.first - 1), [])
  }

  #request(behind: number, entries: AppendRequest['entries']): AppendRequest {
    const { log, epoch } = this.#options
    const before = { epoch: epochAt(log.shape, behind), position: behind }
    return { epoch, before, entries, committed: this.#committed }
  }

  /** The answer to a request of this epoch, whenever it comes. */
  answered(node: NodeId, answer: AppendAnswer): void {
    const follower = this.#followers.get(node)
    if (follower === undefined) return
    follower.open = Math.max(0, follower.open - 1)
    const { log } = this.#options
    if (answer.kind === 'matched') {
      assert(answer.position <= log.shape.last, 'nobody has more of a log than its leader', { node, answer })
      // Filled: it goes on from there, wherever it was before.
      if (follower.needsSnapshot) follower.next = answer.position + 1
      follower.needsSnapshot = false
      follower.matched = Math.max(follower.matched, answer.position)
      follower.next = Math.max(follower.next, follower.matched + 1)
      return this.#advance()
    }
    // From where the logs part. The answer may be an old one: then what is known to be there is sent again, in vain.
    const shared = divergence(log.shape, answer.shape).position
    follower.matched = Math.min(follower.matched, shared)
    if (shared < answer.first - 1 || shared < log.first - 1) follower.needsSnapshot = true
    else follower.next = shared + 1
  }

  /** An answer that says nothing of the log. */
  heard(node: NodeId): void {
    const follower = this.#followers.get(node)
    if (follower !== undefined) follower.open = Math.max(0, follower.open - 1)
  }

  /** It has another store: nothing that it once acknowledged is known to be there. */
  forget(node: NodeId): void {
    const follower = this.#followers.get(node)
    if (follower === undefined) return
    follower.matched = 0
    follower.next = this.#epochFrom
    follower.needsSnapshot = false
  }

  /** No answer came: sent again from what is known. */
  failed(node: NodeId): void {
    const follower = this.#followers.get(node)
    if (follower === undefined) return
    follower.open = Math.max(0, follower.open - 1)
    follower.next = Math.min(follower.next, Math.max(follower.matched + 1, this.#options.log.first))
  }

  /** A snapshot of everything up to here is there. */
  snapshotTaken(node: NodeId, position: number): void {
    const follower = this.#followers.get(node)
    if (follower === undefined) return
    follower.needsSnapshot = false
    follower.matched = Math.max(follower.matched, position)
    follower.next = follower.matched + 1
    this.#advance()
  }

  #advance(): void {
    // The leader tells of nothing that its own disk has not, whoever else has it.
    this.#committed = Math.max(this.#committed, this.#reached(this.#options.rule, this.#committed))
  }

  #reached(rule: AckRule, committed: number): number {
    const { counts = () => true } = this.#options
    const matched = new Map(this.#holders.map(node => [node, counts(node) ? this.matchedOf(node) : 0]))
    const reached = committedOver(this.#sets, rule, {
      matched,
      inSync: this.#inSync,
      epochFrom: this.#epochFrom,
      committed,
    })
    return Math.min(reached, this.#durable)
  }
}
