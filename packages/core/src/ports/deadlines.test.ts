import { expect, it } from 'vitest'
import type { Clock } from './clock.ts'
import { Deadlines } from './deadlines.ts'

/** Timers in order of their time; `pass` runs what is due on the way. */
function handClock(): { clock: Clock; pass(ms: number): void; timers: () => number } {
  let now = 0
  let due: { at: number; run: () => void }[] = []
  const clock: Clock = {
    wallMs: () => now,
    monotonicMs: () => now,
    setTimer: (delay, run) => {
      const timer = { at: now + delay, run }
      due.push(timer)
      return {
        cancel: () => {
          due = due.filter(other => other !== timer)
        },
      }
    },
    defer: run => run(),
  }
  const pass = (ms: number): void => {
    const end = now + ms
    for (;;) {
      due.sort((a, b) => a.at - b.at)
      const next = due[0]
      if (next === undefined || next.at > end) break
      due.shift()
      now = Math.max(now, next.at)
      next.run()
    }
    now = end
  }
  return { clock, pass, timers: () => due.length }
}

it('runs each once, never early, with one timer for all', () => {
  const { clock, pass, timers } = handClock()
  const deadlines = new Deadlines(clock)
  const ran: [number, number][] = []
  for (const at of [500, 20, 333, 21, 1_000, 20])
    deadlines.add(at, { expire: () => ran.push([at, clock.monotonicMs()]) })
  expect(timers()).toBe(1)
  for (let i = 0; i < 300; i++) pass(7)
  expect(ran.map(([at]) => at).sort((a, b) => a - b)).toEqual([20, 20, 21, 333, 500, 1_000])
  for (const [at, when] of ran) {
    expect(when).toBeGreaterThanOrEqual(at)
    expect(when).toBeLessThanOrEqual(at + 10)
  }
  expect(timers()).toBe(0)
})

it('a deadline added while others run is not lost, and none runs after stop', () => {
  const { clock, pass } = handClock()
  const deadlines = new Deadlines(clock)
  let chained = 0
  deadlines.add(10, { expire: () => deadlines.add(25, { expire: () => chained++ }) })
  pass(50)
  expect(chained).toBe(1)
  deadlines.add(100, { expire: () => chained++ })
  deadlines.stop()
  pass(500)
  expect(chained).toBe(1)
})

it('what is cancelled does not run, from within another of the same bucket neither', () => {
  const { clock, pass } = handClock()
  const deadlines = new Deadlines(clock)
  const ran: number[] = []
  const all = [0, 1, 2, 3].map(number =>
    deadlines.add(15, {
      expire: () => {
        ran.push(number)
        for (const deadline of all) deadline.cancel()
      },
    }),
  )
  const early = deadlines.add(15, { expire: () => ran.push(-1) })
  early.cancel()
  early.cancel()
  pass(100)
  expect(ran).toHaveLength(1)
  expect(ran).not.toContain(-1)
})
