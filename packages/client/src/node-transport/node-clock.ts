/** Real time. `defer` is `setImmediate`: after the input of this turn of the event loop has been handled. */

import { performance } from 'node:perf_hooks'
import type { Clock, Timer } from '@quorate/core'

/** Longest delay of one `setTimeout`; longer ones are taken in steps. */
const TIMEOUT_MAX_MS = 0x7fff_ffff

export class NodeClock implements Clock {
  wallMs(): number {
    return Date.now()
  }

  monotonicMs(): number {
    return performance.now()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const dueMs = performance.now() + delayMs
    let handle: NodeJS.Timeout
    const arm = (): void => {
      // Rounded up: `setTimeout` cuts fractions off and counts from the loop's own, older, time.
      const leftMs = Math.ceil(dueMs - performance.now())
      handle = setTimeout(fire, Math.min(Math.max(leftMs, 0), TIMEOUT_MAX_MS))
    }
    const fire = (): void => {
      if (performance.now() < dueMs) arm()
      else run()
    }
    arm()
    return { cancel: () => clearTimeout(handle) }
  }

  defer(run: () => void): void {
    setImmediate(run)
  }
}
