/**
 * A session: calls that see each other's effects, whichever nodes they go to, and whichever processes make them.
 *
 * What a session has seen is in its token, which nodes make and check; here it is opaque. Calls that run at the same time
 * each bring one back. No one but a node can join them, so they are kept side by side, and go out together with the next
 * call, whose reply covers them all. A call that fails changes nothing: what it may have written is not promised.
 *
 * Bounds: calls beyond `limits.sessionCallsMax` wait until one of the session has ended.
 */

import {
  base64ToBytes,
  bytesToBase64,
  joinTokens,
  limits,
  QuorateError,
  tokensOf,
  uniteTokens,
} from '@quorate/core'

const asText = (bytes: Uint8Array): string =>
  bytesToBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

function asBytes(text: string): Uint8Array {
  const bytes = /^[A-Za-z0-9_-]+$/.test(text)
    ? base64ToBytes(text.replaceAll('-', '+').replaceAll('_', '/'))
    : undefined
  if (bytes === undefined)
    throw new QuorateError('BAD_SESSION', 'a session token is a base64url text as `session.token` gives it')
  return bytes
}

export class Session {
  #tokens: readonly Uint8Array[]
  #running = 0
  readonly #waiting: (() => void)[] = []

  /** `token`: of an earlier session, text or bytes, to go on from. Throws BAD_SESSION when it is none. */
  constructor(token?: string | Uint8Array) {
    const bytes = typeof token === 'string' ? asBytes(token) : token
    this.#tokens = bytes === undefined ? [] : tokensOf(bytes).map(one => one.slice())
  }

  /** To be kept, and handed to whoever goes on with this session; base64url. */
  get token(): string {
    return asText(this.bytes)
  }

  get bytes(): Uint8Array {
    return joinTokens(this.#tokens)
  }

  /** For the client's own calls: `call` sends what it is given, and its reply brings the new token. */
  async run<Reply extends { readonly session: Uint8Array | undefined }>(
    call: (bundle: Uint8Array) => Promise<Reply>,
  ): Promise<Reply> {
    if (this.#running >= limits.sessionCallsMax)
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#running++
    try {
      const sent = this.#tokens
      const reply = await call(joinTokens(sent))
      // A node that lets it fall would weaken every later call.
      if (reply.session === undefined)
        throw new QuorateError('INTERNAL', 'the reply to a call of a session has no token', {
          outcome: 'unknown',
        })
      const left = this.#tokens.filter(token => !sent.includes(token))
      this.#tokens = uniteTokens(
        left,
        tokensOf(reply.session).map(token => token.slice()),
      )
      return reply
    } finally {
      // Who waits takes this place over.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
