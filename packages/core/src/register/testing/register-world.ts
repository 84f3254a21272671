/**
 * A small deterministic world for registers: nodes with a store, an acceptor and a proposer each, a
 * network that delays, loses, doubles and reorders, crashes that keep only what was durable, disks that
 * are wiped. Mutants (broken acceptors and clients) plug in from outside, for negative controls.
 */

import { assert } from '../../base/assert.ts'
import type { ByteString, Incarnation, NodeId } from '../../base/ids.ts'
import { randomBelow, randomChance, randomUnit, SeededRandom } from '../../base/prng.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import { ManualClock } from '../../ports/testing/manual-clock.ts'
import { AcceptorHost, beginProposerLife } from '../acceptor-host.ts'
import { Proposer } from '../proposer.ts'
import { firstConfig, type RegisterConfig, type Voter } from '../register-config.ts'
import type { AcceptorClient, AcceptorReply, AcceptorRequest } from '../register-messages.ts'
import { MemoryStore } from './memory-store.ts'

export interface WorldFaults {
  readonly loss: number
  readonly duplicate: number
  /** Share of messages that arrive very late. */
  readonly straggle: number
  readonly straggleMs: number
}

export const noFaults: WorldFaults = { loss: 0, duplicate: 0, straggle: 0, straggleMs: 0 }

/** Ways to be broken. */
export interface Mutant {
  /** What a crash does to the disk besides losing what was not durable. */
  readonly damage?: (disk: Map<ByteString, Uint8Array>) => void
  /** Handles a request instead of the acceptor: true when it did. */
  readonly handle?: (
    node: WorldNode,
    message: AcceptorRequest,
    reply: (reply: AcceptorReply) => void,
  ) => boolean
  /** Wraps what a proposer sends through. */
  readonly client?: (client: AcceptorClient) => AcceptorClient
}

export interface WorldNode {
  readonly id: NodeId
  /** Of what runs now; crashes and restarts change it. */
  life: number
  up: boolean
  store: MemoryStore
  host: AcceptorHost
  /** undefined until the life is durable. */
  proposer: Proposer | undefined
  disks: number
}

export class RegisterWorld {
  readonly clock = new ManualClock()
  readonly random: SeededRandom
  readonly nodes = new Map<NodeId, WorldNode>()
  readonly counts = { sent: 0, lost: 0, doubled: 0, straggled: 0, crashes: 0, wipes: 0 }
  faults: WorldFaults = noFaults
  readonly #mutant: Mutant
  readonly #genesis: RegisterConfig

  constructor(seed: number, nodes: readonly string[], voters: number, mutant: Mutant = {}) {
    this.random = new SeededRandom(seed)
    this.#mutant = mutant
    const ids = nodes.map(id => id as NodeId)
    this.#genesis = firstConfig(
      ids.slice(0, voters).map(node => ({ node, incarnation: `${node}#1` as string as Incarnation })),
    )
    for (const id of ids) {
      const store = this.#newStore(id, 1, undefined)
      const host = new AcceptorHost({ node: id, store })
      const node: WorldNode = { id, life: 0, up: true, store, host, proposer: undefined, disks: 1 }
      this.nodes.set(id, node)
      if (this.#genesis.acceptors.some(voter => voter.node === id)) host.adopt(this.#genesis, () => {})
      this.#startProposer(node)
    }
    this.clock.advance(10)
  }

  node(id: string): WorldNode {
    const node = this.nodes.get(id as NodeId)
    assert(node !== undefined, 'no such node', id)
    return node
  }

  voter(id: string): Voter {
    const node = this.node(id)
    return { node: node.id, incarnation: node.store.incarnation }
  }

  crash(node: WorldNode): void {
    if (!node.up) return
    this.counts.crashes++
    node.up = false
    node.life++
    node.proposer = undefined
    node.store.crash()
  }

  restart(node: WorldNode): void {
    if (node.up) return
    this.#mutant.damage?.(node.store.disk)
    node.up = true
    node.store = this.#newStore(node.id, node.disks, node.store.disk)
    node.host = new AcceptorHost({ node: node.id, store: node.store })
    this.#startProposer(node)
  }

  /** The disk is gone; what starts here next is another acceptor. */
  wipe(node: WorldNode): void {
    this.crash(node)
    this.counts.wipes++
    node.disks++
    node.up = true
    node.store = this.#newStore(node.id, node.disks, undefined)
    node.host = new AcceptorHost({ node: node.id, store: node.store })
    this.#startProposer(node)
  }

  #newStore(id: NodeId, disk: number, content: Map<ByteString, Uint8Array> | undefined): MemoryStore {
    return new MemoryStore({
      incarnation: `${id}#${disk}` as string as Incarnation,
      clock: this.clock,
      syncMs: () => 0.1 + randomUnit(this.random) * 2,
      ...(content === undefined ? {} : { disk: content }),
    })
  }

  #startProposer(node: WorldNode): void {
    const { life } = node
    beginProposerLife(node.store, proposerLife => {
      if (node.life !== life) return
      const plain: AcceptorClient = {
        request: (to, message, deadlineMs, onReply) => this.#request(node, to, message, deadlineMs, onReply),
      }
      node.proposer = new Proposer({
        node: node.id,
        incarnation: node.store.incarnation,
        life: proposerLife,
        clock: new LivingClock(this.clock, () => node.life === life),
        random: this.random.fork(),
        client: this.#mutant.client?.(plain) ?? plain,
        config: node.host.config ?? this.#genesis,
        roundTimeoutMs: 60,
        backoffMs: 3,
        backoffMaxMs: 60,
      })
    })
  }

  #request(
    from: WorldNode,
    to: NodeId,
    message: AcceptorRequest,
    deadlineMs: number,
    onReply: (reply: AcceptorReply | undefined) => void,
  ): void {
    const { life } = from
    let answered = false
    const answer = (reply: AcceptorReply | undefined): void => {
      if (answered || from.life !== life) return
      answered = true
      onReply(reply)
    }
    this.clock.setTimer(Math.max(0, deadlineMs - this.clock.monotonicMs()), () => answer(undefined))
    this.#deliver(() => {
      const target = this.node(to)
      if (!target.up) return
      const targetLife = target.life
      const reply = (value: AcceptorReply): void => {
        if (target.life === targetLife) this.#deliver(() => answer(value))
      }
      if (this.#mutant.handle?.(target, message, reply) !== true) target.host.handle(message, reply)
    })
  }

  #deliver(run: () => void): void {
    const { random, faults, counts } = this
    counts.sent++
    const delay = (): number => {
      if (!randomChance(random, faults.straggle)) return 0.2 + randomUnit(random) * 5
      counts.straggled++
      return randomBelow(random, faults.straggleMs + 1)
    }
    if (randomChance(random, faults.duplicate)) {
      counts.doubled++
      this.clock.setTimer(delay(), run)
    }
    if (randomChance(random, faults.loss)) {
      counts.lost++
      return
    }
    this.clock.setTimer(delay(), run)
  }
}

/** The clock of a process: its timers die with it. */
class LivingClock implements Clock {
  readonly #clock: Clock
  readonly #alive: () => boolean

  constructor(clock: Clock, alive: () => boolean) {
    this.#clock = clock
    this.#alive = alive
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    return this.#clock.setTimer(delayMs, () => {
      if (this.#alive()) run()
    })
  }

  defer(run: () => void): void {
    this.setTimer(0, run)
  }
}
