/**
 * Reserves the hybrid clock's upper bound on disk ahead of use, so that no stamp is ever minted twice:
 * not after a crash, not by a clock that was set back. Minting stops at the bound until a higher one is durable.
 */

import { bytesToString, stringToBytes, stringToU64, u64ToString } from '../base/bytes.ts'
import type { ByteString, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store } from '../store/store-face.ts'
import { HybridClock, stampAt, stampSpan } from './hybrid-clock.ts'

/** How often a starting node looks whether it may believe its clock. */
const TRUST_POLL_MS = 20
const BOUND_KEY = `${keyspaces.meta}clock-bound` as ByteString

export class ClockReservation {
  readonly hybrid: HybridClock
  /** Where this life of the store began: nothing at or below was minted in it. */
  readonly floor: Stamp
  readonly #store: Store
  readonly #clock: Clock
  readonly #now: () => number
  readonly #isTrusted: () => boolean
  #requested: Stamp
  #timer: Timer | undefined
  #stopped = false

  /**
   * `isTrusted`: is `now` more than one machine's opinion yet? A bound reserved by a wrong clock would be the
   * floor of every later life, and its stamps would be refused everywhere until real time has caught up.
   */
  constructor(store: Store, clock: Clock, now: () => number, isTrusted: () => boolean) {
    this.#store = store
    this.#clock = clock
    this.#now = now
    this.#isTrusted = isTrusted
    const stored = store.get(BOUND_KEY)
    this.floor = (
      stored === undefined || stored === DAMAGED ? 0 : stringToU64(bytesToString(stored))
    ) as Stamp
    this.hybrid = new HybridClock(now, limits.clockDriftMaxMs, this.floor)
    this.#requested = this.floor
    this.#reserve()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #reserve(): void {
    if (this.#stopped) return
    if (!this.#isTrusted()) {
      this.#timer = this.#clock.setTimer(TRUST_POLL_MS, () => this.#reserve())
      return
    }
    const wanted = Math.max(this.hybrid.last, stampAt(this.#now())) + stampSpan(limits.clockReserveMs)
    if (wanted - this.#requested > stampSpan(limits.clockReserveMs / 3) || this.#requested === this.floor) {
      const bound = wanted as Stamp
      this.#requested = bound
      try {
        const position = this.#store.commit([{ key: BOUND_KEY, value: stringToBytes(u64ToString(bound)) }])
        this.#store.whenDurable(position, () => this.hybrid.raise(bound))
      } catch {
        // A full store refuses this as any write; minting then stops at the old bound, and the next try follows.
        this.#requested = this.hybrid.reserved
      }
    }
    this.#timer = this.#clock.setTimer(limits.clockReserveMs / 6, () => this.#reserve())
  }
}
