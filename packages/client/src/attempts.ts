/**
 * What was tried for one call, for its error: who was asked and what each said, peer by peer in the
 * order of first asking; equal answers of one peer are one line with a count. A call that waits for a dead node asks it
 * dozens of times: that is one fact, not dozens.
 */

import { isQuorateError, type QuorateError } from '@quorate/core'

/** Distinct lines kept; more than the nodes of one preference list, with what each saw of the others. */
const LINES_MAX = 16

interface Line {
  readonly peer: string
  readonly who: string
  readonly what: string
  readonly error: QuorateError | undefined
  times: number
}

/** A peer as people know it: a seed is known by its address. */
export const peerName = (peer: string): string => peer.replace(/^seed:/, '')

export class Attempts {
  readonly #lines = new Map<string, Line>()
  count = 0

  add(peer: string | undefined, error: unknown): void {
    this.count++
    const who = peer === undefined ? 'client' : peerName(peer)
    this.#line(who, who, saying(who, error), isQuorateError(error) ? error : undefined)
    if (!isQuorateError(error)) return
    for (const seen of error.attempts) {
      // Of a refresh, whose attempts are the client's own; or of a coordinator, which says whom it asked.
      this.#line(who, peer === undefined ? who : `${who} asked`, seen, undefined)
    }
  }

  #line(peer: string, who: string, what: string, error: QuorateError | undefined): void {
    const key = `${who}\0${what}`
    const known = this.#lines.get(key)
    if (known !== undefined) known.times++
    else if (this.#lines.size < LINES_MAX) this.#lines.set(key, { peer, who, what, error, times: 1 })
  }

  /** What `final` says itself is not said again. */
  lines(final?: QuorateError): string[] {
    const peers = [...new Set([...this.#lines.values()].map(({ peer }) => peer))]
    const byPeer = peers.flatMap(peer => [...this.#lines.values()].filter(line => line.peer === peer))
    return byPeer.map(({ who, what, error, times }) => {
      const isFinal = error !== undefined && error.code === final?.code && error.message === final.message
      return counted(who, times, isFinal ? error.code : what)
    })
  }
}

const counted = (who: string, times: number, what: string): string =>
  who.endsWith(' asked')
    ? `${who} ${what}${times === 1 ? '' : ` (${times} times)`}`
    : `${who}${times === 1 ? '' : ` ${times} times`}: ${what}`

/** The code, and the message where it says more; not the name of the peer once more. */
function saying(who: string, error: unknown): string {
  if (!isQuorateError(error)) return error instanceof Error ? error.message : String(error)
  const { code, message } = error
  if (code === 'UNREACHABLE' || code === 'DEADLINE') {
    // What follows the semicolon is about the outcome, which the error states for the whole call.
    const rest = message.replace(/^seed:/, '').split(';')[0]!
    return rest.startsWith(`${who} `) ? rest.slice(who.length + 1) : rest
  }
  return `${code}: ${message}`
}
