/**
 * One stream of changes for all registers of a cluster, kept alive.
 *
 * Problem: a stream ends when its etcd does, and may hang without ending (a paused etcd, a cut network);
 * what changed in between is not in the next stream. Mechanism: whenever a stream has begun, all registers'
 * revisions are compared with what is known (`recheck`), so the gap is closed from the other side; and the same
 * comparison is made every `recheckMs` in any case. One that finds news while the stream has been silent
 * ends the stream: the next one goes to another endpoint.
 *
 * Invariant: at most one stream is open, and none after `close`.
 */

import { type ByteString, type Clock, pause, type Random, randomUnit, type Timer } from '@quorate/core'
import * as v from 'valibot'
import { type FoundCell, readCell } from './etcd-cell.ts'
import type { EtcdCells } from './etcd-cells.ts'
import { type EtcdGateway, keyValueSchema, parseJson } from './etcd-gateway.ts'

export interface EtcdWatchOptions {
  readonly gateway: EtcdGateway
  readonly cells: EtcdCells
  readonly clock: Clock
  readonly random: Random
  readonly recheckMs?: number
  /** A register as it became; undefined: its key was removed, at `revision`. */
  readonly onChange: (key: ByteString, cell: FoundCell | undefined, revision: number) => void
  /** Compares all revisions with what is known and makes up for what is not. */
  readonly recheck: () => Promise<'same' | 'newer' | 'failed'>
}

const RECHECK_MS = 10_000
const BACKOFF_MIN_MS = 50
const BACKOFF_MAX_MS = 2_000
/** One message: etcd sends what one transaction or one backlog holds; registers are up to 1 MiB each. */
const MESSAGE_CHARS_MAX = 64 * 1024 * 1024

const messageSchema = v.object({
  result: v.object({
    created: v.optional(v.boolean(), false),
    canceled: v.optional(v.boolean(), false),
    events: v.optional(v.array(v.object({ type: v.optional(v.string()), kv: keyValueSchema })), []),
  }),
})

export class EtcdWatch {
  readonly #options: EtcdWatchOptions
  #abort: AbortController | undefined
  #recheckTimer: Timer | undefined
  #closed = false
  #heardMs = 0
  #failures = 0

  constructor(options: EtcdWatchOptions) {
    this.#options = options
    this.#recheckLater()
    void this.#run()
  }

  close(): void {
    this.#closed = true
    this.#recheckTimer?.cancel()
    this.#abort?.abort()
  }

  async #run(): Promise<void> {
    const { clock, random, gateway } = this.#options
    while (!this.#closed) {
      const { endpoint } = gateway
      await this.#listen(endpoint)
      if (this.#closed) return
      gateway.turnAway(endpoint)
      this.#failures++
      const longestMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(this.#failures, 16))
      await pause(clock, longestMs * (0.5 + 0.5 * randomUnit(random)))
    }
  }

  /** Resolves when the stream has ended, for whatever reason. */
  async #listen(endpoint: string): Promise<void> {
    const { clock, gateway, cells } = this.#options
    const abort = new AbortController()
    this.#abort = abort
    const tooLate = clock.setTimer(gateway.attemptTimeoutMs, () => abort.abort())
    try {
      const body = { create_request: cells.all }
      const response = await gateway.stream(endpoint, '/v3/watch', body, abort.signal)
      for await (const line of linesOf(response)) {
        if (!this.#receive(line, tooLate)) return
      }
    } catch {
      // Whatever it was, the stream is over; `#run` opens the next one.
    } finally {
      tooLate.cancel()
      abort.abort()
    }
  }

  /** False: this stream is of no more use. */
  #receive(line: string, tooLate: Timer): boolean {
    const { clock, cells, onChange } = this.#options
    const parsed = v.safeParse(messageSchema, parseJson(line))
    if (!parsed.success || parsed.output.result.canceled || this.#closed) return false
    const { created, events } = parsed.output.result
    this.#heardMs = clock.monotonicMs()
    if (created) {
      tooLate.cancel()
      void this.#recheckBeginning(this.#abort!)
    }
    for (const { type, kv } of events) {
      const key = cells.registerOf(kv.key)
      if (key === undefined) continue
      const cell = type === 'DELETE' ? undefined : readCell(kv)
      // A value that is no register is reported by whoever reads it.
      if (type === 'DELETE' || cell !== undefined) onChange(key, cell, kv.mod_revision)
    }
    return true
  }

  /** Only with the gap behind it closed is a new stream worth anything. */
  async #recheckBeginning(stream: AbortController): Promise<void> {
    if ((await this.#options.recheck()) === 'failed') stream.abort()
    else this.#failures = 0
  }

  #recheckLater(): void {
    const { clock, recheckMs = RECHECK_MS } = this.#options
    this.#recheckTimer = clock.setTimer(recheckMs, () => void this.#recheckNow(recheckMs))
  }

  async #recheckNow(recheckMs: number): Promise<void> {
    const { clock, recheck } = this.#options
    const stream = this.#abort
    const found = await recheck()
    if (this.#closed) return
    if (found === 'newer' && clock.monotonicMs() - this.#heardMs >= recheckMs) stream?.abort()
    this.#recheckLater()
  }
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  if (response.status !== 200 || response.body === null) return
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()!
    if (rest.length > MESSAGE_CHARS_MAX) return
    yield* lines.filter(line => line !== '')
  }
}
