import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Incarnation, NodeId, Stamp } from '../base/ids.ts'
import { ClusterTime } from './cluster-time.ts'
import { type Context, contextCovers, contextHas, extendOwn, mergeContexts } from './context.ts'
import { HybridClock, stampAt, stampMs, stampSpan } from './hybrid-clock.ts'

const epoch = Date.UTC(2026, 0, 1)

describe('hybrid clock', () => {
  const make = (wall: () => number, floor = 0): HybridClock => {
    const clock = new HybridClock(wall, 10_000, floor as Stamp)
    clock.raise(Number.MAX_SAFE_INTEGER as Stamp)
    return clock
  }

  it('follows the wall, never repeats, never goes back, whatever the wall does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -5_000, max: 5_000 }), { minLength: 1, maxLength: 200 }),
        steps => {
          let wall = epoch
          const clock = make(() => wall)
          let last = -1
          for (const step of steps) {
            wall += step
            const stamp = clock.mint()
            expect(stamp).toBeGreaterThan(last)
            expect(stampMs(stamp)).toBeGreaterThanOrEqual(wall)
            last = stamp
          }
        },
      ),
    )
  })

  it('more stamps than a millisecond has counters run into the next one', () => {
    const clock = make(() => epoch)
    const stamps = Array.from({ length: 10_000 }, () => clock.mint())
    expect(new Set(stamps).size).toBe(10_000)
    expect(stampMs(stamps.at(-1)!)).toBe(epoch + 2)
  })

  it('mints nothing at or above what is reserved', () => {
    const clock = new HybridClock(() => epoch, 10_000, 0 as Stamp)
    expect(() => clock.mint()).toThrow(/reserved/)
    clock.raise((stampAt(epoch) + 2) as Stamp)
    clock.mint()
    clock.mint()
    expect(() => clock.mint()).toThrow(/reserved/)
  })

  it('tells of a wall clock no more than what later lives will start above', () => {
    const bound = stampAt(epoch + 1_000)
    const clock = new HybridClock(() => epoch + 3_600_000, 10_000, bound)
    expect(clock.peek()).toBeLessThanOrEqual(bound)
    expect(new HybridClock(() => epoch, 10_000, bound).peek()).toBeGreaterThanOrEqual(clock.peek())
  })

  it('starts above the floor an earlier life reserved, with a clock that was set back', () => {
    const floor = (stampAt(epoch) + stampSpan(3_000)) as Stamp
    expect(make(() => epoch - 3_600_000, floor).mint()).toBeGreaterThan(floor)
  })

  it('refuses what is too far ahead and absorbs nothing of it', () => {
    const clock = make(() => epoch)
    const before = clock.last
    expect(() => clock.observe(stampAt(epoch + 10_001), 'x')).toThrow(/ahead/)
    expect(clock.last).toBe(before)
    clock.observe(stampAt(epoch + 9_999), 'x')
    expect(clock.mint()).toBeGreaterThan(stampAt(epoch + 9_999))
  })
})

describe('cluster time', () => {
  const world = () => {
    let wall = epoch
    let monotonic = 0
    return {
      clock: { wallMs: () => wall, monotonicMs: () => monotonic },
      pass: (ms: number) => {
        wall += ms
        monotonic += ms
      },
      jump: (ms: number) => {
        wall += ms
      },
    }
  }
  const peer = (id: string): NodeId => id as NodeId

  it('does not follow a jump of its own wall clock that no peer made', () => {
    const { clock, pass, jump } = world()
    const time = new ClusterTime(clock, 5_000)
    time.heard(peer('b'), epoch)
    time.heard(peer('c'), epoch)
    jump(3_600_000)
    pass(100)
    expect(time.now()).toBe(epoch + 100)
    expect(time.ownOffsetMs).toBe(3_600_000)
  })

  it('follows small steps', () => {
    const { clock, jump } = world()
    const time = new ClusterTime(clock, 5_000)
    jump(400)
    expect(time.now()).toBe(epoch + 400)
  })

  it('takes the median of the cluster when it started wrong', () => {
    const { clock, jump, pass } = world()
    jump(-7_200_000)
    const time = new ClusterTime(clock, 5_000)
    time.heard(peer('b'), epoch)
    time.heard(peer('c'), epoch + 10)
    pass(5)
    expect(Math.abs(time.now() - epoch)).toBeLessThan(100)
  })

  it('two clocks that are wrong, each in its own way, are no majority', () => {
    const { clock, jump, pass } = world()
    const time = new ClusterTime(clock, 5_000)
    time.heard(peer('b'), epoch)
    time.heard(peer('c'), epoch)
    jump(2_400_000)
    time.heard(peer('b'), epoch + 2_900_000)
    time.heard(peer('c'), epoch)
    pass(10)
    expect(time.now()).toBe(epoch + 10)
  })

  it('one peer far ahead does not drag it along', () => {
    const { clock } = world()
    const time = new ClusterTime(clock, 5_000)
    time.heard(peer('b'), epoch + 3_600_000)
    expect(time.now()).toBe(epoch)
  })
})

describe('contexts', () => {
  const actors = ['A', 'B', 'C'].map(a => a.repeat(8) as Incarnation)
  /** A context as a plain set of dots: the oracle. */
  const dots = fc.uniqueArray(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 40 })), {
    selector: d => d.join(),
    maxLength: 30,
  })
  const fromDots = (set: readonly (readonly [number, number])[]): Context =>
    set.map(([a, s]): Context => [{ actor: actors[a]!, intervals: [s, s] }]).reduce(mergeContexts, [])

  it('merge is the union of sets of dots, and membership agrees with it', () => {
    fc.assert(
      fc.property(dots, dots, (x, y) => {
        const both = mergeContexts(fromDots(x), fromDots(y))
        for (let a = 0; a < 3; a++) {
          for (let s = 0; s <= 41; s++) {
            const expected = [...x, ...y].some(([b, t]) => a === b && s === t)
            expect(contextHas(both, actors[a]!, s as Stamp)).toBe(expected)
          }
        }
        expect(contextCovers(both, fromDots(x))).toBe(true)
        expect(both).toEqual(mergeContexts(fromDots(y), fromDots(x)))
      }),
    )
  })

  it('with continuous memory it is a version vector; without, a new interval claims only itself', () => {
    const [a] = actors as [Incarnation]
    let context: Context = []
    for (const stamp of [10, 20, 30]) context = extendOwn(context, a, stamp as Stamp, 0 as Stamp)
    expect(context).toEqual([{ actor: a, intervals: [10, 30] }])
    context = extendOwn(context, a, 50 as Stamp, 40 as Stamp)
    expect(context).toEqual([{ actor: a, intervals: [10, 30, 50, 50] }])
    expect(contextHas(context, a, 35 as Stamp)).toBe(false)
    // Two writes of a stand-in in a row, each claiming only itself, are one interval: a set has one form.
    context = extendOwn(context, a, 51 as Stamp, 51 as Stamp)
    expect(context).toEqual([{ actor: a, intervals: [10, 30, 50, 51] }])
  })
})
