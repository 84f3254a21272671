/**
 * Trouble with peers, in a log that stays readable.
 *
 * Problem: an unreachable peer is dialled again several times a second, and each try fails alike. Mechanism:
 * a trouble is a subject (a peer) and a kind (an error code). It is logged when it begins, then once per
 * minute for as long as it goes on, with how often it was met; its end is logged once. A subject that
 * comes and goes within seconds is not logged at each turn.
 */

import type { QuorateError } from '@quorate/core'

export const REMIND_MS = 60_000
/** A trouble that is back sooner than this after it was logged waits for its reminder. */
export const FLAP_MS = 5_000
/** Troubles remembered; whoever dials us from many addresses must not grow this for ever. */
const TROUBLES_MAX = 1_000

export interface TroubleLine {
  readonly peer: string
  readonly code: string
  /** How often it was met since it was last logged. */
  readonly times?: number
}

export interface TroubleSink {
  warn(line: TroubleLine, message: string): void
  error(line: TroubleLine, message: string): void
  info(line: { readonly peer: string }, message: string): void
}

interface Trouble {
  readonly subject: string
  loggedMs: number
  /** Met since it was last logged. */
  unlogged: number
  isOver: boolean
}

export class TroubleLog {
  readonly #sink: TroubleSink
  readonly #nowMs: () => number
  readonly #troubles = new Map<string, Trouble>()

  constructor(sink: TroubleSink, nowMs: () => number = () => performance.now()) {
    this.#sink = sink
    this.#nowMs = nowMs
  }

  met(subject: string, error: QuorateError): void {
    this.#met('warn', subject, error.code, error.code, `${subject}: ${error.message}`)
  }

  /** What only an operator can settle; each message is a trouble of its own. */
  needsOperator(subject: string, message: string): void {
    this.#met('error', subject, message, 'NEEDS_OPERATOR', message)
  }

  #met(level: 'warn' | 'error', subject: string, kind: string, code: string, message: string): void {
    const key = `${subject}\0${kind}`
    const known = this.#troubles.get(key)
    const nowMs = this.#nowMs()
    if (known === undefined) {
      this.#forgetOldest()
      this.#troubles.set(key, { subject, loggedMs: nowMs, unlogged: 0, isOver: false })
      this.#sink[level]({ peer: subject, code }, message)
      return
    }
    known.unlogged++
    const sinceMs = nowMs - known.loggedMs
    const isDue = known.isOver ? sinceMs >= FLAP_MS : sinceMs >= REMIND_MS
    if (!isDue) return
    const times = known.unlogged
    const again = times === 1 ? '' : ` (${times} times in the last ${Math.round(sinceMs / 1000)} s)`
    Object.assign(known, { loggedMs: nowMs, unlogged: 0, isOver: false })
    this.#sink[level]({ peer: subject, code, times }, `${message}${again}`)
  }

  /** Whatever was wrong with the subject is over. */
  over(subject: string): void {
    let wasOpen = false
    for (const trouble of this.#troubles.values()) {
      if (trouble.subject !== subject || trouble.isOver) continue
      wasOpen = true
      trouble.isOver = true
      trouble.unlogged = 0
    }
    if (wasOpen) this.#sink.info({ peer: subject }, `${subject}: reached`)
  }

  #forgetOldest(): void {
    const [oldest] = this.#troubles.keys()
    if (this.#troubles.size >= TROUBLES_MAX && oldest !== undefined) this.#troubles.delete(oldest)
  }
}
