/** What simulated storage shares: how an operation takes time, where power can be cut, and what counts as a fault. */

import { type Clock, type Random, randomUnit } from '@quorate/core'

export type StorageFault =
  | 'power cut'
  | 'unsynced bytes lost'
  | 'unsynced bytes cut'
  | 'sector zeroed'
  | 'unsynced file vanished'
  | 'remove undone'
  | 'sync failed'
  | 'append failed'
  | 'disk full'
  | 'bit flipped'
  | 'batch survived unanswered'

export interface StorageHooks {
  /** Before an operation takes effect, and after it has but before its caller hears of it. */
  readonly onOperation?: (phase: 'begin' | 'end', operation: string) => void
  readonly onFault?: (fault: StorageFault) => void
}

export interface StorageWorld extends StorageHooks {
  readonly clock: Clock
  readonly random: Random
  /** Longest time of one operation; each takes a random share of it. Default 1. */
  readonly latencyMaxMs?: number
}

/** Resolves after the operation's time; `slowness` multiplies it. */
export function operationTime(world: StorageWorld, slowness: number): Promise<void> {
  const delayMs = randomUnit(world.random) * (world.latencyMaxMs ?? 1) * slowness
  return new Promise(resolve => world.clock.setTimer(delayMs, resolve))
}

/** What an operation that the power cut caught becomes: silence. */
export function never<T>(): Promise<T> {
  return new Promise(() => {})
}
