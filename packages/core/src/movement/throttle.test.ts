import { describe, expect, it } from 'vitest'
import { ManualClock } from '../ports/testing/manual-clock.ts'
import { defaultThrottle, LatencyLevel, LOOKS_AT_FLOOR, nextRate, strainOf, Throttle } from './throttle.ts'

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

describe('the rate', () => {
  it('halves under strain down to a floor, stops when it is too much, and grows back by tenths', () => {
    let rate = LIMIT
    rate = nextRate(rate, LIMIT, 2, defaultThrottle)
    expect(rate).toBe(LIMIT / 2)
    for (let i = 0; i < 20; i++) rate = nextRate(rate, LIMIT, 2, defaultThrottle)
    expect(rate).toBe(LIMIT * defaultThrottle.floorShare)
    rate = nextRate(rate, LIMIT, 5, defaultThrottle)
    expect(rate).toBe(0)
    rate = nextRate(rate, LIMIT, 0, defaultThrottle)
    expect(rate).toBeCloseTo(LIMIT * (defaultThrottle.floorShare + 0.1))
    for (let i = 0; i < 20; i++) rate = nextRate(rate, LIMIT, 0, defaultThrottle)
    expect(rate).toBe(LIMIT)
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
    let rate = LIMIT
    const rates = Array.from({ length: 60 }, () => {
      const isAtFloor = rate <= LIMIT * defaultThrottle.floorShare
      rate = nextRate(rate, LIMIT, level.look(30, true, isAtFloor), defaultThrottle)
      return rate
    })
    expect(Math.min(...rates)).toBe(LIMIT * defaultThrottle.floorShare)
    expect(rates.at(-1)).toBe(LIMIT)
  })
})

describe('taking', () => {
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
