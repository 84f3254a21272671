/**
 * Sessions over HTTP: the token in a cookie (browsers bring it back by themselves) or in a header (programs).
 *
 * The token is sealed, not encrypted: it names rows by their keys, so it is kept from scripts (HttpOnly) and from other
 * sites' requests (SameSite=Lax); with `secure` it travels over TLS only. Browsers drop a cookie past 4 KiB without a
 * word, which would quietly end the session's promises: such a token is refused here and wants the header.
 */

import { QuorateError } from '@quorate/core'
import type { Session } from './session.ts'

export const SESSION_COOKIE = 'quorate-session'
export const SESSION_HEADER = 'quorate-session'
/** RFC 6265 §6.1: what every browser keeps, name, value and attributes together. */
const COOKIE_BYTES_MAX = 4_096

export interface SessionCookieOptions {
  /** Over TLS only; default true. Off for development without TLS. */
  readonly secure?: boolean | undefined
  /** Default: as long as the browser is open. */
  readonly maxAgeSeconds?: number | undefined
  readonly path?: string | undefined
}

/** The value of a `Set-Cookie` header. Throws SESSION_FULL when no browser would keep it. */
export function sessionCookie(session: Session, options: SessionCookieOptions = {}): string {
  const { secure = true, maxAgeSeconds, path = '/' } = options
  const attributes = [
    `${SESSION_COOKIE}=${session.token}`,
    `Path=${path}`,
    ...(maxAgeSeconds === undefined ? [] : [`Max-Age=${maxAgeSeconds}`]),
    ...(secure ? ['Secure'] : []),
    'HttpOnly',
    'SameSite=Lax',
  ]
  const cookie = attributes.join('; ')
  if (cookie.length > COOKIE_BYTES_MAX)
    throw new QuorateError(
      'SESSION_FULL',
      `the session token has grown to ${cookie.length} bytes and browsers keep cookies of ${COOKIE_BYTES_MAX}; carry it in the header "${SESSION_HEADER}"`,
      { data: { bytes: cookie.length, limitBytes: COOKIE_BYTES_MAX } },
    )
  return cookie
}

/** Headers of a request: of `fetch`, or of Node. */
export type RequestHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>

/** The session of a request: of its header, else of its cookie, else a new one. Throws BAD_SESSION. */
export function sessionFromRequest(
  client: { session(token?: string): Session },
  headers: RequestHeaders,
): Session {
  const token = header(headers, SESSION_HEADER) ?? cookie(header(headers, 'cookie'))
  return token === undefined ? client.session() : client.session(token)
}

function header(headers: RequestHeaders, name: string): string | undefined {
  if (typeof headers.get === 'function') return headers.get(name) ?? undefined
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  return found === undefined || typeof found === 'string' ? found : found.join('; ')
}

function cookie(header: string | undefined): string | undefined {
  const prefix = `${SESSION_COOKIE}=`
  const pair = header
    ?.split(';')
    .map(part => part.trim())
    .find(part => part.startsWith(prefix))
  return pair?.slice(prefix.length).replace(/^"(.*)"$/, '$1')
}
