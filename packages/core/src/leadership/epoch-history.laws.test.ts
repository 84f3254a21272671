import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  appended,
  assertShape,
  beforeAll,
  comparePoints,
  divergence,
  emptyLog,
  endOf,
  epochAt,
  hasPoint,
  type LogShape,
  truncated,
} from './epoch-history.ts'

/** A log with its entries: each is named by who wrote it and what was below. */
interface NamedLog {
  readonly shape: LogShape
  readonly entries: readonly string[]
}

const empty: NamedLog = { shape: emptyLog, entries: [] }

function write({ shape, entries }: NamedLog, epoch: number): NamedLog {
  return { shape: appended(shape, epoch), entries: [...entries, `${entries.at(-1) ?? ''}/${epoch}`] }
}

const cut = ({ shape, entries }: NamedLog, position: number): NamedLog => ({
  shape: truncated(shape, position),
  entries: entries.slice(0, position),
})

const sharedOf = (a: NamedLog, b: NamedLog): number => {
  let shared = 0
  while (shared < a.entries.length && a.entries[shared] === b.entries[shared]) shared++
  return shared
}

/** Logs as leaders make them: each epoch takes over some log, cuts it or not, writes, and is copied in part. */
const histories = fc
  .array(
    fc.record({
      by: fc.nat(3),
      keep: fc.double({ min: 0, max: 1, noNaN: true }),
      writes: fc.nat(4),
      copies: fc.array(fc.tuple(fc.nat(3), fc.nat(4)), { maxLength: 4 }),
    }),
    { maxLength: 8 },
  )
  .map(epochs => {
    const logs: NamedLog[] = [empty, empty, empty, empty]
    for (const [at, { by, keep, writes, copies }] of epochs.entries()) {
      const own = logs[by]!
      let led = cut(own, Math.round(own.entries.length * keep))
      const base = led.entries.length
      for (let i = 0; i < writes; i++) led = write(led, at + 1)
      logs[by] = led
      for (const [to, count] of copies)
        if (to !== by) logs[to] = cut(led, Math.min(base + count, led.entries.length))
    }
    return logs
  })

describe('epoch histories', () => {
  it('part exactly where the entries do, seen from either side', () => {
    fc.assert(
      fc.property(histories, logs => {
        for (const a of logs) {
          assertShape(a.shape)
          for (const b of logs) {
            const shared = sharedOf(a, b)
            const point = divergence(a.shape, b.shape)
            expect(point.position).toBe(shared)
            expect(point).toEqual({ epoch: epochAt(a.shape, shared), position: shared })
            expect(divergence(b.shape, a.shape)).toEqual(point)
            expect(hasPoint(a.shape, endOf(b.shape))).toBe(shared === b.entries.length)
          }
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('positions alone do not tell: a longer log of an older epoch is behind, and shares less', () => {
    let old = empty
    for (let i = 0; i < 5; i++) old = write(old, 1)
    let successor = cut(old, 2)
    for (let i = 0; i < 2; i++) successor = write(successor, 2)
    expect(comparePoints(endOf(old.shape), endOf(successor.shape))).toBeLessThan(0)
    expect(divergence(old.shape, successor.shape)).toEqual({ epoch: 1, position: 2 })
    expect(divergence(old.shape, emptyLog)).toEqual(beforeAll)
  })

  it('refuses what no leader writes', () => {
    const log = appended(appended(emptyLog, 3), 3)
    expect(() => appended(log, 2)).toThrow(/newest epoch/)
    expect(() => truncated(log, 3)).toThrow(/a position of the log/)
    expect(() => assertShape({ epochs: [{ epoch: 1, from: 2 }], last: 4 })).toThrow(/begin behind/)
    expect(() => assertShape({ epochs: [{ epoch: 1, from: 1 }], last: 0 })).toThrow(/wrote something/)
  })
})
