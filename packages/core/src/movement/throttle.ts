/**
 * How fast rows may be moved to this node: a bucket of bytes that fills at a rate, and the rate follows what
 * user requests feel (feedback on their p99, as in adaptive concurrency control).
 *
 * A task begins at a part of its limit and doubles each look until users feel it or the limit is reached. While
 * the p99 is past `slowAt` times what it was before the move the rate is halved, down to a floor, and from what
 * was really taken: a limit beyond what the machine can do would else be halved for long before anything
 * became slower. After that it is waited until latencies from before are forgotten. Past `pauseAt` times
 * nothing is taken; when it is well again the rate grows by a quarter each look.
 *
 * What users feel may have other reasons than the move: more of them, or more nodes on the same machine. A rate
 * that has been at its floor for longer than latencies are remembered can hardly be felt, so what is felt then
 * is taken for the level without a move; else a move would crawl for as long as the cluster is busy.
 *
 * References: Chiu, Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance" (1989);
 * Jacobson, "Congestion Avoidance and Control" (1988), for the slow start.
 */

import type { Clock } from '../ports/clock.ts'
import { pause } from '../ports/pause.ts'

export interface ThrottleLimits {
  /** User p99 over its level before the move. */
  readonly slowAt: number
  readonly pauseAt: number
  /** Share of the limit below which the rate does not fall, and the one with which a task begins. */
  readonly floorShare: number
  readonly startShare: number
  /** After a halving so many looks pass before the next: `UserLatency` remembers for as long. */
  readonly holdLooks: number
  /** A p99 below this many ms never slows anything: it is well whatever it was. */
  readonly fineMs: number
}

export const defaultThrottle: ThrottleLimits = {
  slowAt: 1.5,
  pauseAt: 4,
  floorShare: 0.02,
  startShare: 1 / 8,
  holdLooks: 3,
  fineMs: 5,
}

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
export const LOOKS_AT_FLOOR = 8

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

export interface Pace {
  readonly rate: number
  /** Users have not felt this task yet. */
  readonly isStarting: boolean
  /** Looks until the rate may be halved again. */
  readonly hold: number
}

/** Pure: the next pace. `strain` is the greatest of any node; `taken`: bytes per second since the last look. */
export function nextPace(
  { rate, isStarting, hold }: Pace,
  { limit, strain, taken }: { readonly limit: number; readonly strain: number; readonly taken: number },
  { slowAt, pauseAt, floorShare, holdLooks }: ThrottleLimits = defaultThrottle,
): Pace {
  const floor = limit * floorShare
  if (strain > pauseAt) return { rate: 0, isStarting: false, hold: holdLooks }
  if (strain > slowAt) {
    if (hold > 0) return { rate: Math.max(floor, rate), isStarting: false, hold: hold - 1 }
    const real = taken > 0 ? Math.min(rate, taken) : rate
    return { rate: Math.max(floor, real / 2), isStarting: false, hold: holdLooks }
  }
  const grown = isStarting ? rate * 2 : rate + Math.max(rate / 4, floor)
  return { rate: Math.min(limit, Math.max(floor, grown)), isStarting, hold: Math.max(0, hold - 1) }
}

/** A second of traffic may come at once. */
const BURST_MS = 1_000
const WAIT_MS = 50
const PORTION_BYTES_MIN = 4 * 1024

export class Throttle {
  readonly #clock: Clock
  #limit: number
  #task = ''
  #pace: Pace
  #tokens = 0
  #taken = 0
  #filledMs: number
  #lookedMs: number

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#limit = bytesPerSecond
    this.#pace = { rate: bytesPerSecond, isStarting: true, hold: 0 }
    this.#filledMs = clock.monotonicMs()
    this.#lookedMs = this.#filledMs
  }

  get bytesPerSecond(): number {
    return this.#pace.rate
  }

  isAtFloor(limits: ThrottleLimits = defaultThrottle): boolean {
    return this.#pace.rate <= this.#limit * limits.floorShare
  }

  /** What a task may take; another task than before begins slowly. */
  begin(task: string, bytesPerSecond: number, limits: ThrottleLimits = defaultThrottle): void {
    if (task === this.#task && bytesPerSecond === this.#limit) return
    this.#fill()
    this.#task = task
    this.#limit = bytesPerSecond
    this.#pace = { rate: bytesPerSecond * limits.startShare, isStarting: true, hold: 0 }
    this.#tokens = Math.min(this.#tokens, this.#burst)
  }

  look(strain: number, limits: ThrottleLimits = defaultThrottle): void {
    this.#fill()
    const now = this.#clock.monotonicMs()
    const taken = (this.#taken * 1_000) / Math.max(1, now - this.#lookedMs)
    this.#pace = nextPace(this.#pace, { limit: this.#limit, strain, taken }, limits)
    this.#taken = 0
    this.#lookedMs = now
  }

  get #burst(): number {
    return (this.#pace.rate * BURST_MS) / 1_000
  }

  #fill(): void {
    const now = this.#clock.monotonicMs()
    const added = ((now - this.#filledMs) / 1_000) * this.#pace.rate
    this.#tokens = Math.min(this.#burst, this.#tokens + added)
    this.#filledMs = now
  }

  /** The most to ask for at once: a quarter of a second's worth, so that a low rate is kept evenly. */
  portion(bytes: number): number {
    return Math.max(PORTION_BYTES_MIN, Math.min(bytes, Math.floor(this.#pace.rate / 4)))
  }

  /** What was taken and did not come. */
  giveBack(bytes: number): void {
    this.#tokens += bytes
    this.#taken -= bytes
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
    this.#taken += bytes
  }
}
