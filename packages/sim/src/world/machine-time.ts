/**
 * Time as one machine has it, and as one process on it has it.
 *
 * A machine's monotonic clock runs at its own rate; its wall clock is that plus an offset that may jump.
 * A paused machine loses nothing: what falls due meanwhile is held and delivered, in order, when it goes
 * on. A process that has died hears nothing any more: its clock drops every timer, whatever it still holds.
 *
 * Invariants: timers never fire early by the clock they were set on; order among events of one machine is
 * kept over a pause.
 */

import type { Clock, Timer } from '@quorate/core'
import type { Simulation } from './simulation.ts'

/** 2025-06-01, any fixed moment. */
const WALL_START_MS = 1_748_736_000_000

export class MachineTime {
  readonly simulation: Simulation
  #rate = 1
  #baseUs = 0
  #baseMs: number
  #wallOffsetMs: number
  #paused = false
  #held: (() => void)[] = []

  constructor(simulation: Simulation, startMs = 0, wallOffsetMs = 0) {
    this.simulation = simulation
    this.#baseMs = startMs
    this.#wallOffsetMs = WALL_START_MS - startMs + wallOffsetMs
  }

  monotonicMs(): number {
    return this.#baseMs + ((this.simulation.nowUs - this.#baseUs) * this.#rate) / 1_000
  }

  wallMs(): number {
    return Math.floor(this.monotonicMs() + this.#wallOffsetMs)
  }

  /** How far the wall clock is from true time. */
  get wallErrorMs(): number {
    return this.wallMs() - (WALL_START_MS + this.simulation.nowMs)
  }

  get rate(): number {
    return this.#rate
  }

  /** From now on this machine's seconds are 1/rate true seconds long. Timers already set keep their moment. */
  setRate(rate: number): void {
    this.#baseMs = this.monotonicMs()
    this.#baseUs = this.simulation.nowUs
    this.#rate = rate
  }

  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  /** Sets the wall clock right, as an operator or NTP does. */
  correctWall(): void {
    this.#wallOffsetMs -= this.wallErrorMs
  }

  get paused(): boolean {
    return this.#paused
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    const held = this.#held
    this.#held = []
    for (const run of held) this.simulation.at(0, () => this.deliver(run))
  }

  /** Runs now, or when the pause ends. */
  deliver(run: () => void): void {
    if (this.#paused) this.#held.push(run)
    else run()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const dueMs = this.monotonicMs() + delayMs
    let cancelled = false
    let event = this.simulation.at(Math.ceil((delayMs / this.#rate) * 1_000), () => fire())
    const fire = (): void =>
      this.deliver(() => {
        if (cancelled) return
        // A drifting clock may be a hair short of the moment, or have slowed down since.
        const leftMs = dueMs - this.monotonicMs()
        if (leftMs > 0) event = this.simulation.at(Math.max(1, (leftMs / this.#rate) * 1_000), fire)
        else run()
      })
    return {
      cancel: () => {
        cancelled = true
        event.cancelled = true
      },
    }
  }
}

/** The clock of one life of a process. */
export class ProcessClock implements Clock {
  readonly #machine: MachineTime
  #dead = false

  constructor(machine: MachineTime) {
    this.#machine = machine
  }

  wallMs(): number {
    return this.#machine.wallMs()
  }

  monotonicMs(): number {
    return this.#machine.monotonicMs()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    return this.#machine.setTimer(delayMs, () => {
      if (!this.#dead) run()
    })
  }

  defer(run: () => void): void {
    this.#machine.simulation.at(0, () =>
      this.#machine.deliver(() => {
        if (!this.#dead) run()
      }),
    )
  }

  kill(): void {
    this.#dead = true
  }
}
