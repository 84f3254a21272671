/** A clock that moves only when told to: events in order of time, then of creation. Bounded. */

import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../ports/clock.ts'

interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
  cancelled: boolean
}

export class ManualClock implements Clock {
  #now = 0
  #order = 0
  #events = 0
  /** Binary heap by (at, order). */
  readonly #heap: Event[] = []
  readonly eventsMax: number

  constructor(eventsMax = 5_000_000) {
    this.eventsMax = eventsMax
  }

  wallMs(): number {
    return 1_700_000_000_000 + Math.floor(this.#now)
  }

  monotonicMs(): number {
    return this.#now
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const event: Event = { at: this.#now + Math.max(0, delayMs), order: this.#order++, run, cancelled: false }
    this.#push(event)
    return {
      cancel: () => {
        event.cancelled = true
      },
    }
  }

  defer(run: () => void): void {
    this.setTimer(0, run)
  }

  /** Runs the next event; false when none is due up to `untilMs` (the clock then stands there). */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > untilMs) {
        this.#now = Math.max(this.#now, untilMs)
        return false
      }
      this.#pop()
      if (next.cancelled) continue
      assert(++this.#events <= this.eventsMax, 'too many events: a loop that does not end')
      this.#now = next.at
      next.run()
      return true
    }
  }

  runUntil(untilMs: number): void {
    while (this.step(untilMs));
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(event, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
