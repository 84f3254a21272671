/**
 * Session tokens: what travels between a session and whichever node it speaks to.
 *
 * Problem: a client must not be able to invent what it has seen: a token from the future would make every read of its
 * session wait or fail, and one that is cut would silently promise less. Mechanism: format (1) · the cluster's id · what
 * was seen (session-state.ts) · HMAC-SHA-256 of all that, truncated to 16 bytes, under a key that the nodes of the
 * cluster share (node/session-key.ts). Not encrypted: it names the keys of the rows that its session has touched.
 *
 * Calls of one session that run at the same time each bring a token back, and a client has no key to join them. So what
 * travels with a request is a *bundle*, tokens one after the other; a node checks each and joins what they say, and its
 * reply is a bundle of one that covers them all.
 *
 * References: Krawczyk, Bellare, Canetti, "HMAC", RFC 2104 (1997), truncated as its section 5 allows.
 */

import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesEqual } from '../base/bytes.ts'
import { isQuorateError, QuorateError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import {
  emptySession,
  encodeSession,
  mergeSessions,
  readSession,
  type SessionState,
} from './session-state.ts'

const FORMAT = 1
const MAC_BYTES = 16
export const SESSION_KEY_BYTES = 32

/** What a node needs to make tokens, and to believe them. */
export interface SessionSeal {
  readonly clusterId: string
  readonly key: Uint8Array
}

const bad = (why: string): QuorateError =>
  new QuorateError('BAD_SESSION', `the session token is not one that this cluster gave out: ${why}`)

const mac = (key: Uint8Array, body: Uint8Array): Uint8Array => hmac(sha256, key, body).slice(0, MAC_BYTES)

/** A bundle of one token. Throws SESSION_FULL: rows can be settled first, partitions with leaders cannot. */
export function sealSession(state: SessionState, { clusterId, key }: SessionSeal): Uint8Array {
  const tooMany = (what: string, count: number, max: number): never => {
    throw new QuorateError(
      'SESSION_FULL',
      `the session remembers ${count} ${what}, and ${max} at the most fit`,
      {
        data: { count, max },
      },
    )
  }
  if (state.led.length > limits.sessionLedMax)
    tooMany('partitions with leaders', state.led.length, limits.sessionLedMax)
  if (state.rows.length > limits.sessionRowsMax) tooMany('rows', state.rows.length, limits.sessionRowsMax)
  const writer = new ByteWriter()
  writer.u8(FORMAT)
  writer.text(clusterId)
  writer.raw(encodeSession(state))
  const body = writer.take()
  writer.raw(body)
  writer.raw(mac(key, body))
  return joinTokens([writer.take()])
}

/** What all tokens of a bundle say together. Throws BAD_SESSION: nothing of it is believed then. */
export function openSession(bundle: Uint8Array, seal: SessionSeal): SessionState {
  let state = emptySession
  for (const token of tokensOf(bundle)) state = mergeSessions(state, openToken(token, seal))
  return state
}

function openToken(token: Uint8Array, { clusterId, key }: SessionSeal): SessionState {
  const { body, cluster, state } = parse(token)
  if (cluster !== clusterId) throw bad(`it is of the cluster "${cluster}", and this is "${clusterId}"`)
  // Of fixed length; that it takes as long whatever differs is not needed for a tag that is not guessed byte by byte
  // over a network, and costs nothing.
  const given = token.subarray(body.length)
  const wanted = mac(key, body)
  let difference = 0
  for (let at = 0; at < MAC_BYTES; at++) difference |= given[at]! ^ wanted[at]!
  if (difference !== 0) throw bad('its seal is wrong')
  return state()
}

function parse(token: Uint8Array): { body: Uint8Array; cluster: string; state: () => SessionState } {
  if (token.length < MAC_BYTES + 2) throw bad('it is too short')
  const body = token.subarray(0, token.length - MAC_BYTES)
  return refusing(() => {
    const reader = new ByteReader(body)
    const format = reader.u8()
    if (format !== FORMAT) throw bad(`its format ${format} is unknown`)
    const cluster = reader.text(64)
    const state = (): SessionState =>
      refusing(() => {
        const read = readSession(reader)
        reader.end()
        return read
      })
    return { body, cluster, state }
  })
}

function refusing<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!isQuorateError(error) || error.code === 'BAD_SESSION') throw error
    throw bad(error.message)
  }
}

/** The tokens of a bundle; none: a session that has seen nothing yet. Throws BAD_SESSION. */
export function tokensOf(bundle: Uint8Array): readonly Uint8Array[] {
  return refusing(() => {
    const reader = new ByteReader(bundle)
    const tokens: Uint8Array[] = []
    for (let left = reader.count(limits.sessionCallsMax + 1); left > 0; left--)
      tokens.push(reader.bytes(limits.sessionBundleBytesMax))
    reader.end()
    return tokens
  })
}

export function joinTokens(tokens: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter()
  writer.varint(tokens.length)
  for (const token of tokens) writer.bytes(token)
  return writer.take()
}

/** Tokens of several bundles, each once. */
export function uniteTokens(tokens: readonly Uint8Array[], more: readonly Uint8Array[]): Uint8Array[] {
  const out = [...tokens]
  for (const token of more) if (!out.some(other => bytesEqual(other, token))) out.push(token)
  return out
}

/**
 * What a bundle says, taken on trust: for a client, which has no key, to plan a second round of reads by. What it asks
 * for then is checked by the node.
 */
export function peekSession(bundle: Uint8Array): SessionState {
  return tokensOf(bundle).reduce((state, token) => mergeSessions(state, parse(token).state()), emptySession)
}
