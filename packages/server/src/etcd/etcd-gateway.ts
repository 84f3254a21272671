/**
 * etcd's JSON gateway (`/v3/…`) as one function: ask, within a deadline, and know whether it may have
 * happened.
 *
 * Problem: of a request that failed, the caller must know if etcd can still act on it. Mechanism: only a
 * connection that was never made (refused, no such host) counts as *not sent*; those, and only those, go on to
 * the next endpoint at once. Everything else (timeout, reset, a server error such as "request timed out")
 * counts as *sent*: etcd may act on it even after this call has ended. One attempt is bounded, so an endpoint
 * that hangs costs `attemptTimeoutMs`, not the caller's whole deadline; the next attempt goes elsewhere.
 */

import { type Clock, describeError } from '@quorate/core'
import * as v from 'valibot'

export type Fetch = typeof globalThis.fetch

export type EtcdAnswer<T> =
  | { readonly kind: 'answer'; readonly body: T }
  | {
      readonly kind: 'failed'
      /** etcd may have got the request, and may act on it yet. */
      readonly sent: boolean
      /** Asking again cannot help. */
      readonly permanent: boolean
      readonly reason: string
    }

export interface EtcdGatewayOptions {
  /** `http://127.0.0.1:2379` */
  readonly endpoints: readonly string[]
  readonly clock: Clock
  readonly fetch?: Fetch
  /** Longest one endpoint may take to answer before it counts as hanging. */
  readonly attemptTimeoutMs?: number
}

const ATTEMPT_TIMEOUT_MS = 2_000

/** A 64-bit integer of the gateway: a string. Revisions stay far below 2⁵³. */
const int64 = v.pipe(
  v.union([v.string(), v.number()]),
  v.transform(Number),
  v.safeInteger('is not a number this program can hold'),
)
const header = v.object({ revision: int64 })
export const keyValueSchema = v.object({
  key: v.string(),
  value: v.optional(v.string(), ''),
  mod_revision: v.optional(int64, 0),
})
export type KeyValue = v.InferOutput<typeof keyValueSchema>
const keyValues = v.optional(v.array(keyValueSchema), [])
export const rangeSchema = v.object({ header, kvs: keyValues })
export const transactionSchema = v.object({
  header,
  succeeded: v.optional(v.boolean(), false),
  responses: v.optional(v.array(v.object({ response_range: v.optional(v.object({ kvs: keyValues })) })), []),
})
const refusal = v.object({ error: v.string(), code: v.optional(v.number()) })

/** gRPC codes after which asking again is pointless: invalid argument, permission, unimplemented, unauthenticated. */
const PERMANENT = new Set([3, 7, 12, 16])
/** Of these, and of resource exhausted (8), nothing was proposed. */
const NOT_PROPOSED = new Set([...PERMANENT, 8])
/** Codes of a connection that was never made. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
])

export class EtcdGateway {
  readonly #endpoints: readonly string[]
  readonly #clock: Clock
  readonly #fetch: Fetch
  readonly #attemptTimeoutMs: number
  #next = 0

  constructor(options: EtcdGatewayOptions) {
    this.#endpoints = options.endpoints
    this.#clock = options.clock
    this.#fetch = options.fetch ?? globalThis.fetch
    this.#attemptTimeoutMs = options.attemptTimeoutMs ?? ATTEMPT_TIMEOUT_MS
  }

  /** The endpoint that the next request goes to first. */
  get endpoint(): string {
    return this.#endpoints[this.#next % this.#endpoints.length]!
  }

  get attemptTimeoutMs(): number {
    return this.#attemptTimeoutMs
  }

  /** This endpoint failed: others come first from now on. */
  turnAway(endpoint: string): void {
    if (this.endpoint === endpoint) this.#next++
  }

  /** Never rejects. `deadlineMs`: monotonic. */
  async ask<T>(
    path: string,
    body: unknown,
    schema: v.GenericSchema<unknown, T>,
    deadlineMs: number,
  ): Promise<EtcdAnswer<T>> {
    let answer: EtcdAnswer<T> = { kind: 'failed', sent: false, permanent: false, reason: 'no time was left' }
    for (let i = 0; i < this.#endpoints.length; i++) {
      const leftMs = Math.min(deadlineMs - this.#clock.monotonicMs(), this.#attemptTimeoutMs)
      if (leftMs <= 0) return answer
      const { endpoint } = this
      answer = await this.#attempt(endpoint, path, body, schema, leftMs)
      if (answer.kind === 'answer' || answer.permanent) return answer
      this.turnAway(endpoint)
      if (answer.sent) return answer
    }
    return answer
  }

  /** A request whose answer is a stream. Rejects as `fetch` does. */
  stream(endpoint: string, path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    return this.#post(endpoint, path, body, signal)
  }

  #post(endpoint: string, path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    // A redirect could lead off the loopback or away from TLS.
    return this.#fetch(endpoint + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      redirect: 'error',
      signal,
    })
  }

  async #attempt<T>(
    endpoint: string,
    path: string,
    body: unknown,
    schema: v.GenericSchema<unknown, T>,
    timeoutMs: number,
  ): Promise<EtcdAnswer<T>> {
    const abort = new AbortController()
    const timer = this.#clock.setTimer(timeoutMs, () => abort.abort())
    try {
      const response = await this.#post(endpoint, path, body, abort.signal)
      return readAnswer(endpoint, response.status, await response.text(), schema)
    } catch (error) {
      const reason = abort.signal.aborted
        ? `${endpoint} did not answer within ${Math.round(timeoutMs)} ms`
        : `${endpoint}: ${whyNot(error)}`
      return { kind: 'failed', sent: !wasNotConnected(error), permanent: false, reason }
    } finally {
      timer.cancel()
    }
  }
}

function readAnswer<T>(
  endpoint: string,
  status: number,
  text: string,
  schema: v.GenericSchema<unknown, T>,
): EtcdAnswer<T> {
  const parsed = parseJson(text)
  if (status === 200) {
    const checked = v.safeParse(schema, parsed)
    if (checked.success) return { kind: 'answer', body: checked.output }
  }
  const refused = v.safeParse(refusal, parsed)
  if (!refused.success) {
    const reason = `${endpoint} answered as no etcd v3 JSON gateway does (status ${status})`
    return { kind: 'failed', sent: true, permanent: status === 404 || status === 405, reason }
  }
  const { error, code } = refused.output
  return {
    kind: 'failed',
    sent: code === undefined || !NOT_PROPOSED.has(code),
    permanent: code !== undefined && PERMANENT.has(code),
    reason: `${endpoint}: ${error}`,
  }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the schema refuses it.
    return undefined
  }
}

const codeOf = (error: unknown): string | undefined => {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** Every address of the endpoint failed to connect: then nothing was sent. */
function wasNotConnected(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const causes: unknown[] = cause instanceof AggregateError ? cause.errors : [cause]
  return causes.length > 0 && causes.every(each => NOT_CONNECTED.has(codeOf(each) ?? ''))
}

export function whyNot(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause === undefined ? describeError(error) : (codeOf(cause) ?? describeError(cause))
}
