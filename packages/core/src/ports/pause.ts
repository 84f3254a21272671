import type { Clock } from './clock.ts'

/** A wait on the port's clock, for background tasks. */
export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise(resolve => clock.setTimer(ms, resolve))
}
