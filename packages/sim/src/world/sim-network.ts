/**
 * The network between nodes and clients, and the `Transport` each of them has on it.
 *
 * Real bytes travel: a frame is copied when it is sent, its hash is taken then and checked against the
 * sender's buffer on delivery (a sender that changes a frame breaks the contract). Links are directed.
 * Without the fault "reordering" a link is first in, first out, as a connection is. A frame is addressed
 * to a peer, not to one life of it: what was sent to a process that died may reach its successor.
 * A peer can be sent to once its address was given with `route`, or a frame came from it.
 *
 * `unreachable`: a sender whose frame was refused (peer down or cut off) is told sometimes, after a while,
 * and otherwise never, as with a host that vanished behind a silent firewall.
 */

import {
  assert,
  type FrameReceiver,
  type PeerId,
  type Random,
  randomChance,
  randomUnit,
  type Transport,
} from '@quorate/core'
import type { MachineTime } from './machine-time.ts'

export type NetworkFault = 'message delay' | 'message loss' | 'message duplication' | 'message reordering'

/** How the links behave; changed by faults while the run goes on. */
export interface LinkConditions {
  delayMinMs: number
  delayMaxMs: number
  /** Share of frames that take up to `tailMs` instead. */
  tailChance: number
  tailMs: number
  loss: number
  duplication: number
  reordering: number
  /** Chance that a sender hears of a refused frame. */
  tellUnreachable: number
}

export const calmConditions: Readonly<LinkConditions> = {
  delayMinMs: 0.2,
  delayMaxMs: 1.5,
  tailChance: 0,
  tailMs: 0,
  loss: 0,
  duplication: 0,
  reordering: 0,
  tellUnreachable: 1,
}

/** Delays are whole tenths of a millisecond, so that frames meet at one instant and share a drain. */
const QUANTUM_US = 100
const REORDER_MAX_MS = 60

interface Endpoint {
  readonly peer: PeerId
  readonly machine: MachineTime
  receiver: FrameReceiver | undefined
  readonly routes: Set<PeerId>
  readonly told: Set<PeerId>
}

export interface SimNetworkOptions {
  readonly random: Random
  readonly onFault?: (fault: NetworkFault) => void
  /** Each frame that is delivered, for readable traces. */
  readonly onDeliver?: (from: PeerId, to: PeerId, frame: Uint8Array) => void
}

export class SimNetwork {
  readonly conditions: LinkConditions = { ...calmConditions }
  readonly #random: Random
  readonly #options: SimNetworkOptions
  readonly #endpoints = new Map<PeerId, Endpoint>()
  readonly #addresses = new Map<string, PeerId>()
  /** `from>to` → when the last frame of that link arrives. */
  readonly #lastArrivalUs = new Map<string, number>()
  readonly #cuts = new Set<string>()
  /** `from>to` → what this link takes beyond the common delay. */
  readonly #extraDelayMs = new Map<string, number>()
  delivered = 0

  constructor(options: SimNetworkOptions) {
    this.#options = options
    this.#random = options.random
  }

  /** Says where a peer listens; clients listen nowhere. */
  listen(peer: PeerId, address: string): void {
    this.#addresses.set(address, peer)
  }

  /** The transport of a new life of `peer`; an earlier one is gone from this moment. */
  attach(peer: PeerId, machine: MachineTime): Transport {
    const endpoint: Endpoint = { peer, machine, receiver: undefined, routes: new Set(), told: new Set() }
    this.#endpoints.set(peer, endpoint)
    return {
      send: (to, frame) => this.#send(endpoint, to, frame),
      serve: receiver => {
        endpoint.receiver = receiver
      },
      route: (to, address) => {
        if (this.#addresses.get(address) === to) endpoint.routes.add(to)
      },
      close: async () => this.detach(peer, endpoint),
    }
  }

  /** The process is gone: frames to it are refused, and peers may hear that their connection broke. */
  detach(peer: PeerId, only?: unknown): void {
    const endpoint = this.#endpoints.get(peer)
    if (endpoint === undefined || (only !== undefined && only !== endpoint)) return
    this.#endpoints.delete(peer)
    for (const other of [...this.#endpoints.values()]) this.#refused(other, peer)
  }

  /** Makes one direction slower than the others, from the next frame on; 0: no slower. */
  slow(from: string, to: string, extraMs: number): void {
    this.#extraDelayMs.set(`${from}>${to}`, extraMs)
  }

  /** Cuts one direction. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`)
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`)
  }

  heal(from: string, to: string): void {
    this.#cuts.delete(`${from}>${to}`)
  }

  healAll(): void {
    this.#cuts.clear()
  }

  get cutLinks(): number {
    return this.#cuts.size
  }

  #send(from: Endpoint, to: PeerId, frame: Uint8Array): void {
    if (this.#endpoints.get(from.peer) !== from) return
    if (!from.routes.has(to)) return
    if (to === from.peer) return
    const { conditions } = this
    const link = `${from.peer}>${to}`
    if (this.#cuts.has(link) || !this.#endpoints.has(to)) return this.#refused(from, to)
    if (conditions.loss > 0 && randomChance(this.#random, conditions.loss)) {
      this.#options.onFault?.('message loss')
      return
    }
    this.#deliverLater(from, to, link, frame, frame.slice(), hashOf(frame))
    if (conditions.duplication > 0 && randomChance(this.#random, conditions.duplication)) {
      this.#options.onFault?.('message duplication')
      this.#deliverLater(from, to, link, frame, frame.slice(), hashOf(frame))
    }
  }

  #deliverLater(
    from: Endpoint,
    to: PeerId,
    link: string,
    original: Uint8Array,
    copy: Uint8Array,
    hash: number,
  ): void {
    const { conditions } = this
    const { simulation } = from.machine
    let delayMs =
      conditions.delayMinMs + randomUnit(this.#random) * (conditions.delayMaxMs - conditions.delayMinMs)
    delayMs += this.#extraDelayMs.get(link) ?? 0
    if (conditions.tailChance > 0 && randomChance(this.#random, conditions.tailChance)) {
      delayMs += randomUnit(this.#random) * conditions.tailMs
      this.#options.onFault?.('message delay')
    }
    let arrivalUs = roundUp(simulation.nowUs + delayMs * 1_000)
    if (conditions.reordering > 0 && randomChance(this.#random, conditions.reordering)) {
      arrivalUs = roundUp(arrivalUs + randomUnit(this.#random) * REORDER_MAX_MS * 1_000)
      this.#options.onFault?.('message reordering')
    } else {
      arrivalUs = Math.max(arrivalUs, this.#lastArrivalUs.get(link) ?? 0)
      this.#lastArrivalUs.set(link, arrivalUs)
    }
    simulation.at(arrivalUs - simulation.nowUs, () => {
      assert(hashOf(original) === hash, 'a frame is not changed after it was sent', link)
      // A cut swallows what is under way, too.
      if (this.#cuts.has(link)) return
      const target = this.#endpoints.get(to)
      if (target === undefined) return
      target.machine.deliver(() => {
        if (this.#endpoints.get(to) !== target) return
        this.delivered++
        simulation.note(hash, copy.length)
        target.routes.add(from.peer)
        target.told.delete(from.peer)
        this.#options.onDeliver?.(from.peer, to, copy)
        target.receiver?.frame(from.peer, copy)
      })
    })
  }

  /** Sometimes the sender learns that nobody is there. */
  #refused(sender: Endpoint, peer: PeerId): void {
    if (!sender.routes.has(peer) || sender.told.has(peer)) return
    if (!randomChance(this.#random, this.conditions.tellUnreachable)) return
    sender.told.add(peer)
    const delayUs = roundUp(randomUnit(this.#random) * 3_000)
    sender.machine.simulation.at(delayUs, () =>
      sender.machine.deliver(() => {
        if (this.#endpoints.get(sender.peer) !== sender) return
        sender.told.delete(peer)
        sender.receiver?.unreachable(peer)
      }),
    )
  }
}

const roundUp = (us: number): number => Math.ceil(us / QUANTUM_US) * QUANTUM_US

/** FNV-1a over the frame, four bytes at a step where it can. */
function hashOf(frame: Uint8Array): number {
  let hash = 0x811c9dc5 ^ frame.length
  for (let i = 0; i < frame.length; i++) hash = Math.imul(hash ^ frame[i]!, 0x01000193)
  return hash >>> 0
}
