/**
 * A clock that moves only when told to.
 *
 * Timers fire in order of their due time, then of their making; `defer` runs before any timer. Nothing
 * fires inside `setTimer` or `defer`. The wall clock is the monotonic one plus an offset that tests set.
 */

import { assert } from '../../base/assert.ts'
import { SortedTree } from '../../base/sorted-tree.ts'
import type { Clock, Timer } from '../clock.ts'

/** 2024-07-01, any fixed moment. */
const WALL_START_MS = 1_719_792_000_000
/** Turns of the microtask queue given to flows between two steps of the clock. */
const MICROTASK_TURNS = 40

/** Events of one move of the clock. */
const EVENTS_MAX = 5_000_000

type TimerKey = [dueMs: number, order: number]

export class ManualClock implements Clock {
  #nowMs = 0
  #wallOffsetMs = WALL_START_MS
  #order = 0
  #deferred: (() => void)[] = []
  readonly #timers = new SortedTree<TimerKey, () => void>(undefined, (a, b) => a[0] - b[0] || a[1] - b[1])

  wallMs(): number {
    return Math.floor(this.#nowMs + this.#wallOffsetMs)
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  /** Makes the wall clock jump, either way. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  setTimer(delayMs: number, run: () => void): Timer {
    assert(delayMs >= 0, 'a timer is not due in the past', delayMs)
    const key: TimerKey = [this.#nowMs + delayMs, this.#order++]
    this.#timers.set(key, run)
    return { cancel: () => void this.#timers.delete(key) }
  }

  defer(run: () => void): void {
    this.#deferred.push(run)
  }

  get pending(): number {
    return this.#timers.size + this.#deferred.length
  }

  /** Runs what is deferred, or else the timers due by now; false when there was neither. */
  runDue(): boolean {
    if (this.#deferred.length > 0) {
      const due = this.#deferred
      this.#deferred = []
      for (const run of due) run()
      return true
    }
    const key = this.#timers.minKey()
    if (key === undefined || key[0] > this.#nowMs) return false
    const run = this.#timers.get(key)
    this.#timers.delete(key)
    run?.()
    return true
  }

  /** Runs what is due, or moves to the next timer and runs that; false when nothing falls due by `untilMs`, where the clock then stands. */
  step(untilMs = Number.POSITIVE_INFINITY): boolean {
    if (this.runDue()) return true
    const key = this.#timers.minKey()
    if (key === undefined || key[0] > untilMs) {
      if (Number.isFinite(untilMs)) this.#nowMs = Math.max(this.#nowMs, untilMs)
      return false
    }
    this.#nowMs = Math.max(this.#nowMs, key[0])
    return this.runDue()
  }

  /** Moves by `ms`, running everything that falls due on the way, flows between timers not included. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    let events = 0
    while (this.step(untilMs)) assert(++events <= EVENTS_MAX, 'too many events: a loop that does not end')
  }

  /** Steps, letting async flows run between steps, until `done` or nothing is left to happen. */
  async runUntil(done: () => boolean, stepsMax = 100_000): Promise<boolean> {
    for (let step = 0; step < stepsMax; step++) {
      for (let turn = 0; turn < MICROTASK_TURNS; turn++) await undefined
      if (done()) return true
      if (!this.step()) return done()
    }
    return done()
  }

  /** Drives `work` to its end. */
  async drive<T>(work: Promise<T>): Promise<T> {
    let settled = false
    const settle = (): void => {
      settled = true
    }
    work.then(settle, settle)
    assert(await this.runUntil(() => settled), 'the work waits for something that will never happen')
    return work
  }
}
