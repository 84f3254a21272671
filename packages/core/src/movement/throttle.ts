/**
 * How fast rows may be moved to this node: a bucket of bytes that fills at a rate, and the rate follows what
 * user requests feel (feedback on their p99, as in adaptive concurrency control). While the p99 is past
 * `slowAt` times what it was before the move the rate halves each look, down to a floor; past `pauseAt` times
 * nothing is taken; when it is well again the rate grows back by a tenth of the limit each look.
 *
 * What users feel may have other reasons than the move: more of them, or more nodes on the same machine. A rate
 * that has been at its floor for longer than latencies are remembered can hardly be felt, so what is felt then
 * is taken for the level without a move; else a move would crawl for as long as the cluster is busy.
 */

import type { Clock } from '../ports/clock.ts'
import { pause } from '../ports/pause.ts'

export interface ThrottleLimits {
  /** User p99 over its level before the move. */
  readonly slowAt: number
  readonly pauseAt: number
  /** Share of the limit below which the rate does not fall. */
  readonly floorShare: number
  /** A p99 below this many ms never slows anything: it is well whatever it was. */
  readonly fineMs: number
}

export const defaultThrottle: ThrottleLimits = { slowAt: 1.5, pauseAt: 4, floorShare: 0.02, fineMs: 5 }

/** Pure: what users feel of a move, as their p99 over its level before; 0 when it is well. Both in ms. */
export function strainOf(
  before: number | undefined,
  now: number | undefined,
  limits: ThrottleLimits = defaultThrottle,
): number {
  if (before === undefined || now === undefined || now <= limits.fineMs) return 0
  return now / Math.max(before, limits.fineMs / 2)
}

/** Looks, of a second each, at the floor until its level counts: longer than `UserLatency` remembers. */
export const LOOKS_AT_FLOOR = 12

/** The level of user p99 that strain is measured against, in ms. */
export class LatencyLevel {
  #beforeMs: number | undefined
  #looks = 0

  /** Called once a second; returns the strain. `nowMs`: undefined when too few requests were seen. */
  look(nowMs: number | undefined, isMoving: boolean, isAtFloor: boolean): number {
    this.#looks = isMoving && isAtFloor ? this.#looks + 1 : 0
    if (!isMoving || this.#looks >= LOOKS_AT_FLOOR) {
      this.#beforeMs = nowMs ?? this.#beforeMs
      this.#looks = 0
    }
    return strainOf(this.#beforeMs, nowMs)
  }
}

/** Pure: the next rate. `strain` is the greatest of any node. */
export function nextRate(rate: number, limit: number, strain: number, limits: ThrottleLimits): number {
  if (strain > limits.pauseAt) return 0
  if (strain > limits.slowAt) return Math.max(limit * limits.floorShare, rate / 2)
  return Math.min(limit, Math.max(rate, limit * limits.floorShare) + limit / 10)
}

/** A second of traffic may come at once. */
const BURST_MS = 1_000
const WAIT_MS = 50
const PORTION_BYTES_MIN = 4 * 1024

export class Throttle {
  readonly #clock: Clock
  #limit: number
  #rate: number
  #tokens = 0
  #filledMs: number

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#limit = bytesPerSecond
    this.#rate = bytesPerSecond
    this.#tokens = 0
    this.#filledMs = clock.monotonicMs()
  }

  get bytesPerSecond(): number {
    return this.#rate
  }

  get limit(): number {
    return this.#limit
  }

  isAtFloor(limits: ThrottleLimits = defaultThrottle): boolean {
    return this.#rate <= this.#limit * limits.floorShare
  }

  limitTo(bytesPerSecond: number): void {
    if (bytesPerSecond === this.#limit) return
    this.#limit = bytesPerSecond
    this.#rate = bytesPerSecond
  }

  look(strain: number, limits: ThrottleLimits = defaultThrottle): void {
    this.#fill()
    this.#rate = nextRate(this.#rate, this.#limit, strain, limits)
  }

  #fill(): void {
    const now = this.#clock.monotonicMs()
    const added = ((now - this.#filledMs) / 1_000) * this.#rate
    this.#tokens = Math.min((this.#rate * BURST_MS) / 1_000, this.#tokens + added)
    this.#filledMs = now
  }

  /** The most to ask for at once: a quarter of a second's worth, so that a low rate is kept evenly. */
  portion(bytes: number): number {
    return Math.max(PORTION_BYTES_MIN, Math.min(bytes, Math.floor(this.#rate / 4)))
  }

  /** What was taken and did not come. */
  giveBack(bytes: number): void {
    this.#tokens += bytes
  }

  /**
   * Waits until what was taken before is paid for, and then takes: before the bytes are asked for, or many who
   * ask at once would each get a portion whatever the rate.
   */
  async take(bytes: number, isStopped: () => boolean): Promise<void> {
    for (;;) {
      this.#fill()
      if (isStopped() || this.#tokens > 0) break
      await pause(this.#clock, WAIT_MS)
    }
    this.#tokens -= bytes
  }
}
