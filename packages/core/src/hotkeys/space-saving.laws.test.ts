/** Space-Saving against an exact count of everything. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type KeySummary, mergeSummaries, SpaceSaving } from './space-saving.ts'

const HALF_LIFE_MS = 6_400
const options = { capacity: 8, halfLifeMs: HALF_LIFE_MS }

interface Note {
  readonly key: string
  readonly afterMs: number
  readonly weight: number
}

const note: fc.Arbitrary<Note> = fc.record({
  // Skewed: low numbers are frequent.
  key: fc.tuple(fc.nat(30), fc.nat(30)).map(([a, b]) => `k${Math.min(a, b)}`),
  afterMs: fc.oneof({ weight: 20, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(5_000_000) }),
  weight: fc.integer({ min: 1, max: 3 }),
})
const notes = fc.array(note, { minLength: 1, maxLength: 300 })

/** The dumb version: every note kept, weighed when asked. Steps as in decay.ts. */
class Exact {
  readonly #notes: { key: string; step: number; weight: number }[] = []

  add(key: string, nowMs: number, weight: number): void {
    this.#notes.push({ key, step: Math.floor((nowMs * 64) / HALF_LIFE_MS), weight })
  }

  counts(nowMs: number): Map<string, number> {
    const step = Math.floor((nowMs * 64) / HALF_LIFE_MS)
    const counts = new Map<string, number>()
    for (const { key, step: at, weight } of this.#notes)
      counts.set(key, (counts.get(key) ?? 0) + weight * 2 ** ((at - step) / 64))
    return counts
  }
}

function run(given: readonly Note[]): { sketch: SpaceSaving; exact: Exact; nowMs: number } {
  const [sketch, exact] = [new SpaceSaving(options), new Exact()]
  let nowMs = 1_000
  for (const { key, afterMs, weight } of given) {
    nowMs += afterMs
    sketch.note(key, nowMs, weight)
    exact.add(key, nowMs, weight)
  }
  return { sketch, exact, nowMs }
}

const sum = (counts: Map<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0)

function expectBounds(summary: KeySummary, truth: Map<string, number>): void {
  const slack = 1e-9 * (1 + summary.total)
  for (const { key, count, error } of summary.keys) {
    const real = truth.get(key) ?? 0
    expect(count, `${key} not below`).toBeGreaterThanOrEqual(real - slack)
    expect(count - error, `${key} not above`).toBeLessThanOrEqual(real + slack)
    expect(error).toBeGreaterThanOrEqual(-slack)
  }
  const listed = new Set(summary.keys.map(({ key }) => key))
  for (const [key, real] of truth)
    if (!listed.has(key)) expect(real, `${key} under the floor`).toBeLessThanOrEqual(summary.floor + slack)
}

describe('Space-Saving', () => {
  it('true count <= count, and count − error <= true count; the unlisted are under the floor', () => {
    fc.assert(
      fc.property(notes, fc.nat(100_000), fc.integer({ min: 1, max: 8 }), (given, laterMs, shown) => {
        const { sketch, exact, nowMs } = run(given)
        expectBounds(sketch.summary(nowMs + laterMs, shown), exact.counts(nowMs + laterMs))
      }),
    )
  })

  it('every key above total / capacity is listed', () => {
    fc.assert(
      fc.property(notes, given => {
        const { sketch, exact, nowMs } = run(given)
        const truth = exact.counts(nowMs)
        const total = sum(truth)
        expect(sketch.total(nowMs)).toBeCloseTo(total, 6)
        const listed = new Set(sketch.summary(nowMs).keys.map(({ key }) => key))
        for (const [key, real] of truth)
          if (real > (total / options.capacity) * (1 + 1e-9)) expect(listed).toContain(key)
      }),
    )
  })

  it('while there is room, counts are exact', () => {
    const few = fc.array(
      fc.record({ key: fc.constantFrom('a', 'b', 'c'), afterMs: fc.nat(99), weight: fc.constant(1) }),
    )
    fc.assert(
      fc.property(few, given => {
        const { sketch, exact, nowMs } = run(given)
        const { floor, keys } = sketch.summary(nowMs)
        expect(floor).toBe(0)
        const truth = exact.counts(nowMs)
        for (const { key, count, error } of keys) {
          expect(error).toBe(0)
          expect(count).toBeCloseTo(truth.get(key)!, 6)
        }
      }),
    )
  })

  it('merged: the bounds hold for all streams together, also when each was cut short', () => {
    const cut = fc.integer({ min: 1, max: 8 })
    fc.assert(
      fc.property(fc.array(notes, { minLength: 1, maxLength: 4 }), cut, cut, (streams, each, all) => {
        const ran = streams.map(run)
        const nowMs = Math.max(...ran.map(one => one.nowMs))
        const truth = new Map<string, number>()
        for (const { exact } of ran)
          for (const [key, real] of exact.counts(nowMs)) truth.set(key, (truth.get(key) ?? 0) + real)
        const merged = mergeSummaries(
          ran.map(({ sketch }) => sketch.summary(nowMs, each)),
          all,
        )
        expectBounds(merged, truth)
        expect(merged.total).toBeCloseTo(sum(truth), 6)
        expect(merged.keys.length).toBeLessThanOrEqual(all)
      }),
    )
  })

  it('after a half-life everything is half, after very long nothing is left', () => {
    const sketch = new SpaceSaving(options)
    for (const key of ['a', 'a', 'b', 'c']) sketch.note(key, 100)
    const before = sketch.summary(100)
    const after = sketch.summary(100 + HALF_LIFE_MS)
    expect(after.total).toBe(before.total / 2)
    expect(after.keys).toEqual(before.keys.map(({ key, count, error }) => ({ key, count: count / 2, error })))
    expect(sketch.summary(1e12).total).toBeLessThan(1e-100)
    sketch.note('z', 1e12)
    expect(sketch.summary(1e12).keys[0]).toMatchObject({ key: 'z', count: 1 })
  })

  it('the same notes give the same sketch; a clock that goes back changes nothing', () => {
    fc.assert(
      fc.property(notes, given => {
        const [one, two] = [run(given), run(given)]
        expect(one.sketch.summary(one.nowMs)).toEqual(two.sketch.summary(two.nowMs))
        expect(one.sketch.summary(0)).toEqual(two.sketch.summary(two.nowMs))
      }),
    )
  })
})
