/**
 * The wall clock a node believes.
 *
 * Problem: a wall clock that jumps an hour ahead would stamp writes no other node accepts for an hour.
 * Mechanism: time advances with the monotonic clock from an anchor. Small steps of the wall clock
 * (adjustments by NTP) are followed. A large one is followed only when the cluster agrees: the time taken
 * is then the lower median of one's own wall clock and what peers lately said of theirs, if more than half of them
 * say about the same: of two wrong clocks and a right one, each its own time, the median is a wrong one. Until so many
 * have agreed once, the median is the best there is; without peers one's own clock at the start is all. What is told is each machine's wall clock, never the time
 * believed: beliefs that rest on beliefs would keep one wrong clock's time alive after it has been put right.
 *
 * References: Lamport, Melliar-Smith, "Synchronizing Clocks in the Presence of Faults" (1985), for the median.
 */

import type { NodeId } from '../base/ids.ts'

/** Steps up to this are ordinary clock discipline. */
const STEP_MAX_MS = 1_000
/** What a peer said is of use for this long. */
const FRESH_MS = 30_000

interface Reading {
  /** Peer's time minus monotonic time here, when it was heard. */
  readonly offsetMs: number
  readonly heardAt: number
}

export class ClusterTime {
  readonly #wallMs: () => number
  readonly #monotonicMs: () => number
  readonly #peers = new Map<NodeId, Reading>()
  readonly #toleranceMs: number
  #anchorOffsetMs: number
  /** Have more than half of the clocks ever agreed with the time believed here? */
  #isSupported = false

  constructor(clock: { wallMs(): number; monotonicMs(): number }, toleranceMs: number) {
    this.#wallMs = () => clock.wallMs()
    this.#monotonicMs = () => clock.monotonicMs()
    this.#toleranceMs = toleranceMs
    this.#anchorOffsetMs = clock.wallMs() - clock.monotonicMs()
  }

  now(): number {
    const monotonicMs = this.#monotonicMs()
    const own = this.#wallMs() - monotonicMs
    if (Math.abs(own - this.#anchorOffsetMs) <= STEP_MAX_MS) this.#anchorOffsetMs = own
    return monotonicMs + this.#anchorOffsetMs
  }

  get heardPeers(): number {
    return this.#peers.size
  }

  /** How far the machine's own wall clock is ahead of the time believed here. */
  get ownOffsetMs(): number {
    return this.#wallMs() - this.now()
  }

  /** A peer told its wall clock; `theirMs` was what it showed shortly before now. */
  heard(peer: NodeId, theirMs: number): void {
    const now = this.#monotonicMs()
    this.#peers.set(peer, { offsetMs: theirMs - now, heardAt: now })
    const offsets = [this.#wallMs() - now]
    for (const [id, reading] of this.#peers) {
      if (now - reading.heardAt > FRESH_MS) this.#peers.delete(id)
      else offsets.push(reading.offsetMs)
    }
    offsets.sort((a, b) => a - b)
    const median = offsets[Math.floor((offsets.length - 1) / 2)]!
    const agreeing = offsets.filter(offset => Math.abs(offset - median) <= this.#toleranceMs).length
    const isSupported = offsets.length > 1 && agreeing > offsets.length / 2
    if (this.#isSupported && !isSupported) return
    this.#isSupported = isSupported
    if (Math.abs(median - this.#anchorOffsetMs) > this.#toleranceMs) this.#anchorOffsetMs = median
  }
}
