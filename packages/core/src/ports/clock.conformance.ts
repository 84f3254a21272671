/** What every `Clock` does. */

import { assert } from '../base/assert.ts'
import type { Clock } from './clock.ts'
import { type ConformanceCase, same } from './conformance-case.ts'

export interface ClockSubject {
  readonly clock: Clock
  /** Lets at least `ms` of the clock's own time pass. */
  pass(ms: number): Promise<void>
}

export const clockConformance: readonly ConformanceCase<ClockSubject>[] = [
  {
    name: 'monotonicMs never goes back and moves with time',
    async run(make) {
      const { clock, pass } = await make()
      const start = clock.monotonicMs()
      let last = start
      for (let i = 0; i < 20; i++) {
        await pass(1)
        const now = clock.monotonicMs()
        assert(now >= last, 'monotonic time went back', { last, now })
        last = now
      }
      assert(last - start >= 20, 'monotonic time does not move', { start, last })
    },
  },
  {
    name: 'wallMs counts from 1970',
    async run(make) {
      const { clock } = await make()
      assert(clock.wallMs() > 1_700_000_000_000, 'the wall clock shows a time before 2023', clock.wallMs())
    },
  },
  {
    name: 'a timer fires once, not early, not inside setTimer',
    async run(make) {
      const { clock, pass } = await make()
      for (const delayMs of [0, 1, 7.5]) {
        const start = clock.monotonicMs()
        const fired: number[] = []
        clock.setTimer(delayMs, () => fired.push(clock.monotonicMs() - start))
        same(fired.length, 0, 'firings inside setTimer')
        await pass(delayMs + 20)
        await pass(20)
        same(fired.length, 1, 'firings')
        assert(fired[0]! >= delayMs, 'the timer fired early', { delayMs, afterMs: fired[0] })
      }
    },
  },
  {
    name: 'timers fire in order of their due time',
    async run(make) {
      const { clock, pass } = await make()
      const fired: number[] = []
      for (const delayMs of [40, 5, 20]) clock.setTimer(delayMs, () => fired.push(delayMs))
      await pass(80)
      same(fired, [5, 20, 40], 'order of firing')
    },
  },
  {
    name: 'a cancelled timer never fires; cancelling twice or too late does nothing',
    async run(make) {
      const { clock, pass } = await make()
      let fired = 0
      const cancelled = clock.setTimer(5, () => fired++)
      cancelled.cancel()
      cancelled.cancel()
      const late = clock.setTimer(1, () => fired++)
      await pass(40)
      late.cancel()
      same(fired, 1, 'firings')
    },
  },
  {
    name: 'a timer that cancels a later one in its callback is obeyed',
    async run(make) {
      const { clock, pass } = await make()
      let fired = 0
      clock.setTimer(1, () => later.cancel())
      const later = clock.setTimer(30, () => fired++)
      await pass(80)
      same(fired, 0, 'firings of the cancelled timer')
    },
  },
  {
    name: 'defer runs everything once, in order, not inside the call',
    async run(make) {
      const { clock, pass } = await make()
      const ran: string[] = []
      clock.defer(() => {
        ran.push('first')
        clock.defer(() => ran.push('nested'))
      })
      clock.defer(() => ran.push('second'))
      same(ran, [], 'what ran inside defer')
      await pass(10)
      same(ran, ['first', 'second', 'nested'], 'what ran')
    },
  },
]
