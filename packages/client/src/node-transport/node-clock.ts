import type { Clock, Timer } from '@quorate/core'

/** Time of this process. */
export class NodeClock implements Clock {
  wallMs(): number {
    return Date.now()
  }

  monotonicMs(): number {
    return performance.now()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    // setTimeout may fire up to a millisecond early on the monotonic clock; timers here never do.
    const timer = setTimeout(run, Math.ceil(delayMs) + 1)
    return { cancel: () => clearTimeout(timer) }
  }

  defer(run: () => void): void {
    setImmediate(run)
  }
}
