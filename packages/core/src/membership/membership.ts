/**
 * Who is up, how loaded they are, and which registers have moved: hearsay, never a decision.
 *
 * Mechanism: about once a second every node bumps its heartbeat and reconciles (Scuttlebutt) with one or
 * two random live peers, sometimes with a suspected one and with a seed, so that healed cuts are noticed.
 * A peer whose heartbeat stays away too long for its own habits (phi accrual), widened by doubt in this
 * node's own punctuality (local health), is suspected.
 * Invariants: the members are given from outside (`setMembers`) and gossip never adds one; suspicion may
 * change routing, hedging and hints, never ownership; a restart is a new generation, never the old
 * state going on. See SPEC.md for references.
 */

import type { NodeId } from '../base/ids.ts'
import { randomBelow, randomChance, randomPick, randomShuffle, randomUnit } from '../base/prng.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import { type GossipMessage, type GossipNews, GossipState, type GossipValue } from './gossip-state.ts'
import { LocalHealth } from './local-health.ts'
import { PhiAccrual } from './phi-accrual.ts'

/** Port. Promises nothing: messages may be lost, late, doubled. Never calls back from inside `send`. */
export interface GossipNetwork {
  send(node: NodeId, message: GossipMessage): void
}

export type GossipListener = (node: NodeId, key: string, value: GossipValue | undefined) => void

export interface MembershipOptions {
  readonly self: NodeId
  /** Grows with every start of the process on this store; raised above what peers say of an earlier store. */
  readonly generation: number
  readonly clock: Clock
  readonly random: Random
  readonly network: GossipNetwork
  /** Asked now and then whatever is thought of them. */
  readonly seeds?: readonly NodeId[]
  readonly intervalMs?: number
  /** Suspected above this phi. */
  readonly phiThreshold?: number
  /** Delta in one message. */
  readonly deltaBytesMax?: number
  /** How long deleted keys are remembered as deleted. */
  readonly tombstoneGraceMs?: number
}

const PHI_WINDOW = 200
const SUSPECTED_SHARE = 0.3
const SEED_SHARE = 0.1

export class Membership {
  readonly #self: NodeId
  readonly #clock: Clock
  readonly #random: Random
  readonly #network: GossipNetwork
  readonly #seeds: readonly NodeId[]
  readonly #intervalMs: number
  readonly #phiThreshold: number
  readonly #deltaBytesMax: number
  readonly #tombstoneGraceMs: number
  readonly #state: GossipState
  readonly #health = new LocalHealth()
  readonly #detectors = new Map<NodeId, PhiAccrual>()
  readonly #listeners = new Set<GossipListener>()
  #timer: Timer | undefined
  #dueMs = 0

  constructor(options: MembershipOptions) {
    this.#self = options.self
    this.#clock = options.clock
    this.#random = options.random
    this.#network = options.network
    this.#seeds = (options.seeds ?? []).filter(seed => seed !== options.self)
    this.#intervalMs = options.intervalMs ?? 1_000
    this.#phiThreshold = options.phiThreshold ?? 8
    this.#deltaBytesMax = options.deltaBytesMax ?? 64 * 1024
    this.#tombstoneGraceMs = options.tombstoneGraceMs ?? 3_600_000
    this.#state = new GossipState(options.self, options.generation)
  }

  start(): void {
    this.#schedule(randomUnit(this.#random) * this.#intervalMs)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** The cluster's members as the registers have them. What is known of others is forgotten. */
  setMembers(ids: Iterable<NodeId>): void {
    const members = new Set(ids)
    members.delete(this.#self)
    this.#state.setMembers(members)
    for (const node of [...this.#detectors.keys()]) if (!members.has(node)) this.#detectors.delete(node)
    for (const node of members) if (!this.#detectors.has(node)) this.#detectors.set(node, this.#newDetector())
  }

  /** Members but this one, sorted. */
  peers(): NodeId[] {
    return [...this.#detectors.keys()].sort()
  }

  /** A node that is no member is always suspected. */
  isSuspected(node: NodeId): boolean {
    return node !== this.#self && this.phi(node) > this.#phiThreshold
  }

  phi(node: NodeId): number {
    const detector = this.#detectors.get(node)
    if (detector === undefined) return node === this.#self ? 0 : Number.POSITIVE_INFINITY
    return detector.phi(this.#clock.monotonicMs(), this.suspicionMultiplier())
  }

  /** 1 … 8: how much this node doubts itself. */
  suspicionMultiplier(): number {
    const overdue = this.#timer === undefined ? 0 : this.#clock.monotonicMs() - this.#dueMs
    return this.#health.multiplier(overdue)
  }

  set(key: string, value: GossipValue): void {
    this.#state.set(key, value)
  }

  delete(key: string): void {
    this.#state.delete(key, this.#clock.monotonicMs())
  }

  get(node: NodeId, key: string): GossipValue | undefined {
    return this.#state.get(node, key)
  }

  generationOf(node: NodeId): number {
    return this.#state.generationOf(node)
  }

  /** Told of every change of another node's keys. Returns the way to stop. */
  onChange(listener: GossipListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  receive(from: NodeId, message: GossipMessage): void {
    if (!this.#detectors.has(from)) return
    switch (message.kind) {
      case 'syn': {
        this.#beats(this.#state.hearDigest(message.digest))
        const delta = this.#state.deltaFor(message.digest, this.#deltaBytesMax)
        this.#network.send(from, { kind: 'synack', digest: this.#state.digest(), delta })
        return
      }
      case 'synack': {
        this.#news(this.#state.apply(message.delta, this.#clock.monotonicMs()))
        this.#beats(this.#state.hearDigest(message.digest))
        const delta = this.#state.deltaFor(message.digest, this.#deltaBytesMax)
        if (delta.length > 0) this.#network.send(from, { kind: 'ack', delta })
        return
      }
      case 'ack':
        this.#news(this.#state.apply(message.delta, this.#clock.monotonicMs()))
    }
  }

  #schedule(delayMs: number): void {
    this.#dueMs = this.#clock.monotonicMs() + delayMs
    this.#timer = this.#clock.setTimer(delayMs, () => this.#tick())
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs()
    const lateMs = nowMs - this.#dueMs
    this.#health.observe(lateMs)
    // While this node stood still it could hear nobody: that silence is its own.
    if (lateMs > this.#intervalMs / 2)
      for (const detector of this.#detectors.values()) detector.forgive(lateMs, nowMs)
    this.#state.beat()
    this.#state.collect(nowMs, this.#tombstoneGraceMs)
    for (const peer of this.#choosePeers())
      this.#network.send(peer, { kind: 'syn', digest: this.#state.digest() })
    this.#schedule(this.#intervalMs * (0.9 + randomUnit(this.#random) * 0.2))
  }

  #choosePeers(): Set<NodeId> {
    const random = this.#random
    const live: NodeId[] = []
    const suspected: NodeId[] = []
    for (const peer of this.peers()) (this.isSuspected(peer) ? suspected : live).push(peer)
    const chosen = new Set(randomShuffle(random, live).slice(0, 1 + randomBelow(random, 2)))
    if (suspected.length > 0 && (live.length === 0 || randomChance(random, SUSPECTED_SHARE))) {
      chosen.add(randomPick(random, suspected))
    }
    const seeds = this.#seeds.filter(seed => this.#detectors.has(seed))
    if (seeds.length > 0 && randomChance(random, SEED_SHARE)) chosen.add(randomPick(random, seeds))
    return chosen
  }

  #news(news: GossipNews): void {
    // Habits of the former process say nothing about the new one.
    for (const node of news.restarted) this.#detectors.set(node, this.#newDetector())
    this.#beats(news.beats)
    for (const { node, key, value } of news.changes) {
      for (const listener of [...this.#listeners]) listener(node, key, value)
    }
  }

  #beats(nodes: readonly NodeId[]): void {
    const nowMs = this.#clock.monotonicMs()
    for (const node of nodes) this.#detectors.get(node)?.beat(nowMs)
  }

  #newDetector(): PhiAccrual {
    return new PhiAccrual(
      // Beats come by hearsay, over a random walk: its tail is longer than a normal one, so the floor is high.
      { window: PHI_WINDOW, firstIntervalMs: 2 * this.#intervalMs, deviationMinMs: this.#intervalMs },
      this.#clock.monotonicMs(),
    )
  }
}
