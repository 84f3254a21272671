/**
 * How much may be destroyed at once.
 *
 * Crashes, cuts and pauses may hit any number of nodes: they cost availability, never data. Destroying what
 * was durable is different. A row promised on W homes, or a register accepted by a majority of its voters,
 * survives the loss of *one* copy that is then rebuilt from the others; two copies lost at a time may be all
 * there were (N = 3, W = 2), and no protocol can answer for that. So at most one machine is *wounded* at a
 * time: its store wiped, or bits of it flipped; and it stays wounded until nothing of the loss is left:
 *   - a wiped store: the node is up, the cluster names its new incarnation, its rebuild is done, and if it is
 *     a voter the registers' configuration has its new acceptor, alone;
 *   - a flipped bit in a row: the node is up, reads the row, and it is not marked damaged;
 *   - a flipped bit in a promise (acceptor state, clock bound): the bad bytes have been overwritten;
 *   - a flipped bit in the log: the segment is gone (a checkpoint made it superfluous).
 * A store found damaged is wiped by its operator, and is then a wiped store of the same machine.
 */

import { type ByteString, bytesEqual, DAMAGED } from '@quorate/core'
import type { Destruction } from '../checkers/evidence.ts'
import type { SimMachine } from '../world/sim-machine.ts'

interface Wound {
  readonly machine: SimMachine
  wiped: boolean
  gone: boolean
  readonly rows: Set<ByteString>
  /** Promises, with the bad bytes: reading one ends the store. */
  readonly promises: Map<ByteString, Uint8Array>
  readonly segments: Set<string>
}

export class DestructionLedger {
  #wound: Wound | undefined
  /** For the checkers: who lost what was durable, and when. */
  readonly destroyed: Destruction[] = []

  get wounded(): SimMachine | undefined {
    return this.#wound?.machine
  }

  /** May something durable on this machine be destroyed now? */
  allows(machine: SimMachine): boolean {
    this.settle()
    return this.#wound === undefined || this.#wound.machine === machine
  }

  wiped(machine: SimMachine, atMs: number): void {
    const wound = this.#woundOf(machine, atMs)
    wound.wiped = true
    wound.rows.clear()
    wound.promises.clear()
    wound.segments.clear()
  }

  rowFlipped(machine: SimMachine, key: ByteString, atMs: number): void {
    this.#woundOf(machine, atMs).rows.add(key)
  }

  promiseFlipped(machine: SimMachine, key: ByteString, bytes: Uint8Array, atMs: number): void {
    this.#woundOf(machine, atMs).promises.set(key, bytes)
  }

  logFlipped(machine: SimMachine, segment: string, atMs: number): void {
    this.#woundOf(machine, atMs).segments.add(segment)
  }

  #woundOf(machine: SimMachine, atMs: number): Wound {
    this.destroyed.push({ node: machine.id, atMs })
    this.#wound ??= {
      machine,
      wiped: false,
      gone: false,
      rows: new Set(),
      promises: new Map(),
      segments: new Set(),
    }
    return this.#wound
  }

  /** A machine is gone for good: it stays a wound until another has taken its place. */
  gone(machine: SimMachine, atMs: number): void {
    this.#woundOf(machine, atMs).gone = true
  }

  replaced(machine: SimMachine): void {
    if (this.#wound?.machine === machine) this.#wound = undefined
  }

  /** Is everything whole again that the nodes can find by themselves? A bad record in the segment being written lies still. */
  get healed(): boolean {
    this.settle()
    return (
      this.#wound === undefined || (!this.#wound.wiped && !this.#wound.gone && this.#wound.rows.size === 0)
    )
  }

  /** Forgets what has been made whole; true when nothing is wounded any more. */
  settle(): boolean {
    const wound = this.#wound
    if (wound === undefined) return true
    const { machine } = wound
    const { node } = machine
    if (node === undefined || wound.gone) return false
    for (const key of wound.rows) {
      const healed = node.store.get(key) !== DAMAGED && !node.context.rows.damagedKeys.has(key)
      if (healed) wound.rows.delete(key)
    }
    for (const [key, bad] of wound.promises) {
      const now = machine.table.peek(key)
      if (now === undefined || !bytesEqual(now, bad)) wound.promises.delete(key)
    }
    const names = new Set(machine.disk.names())
    for (const segment of wound.segments) if (!names.has(segment)) wound.segments.delete(segment)
    if (wound.wiped && isRejoined(machine)) wound.wiped = false
    if (wound.wiped || wound.rows.size + wound.promises.size + wound.segments.size > 0) return false
    this.#wound = undefined
    return true
  }
}

function isRejoined(machine: SimMachine): boolean {
  const node = machine.node!
  const { incarnation } = node.store
  if (node.catalog.member(machine.id)?.incarnation !== incarnation || node.rebuild.pending) return false
  const config = node.coordination.config
  if (config === undefined || config.joint !== undefined) return false
  const voter = config.acceptors.find(acceptor => acceptor.node === machine.id)
  return voter === undefined || voter.incarnation === incarnation
}
