import { describe, expect, it } from 'vitest'
import { LocalHealth } from './local-health.ts'
import { PhiAccrual } from './phi-accrual.ts'

const options = { window: 100, firstIntervalMs: 1000, deviationMinMs: 300 }

describe('phi accrual', () => {
  it('one late beat after a perfectly regular series does not explode', () => {
    const phi = new PhiAccrual(options, 0)
    for (let i = 1; i <= 1000; i++) phi.beat(i * 1000)
    expect(phi.phi(1_000_000 + 1000)).toBeLessThan(1)
    expect(phi.phi(1_000_000 + 2000)).toBeLessThan(8)
    const unfloored = new PhiAccrual({ ...options, deviationMinMs: 0.1 }, 0)
    for (let i = 1; i <= 1000; i++) unfloored.beat(i * 1000)
    expect(unfloored.phi(1_000_000 + 1100)).toBeGreaterThan(100)
  })

  it('grows with the silence, is finite, and learns from irregular beats', () => {
    const regular = new PhiAccrual(options, 0)
    const irregular = new PhiAccrual(options, 0)
    let [r, i] = [0, 0]
    for (let n = 0; n < 200; n++) {
      r += 1000
      regular.beat(r)
      i += n % 2 === 0 ? 200 : 3000
      irregular.beat(i)
    }
    let last = -1
    for (let ms = 0; ms <= 60_000; ms += 500) {
      const phi = regular.phi(r + ms)
      expect(phi).toBeGreaterThanOrEqual(last)
      last = phi
    }
    expect(Number.isFinite(regular.phi(r + 1e9))).toBe(true)
    expect(regular.phi(r + 5000)).toBeGreaterThan(8)
    expect(irregular.phi(i + 5000)).toBeLessThan(8)
  })

  it('matches the normal tail where the papers quote it', () => {
    const phi = new PhiAccrual({ window: 1, firstIntervalMs: 0, deviationMinMs: 1 }, 0)
    // P(later than mean) = 1/2, mean + 1.2816 deviations = 1/10, mean + 2.3263 = 1/100.
    expect(phi.phi(0)).toBeCloseTo(0.301, 2)
    expect(phi.phi(1.2816)).toBeCloseTo(1, 1)
    expect(phi.phi(2.3263)).toBeCloseTo(2, 1)
  })

  it('local health stays within 1 … 8 and decays', () => {
    const health = new LocalHealth()
    expect(health.multiplier()).toBe(1)
    health.observe(1e9)
    expect(health.multiplier()).toBe(8)
    for (let i = 0; i < 30; i++) health.observe(0)
    expect(health.multiplier()).toBeLessThan(1.05)
    expect(health.multiplier(300)).toBe(4)
  })
})
