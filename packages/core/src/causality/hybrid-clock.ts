/**
 * Hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva, Leone, OPODIS 2014).
 *
 * Problem: stamps must follow real time closely, never repeat, never go back over a restart, and be
 * greater than every stamp the write has seen. Mechanism: a stamp is milliseconds since 2024-01-01
 * times 4096 plus a counter, one safe integer; the next stamp is the greater of "last + 1" and the
 * wall clock, so a full counter simply runs into the next millisecond. The upper bound is reserved
 * durably ahead of use: stamps are minted only below `reserved`, and after a restart minting starts
 * there.
 *
 * Invariants: `last < reserved`; minted stamps strictly increase over the life of the store, restarts
 * included; no observed stamp further ahead of the wall clock than `driftMaxMs` is ever absorbed.
 * HLC orders; it does not detect concurrency (that is the context's work).
 */

import { assert, assertSafeInteger } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import type { Stamp } from '../base/ids.ts'

const EPOCH_MS = 1_704_067_200_000
const COUNTER = 4096

export function stampAt(wallMs: number, counter = 0): Stamp {
  return Math.max(0, (Math.floor(wallMs) - EPOCH_MS) * COUNTER + counter) as Stamp
}

/** A length of time in stamps. */
export const stampSpan = (ms: number): number => Math.floor(ms) * COUNTER

/** Milliseconds since 1970 that a stamp stands for. */
export const stampMs = (stamp: Stamp): number => Math.floor(stamp / COUNTER) + EPOCH_MS

/** Stamps of the same millisecond that came before this one. */
export const stampCounter = (stamp: Stamp): number => stamp % COUNTER

export class HybridClock {
  readonly #wallMs: () => number
  readonly #driftMaxMs: number
  #last: Stamp
  /** Highest present ever told: what is minted later is later, also when the wall clock steps back. */
  #told = 0 as Stamp
  #reserved: Stamp
  /** Stamps refused as too far ahead since the start of the process. */
  refused = 0

  /** `floor`: nothing at or below it may be minted (the bound that an earlier life reserved). */
  constructor(wallMs: () => number, driftMaxMs: number, floor: Stamp) {
    assertSafeInteger(floor, 'clock floor')
    this.#wallMs = wallMs
    this.#driftMaxMs = driftMaxMs
    this.#last = floor
    this.#reserved = floor
  }

  get last(): Stamp {
    return this.#last
  }

  get reserved(): Stamp {
    return this.#reserved
  }

  /** Called when a higher bound is durable. */
  raise(reserved: Stamp): void {
    assertSafeInteger(reserved, 'reserved clock bound')
    if (reserved > this.#reserved) this.#reserved = reserved
  }

  /**
   * The present, without minting: for reads, cuts and send stamps that name no write. Of the wall clock's
   * word it tells no more than is reserved: a wrong clock that no one trusts yet, or that is set right over
   * a restart, must not have stamped what it sent later than everything this node will ever say again.
   */
  peek(): Stamp {
    const wall = Math.min(stampAt(this.#wallMs()), this.#reserved - 1)
    this.#told = Math.max(this.#told, this.#last, wall) as Stamp
    return this.#told
  }

  /** A stamp no one has had and no one will have. */
  mint(): Stamp {
    const next = Math.max(this.#last + 1, this.#told + 1, stampAt(this.#wallMs())) as Stamp
    if (next >= this.#reserved) {
      throw new QuorateError(
        'NOT_READY',
        'the clock bound is being reserved on disk; try again in a moment',
        {
          data: { waitingFor: 'clock-reservation' },
        },
      )
    }
    assert(next > this.#last, 'stamps strictly increase', { next, last: this.#last })
    this.#last = next
    return next
  }

  /** Makes later stamps greater than `stamp`. Throws CLOCK_DRIFT (nothing absorbed) when it is too far ahead. */
  observe(stamp: Stamp, source: string): void {
    this.refuseDrift(stamp, source)
    if (stamp > this.#last) this.#last = stamp
  }

  refuseDrift(stamp: Stamp, source: string): void {
    const aheadMs = stampMs(stamp) - this.#wallMs()
    if (aheadMs > this.#driftMaxMs) {
      this.refused++
      throw new QuorateError(
        'CLOCK_DRIFT',
        `${source} is stamped ${Math.round(aheadMs)} ms ahead of this node's clock; at most ${this.#driftMaxMs} ms is accepted`,
        { data: { aheadMs: Math.round(aheadMs), limitMs: this.#driftMaxMs } },
      )
    }
  }
}
