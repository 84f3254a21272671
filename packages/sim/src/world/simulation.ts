/**
 * The kernel: virtual time, one queue of events, one seed.
 *
 * Problem: asynchronous code hides its steps in the microtask queue, and a run is only repeatable when
 * that queue is empty before time moves. Mechanism: events are ordered by (time, sequence); all events of
 * one instant run back to back, then `drain` (given by the runner, since only a platform knows how) lets
 * every promise settle; what they schedule for the same instant runs before time moves on. Time is a whole
 * number of microseconds, so that adding delays never rounds.
 *
 * Invariants: time never goes back; an event runs at most once and never inside the call that scheduled it;
 * the trace hash covers every event that was noted, in order, with its time.
 * References: Zhou et al., "FoundationDB: A Distributed Unbundled Transactional Key Value Store" (SIGMOD 2021), §4.
 */

import { assert, isQuorateError, SeededRandom } from '@quorate/core'

export interface SimulationEvent {
  cancelled: boolean
}

interface Queued extends SimulationEvent {
  readonly atUs: number
  readonly sequence: number
  readonly run: () => void
}

export interface SimulationOptions {
  readonly seed: number
  /** Resolves when no microtask is left. */
  readonly drain: () => Promise<void>
  /** Takes the readable trace, line by line. */
  readonly line?: ((line: string) => void) | undefined
}

export class Simulation {
  readonly random: SeededRandom
  readonly #drain: () => Promise<void>
  readonly #line: ((line: string) => void) | undefined
  readonly #heap: Queued[] = []
  #nowUs = 0
  #sequence = 0
  #hash = 0x811c9dc5
  #hashHigh = 0x9747b28c
  #events = 0
  #drains = 0
  #failure: { error: unknown; atMs: number } | undefined
  #endedAtUs = -1

  constructor(options: SimulationOptions) {
    this.random = new SeededRandom(options.seed)
    this.#drain = options.drain
    this.#line = options.line
  }

  get nowUs(): number {
    return this.#nowUs
  }

  get nowMs(): number {
    return this.#nowUs / 1_000
  }

  get events(): number {
    return this.#events
  }

  get drains(): number {
    return this.#drains
  }

  /** Pending events, cancelled ones included. */
  get pending(): number {
    return this.#heap.length
  }

  get traceHash(): string {
    return hex(this.#hash) + hex(this.#hashHigh)
  }

  /** The first exception that an event or a promise threw: the run ends with it. */
  get failure(): { readonly error: unknown; readonly atMs: number } | undefined {
    return this.#failure
  }

  get isTold(): boolean {
    return this.#line !== undefined
  }

  at(delayUs: number, run: () => void): SimulationEvent {
    assert(delayUs >= 0, 'nothing is scheduled in the past', delayUs)
    const event = {
      atUs: this.#nowUs + Math.ceil(delayUs),
      sequence: this.#sequence++,
      run,
      cancelled: false,
    }
    this.#push(event)
    return event
  }

  /** Adds what happened to the trace. */
  note(a: number, b: number): void {
    let hash = this.#hash
    hash = Math.imul(hash ^ (this.#nowUs >>> 0), 0x01000193)
    hash = Math.imul(hash ^ a, 0x85ebca6b)
    this.#hash = (hash ^ (hash >>> 15)) >>> 0
    this.#hashHigh = (Math.imul(this.#hashHigh ^ b, 0xcc9e2d51) + this.#hash) >>> 0
  }

  tell(line: string): void {
    this.#line?.(`${(this.#nowUs / 1_000).toFixed(3).padStart(11)} ${line}`)
  }

  /** A process has been ended by its store: what its last steps still throw about that store is its death, not a failure. */
  processEnded(): void {
    this.#endedAtUs = this.#nowUs
  }

  fail(error: unknown): void {
    if (this.#endedAtUs === this.#nowUs && isQuorateError(error) && error.code.startsWith('STORE_')) return
    this.#failure ??= { error, atMs: this.nowMs }
  }

  /** Runs until `done`, or until time reaches `untilMs`; true when `done` was met. Stops at a failure. */
  async run(untilMs: number, done?: () => boolean): Promise<boolean> {
    const untilUs = Math.round(untilMs * 1_000)
    await this.#settle()
    for (;;) {
      if (this.#failure !== undefined) return false
      if (done?.() === true) return true
      const next = this.#peek()
      if (next === undefined || next.atUs > untilUs) break
      this.#nowUs = next.atUs
      this.#runInstant()
      await this.#settle()
    }
    this.#nowUs = Math.max(this.#nowUs, untilUs)
    return done?.() ?? true
  }

  #settle(): Promise<void> {
    this.#drains++
    return this.#drain()
  }

  #runInstant(): void {
    for (;;) {
      const event = this.#peek()
      if (event === undefined || event.atUs !== this.#nowUs || this.#failure !== undefined) return
      this.#pop()
      this.#events++
      try {
        event.run()
      } catch (error) {
        this.fail(error)
      }
    }
  }

  #peek(): Queued | undefined {
    while (this.#heap[0]?.cancelled === true) this.#pop()
    return this.#heap[0]
  }

  #push(event: Queued): void {
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
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function before(a: Queued, b: Queued): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.sequence < b.sequence)
}

const hex = (word: number): string => word.toString(16).padStart(8, '0')
