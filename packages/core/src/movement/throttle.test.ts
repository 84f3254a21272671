import { describe, expect, it } from 'vitest'
import { ManualClock } from '../ports/testing/manual-clock.ts'
import {
  defaultThrottle,
  LatencyLevel,
  LOOKS_AT_FLOOR,
  nextPace,
  type Pace,
  strainOf,
  Throttle,
} from './throttle.ts'

const LIMIT = 1_000_000

describe('what users feel', () => {
  it('is nothing while the p99 is fine, whatever it was', () => {
    expect(strainOf(0.5, 4.9)).toBe(0)
    expect(strainOf(undefined, 100)).toBe(0)
    expect(strainOf(3, undefined)).toBe(0)
  })
  it('is the p99 over its level before', () => {
    expect(strainOf(10, 30)).toBe(3)
    // A level that was hardly anything does not make a small p99 a catastrophe.
    expect(strainOf(0.1, 10)).toBe(4)
  })
})

describe('the pace', () => {
  const pace = { rate: LIMIT, isStarting: false, hold: 0 }
  const { floorShare, startShare, holdLooks } = defaultThrottle
  const well = { limit: LIMIT, strain: 0, taken: 0 }

  it('doubles at the start, to the limit', () => {
    let now: Pace = { rate: LIMIT * startShare, isStarting: true, hold: 0 }
    const rates = Array.from({ length: 4 }, () => {
      now = nextPace(now, well)
      return now.rate
    })
    expect(rates).toEqual([LIMIT / 4, LIMIT / 2, LIMIT, LIMIT])
  })

  it('halves under strain, from what was taken, and not again before that shows', () => {
    const strained = { ...well, strain: 2, taken: LIMIT / 10 }
    let now = nextPace(pace, strained)
    expect(now).toEqual({ rate: LIMIT / 20, isStarting: false, hold: holdLooks })
    for (let i = 0; i < holdLooks; i++) now = nextPace(now, strained)
    expect(now.rate).toBe(LIMIT / 20)
    expect(nextPace(now, { ...strained, taken: LIMIT / 20 }).rate).toBe(LIMIT / 40)
  })

  it('has a floor, stops when it is too much, and grows back by quarters', () => {
    let now: Pace = pace
    for (let i = 0; i < 40; i++) now = nextPace(now, { ...well, strain: 2 })
    expect(now.rate).toBe(LIMIT * floorShare)
    now = nextPace(now, { ...well, strain: 5 })
    expect(now.rate).toBe(0)
    now = nextPace(now, { ...well, strain: 2 })
    expect(now.rate).toBe(LIMIT * floorShare)
    const first = nextPace(now, well).rate
    expect(first).toBeCloseTo(2 * LIMIT * floorShare)
    for (let i = 0; i < 30; i++) now = nextPace(now, well)
    expect(now.rate).toBe(LIMIT)
  })
})

describe('the level that strain is measured against', () => {
  it('is that of before the move', () => {
    const level = new LatencyLevel()
    expect(level.look(10, false, false)).toBe(1)
    expect(level.look(20, true, false)).toBe(2)
    expect(level.look(undefined, true, false)).toBe(0)
    for (let i = 0; i < 100; i++) expect(level.look(20, true, false)).toBe(2)
  })

  it('is that at the floor, when it has lasted: what is felt then is not the move', () => {
    const level = new LatencyLevel()
    level.look(10, false, false)
    for (let i = 1; i < LOOKS_AT_FLOOR; i++) expect(level.look(20, true, true)).toBe(2)
    expect(level.look(20, true, true)).toBe(1)
    expect(level.look(40, true, false)).toBe(2)
  })

  it('a look away from the floor in between begins it anew', () => {
    const level = new LatencyLevel()
    level.look(10, false, false)
    for (let i = 0; i < 10 * LOOKS_AT_FLOOR; i++)
      expect(level.look(20, true, i % (LOOKS_AT_FLOOR - 1) > 0)).toBe(2)
  })

  it('a move is not slowed for ever by users that became more', () => {
    const level = new LatencyLevel()
    level.look(10, false, false)
    let pace: Pace = { rate: LIMIT, isStarting: false, hold: 0 }
    const rates = Array.from({ length: 90 }, () => {
      const isAtFloor = pace.rate <= LIMIT * defaultThrottle.floorShare
      const strain = level.look(30, true, isAtFloor)
      pace = nextPace(pace, { limit: LIMIT, strain, taken: pace.rate })
      return pace.rate
    })
    expect(Math.min(...rates)).toBe(LIMIT * defaultThrottle.floorShare)
    expect(rates.at(-1)).toBe(LIMIT)
  })
})

describe('taking', () => {
  it('a task begins slowly, whatever was saved up, and within its own limit', async () => {
    const clock = new ManualClock()
    const throttle = new Throttle(clock, 100 * LIMIT)
    clock.advance(60_000)
    throttle.begin('p-1', LIMIT)
    let taken = 0
    let isStopped = false
    const takers = Array.from({ length: 8 }, async () => {
      while (!isStopped) {
        const portion = throttle.portion(256 * 1024)
        await throttle.take(portion, () => isStopped)
        if (!isStopped) taken += portion
      }
    })
    for (let i = 0; i < 50; i++) await Promise.resolve()
    expect(taken).toBeLessThanOrEqual(LIMIT * defaultThrottle.startShare * 1.25)
    isStopped = true
    for (let i = 0; i < 20; i++) {
      clock.advance(100)
      await Promise.resolve()
    }
    await Promise.all(takers)
  })

  it('many who take at once get no more than the rate gives', async () => {
    const clock = new ManualClock()
    const throttle = new Throttle(clock, LIMIT)
    let taken = 0
    let stopped = false
    const takers = Array.from({ length: 32 }, async () => {
      while (!stopped) {
        const portion = throttle.portion(256 * 1024)
        await throttle.take(portion, () => stopped)
        if (!stopped) taken += portion
      }
    })
    const seconds = 20
    for (let ms = 0; ms < seconds * 1_000; ms += 10) {
      clock.advance(10)
      await Promise.resolve()
      await Promise.resolve()
    }
    expect(taken).toBeLessThanOrEqual(LIMIT * (seconds + 1) + LIMIT / 4)
    expect(taken).toBeGreaterThan(LIMIT * (seconds - 3))
    stopped = true
    for (let i = 0; i < 20; i++) {
      clock.advance(100)
      await Promise.resolve()
    }
    await Promise.all(takers)
  })

  it('what did not come is given back', async () => {
    const clock = new ManualClock()
    const throttle = new Throttle(clock, LIMIT)
    clock.advance(1_000)
    await throttle.take(LIMIT, () => false)
    throttle.giveBack(LIMIT)
    let done = false
    void throttle
      .take(1, () => false)
      .then(() => {
        done = true
      })
    await Promise.resolve()
    expect(done).toBe(true)
  })
})
