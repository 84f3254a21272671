/**
 * Requests over a transport that promises nothing.
 *
 * One frame format for nodes, clients and simulator: kind, call id, then for a request its type, the
 * milliseconds its sender will still wait, and the body. A call may go to several peers at once: the
 * frame is encoded once and shared. Replies are matched by (call id, peer), so a late or doubled reply
 * falls on nothing; the first id is random, so that an answer to an earlier life of this process falls on
 * nothing either. A call to oneself does not pass the transport. Deadlines are kept in coarse buckets: one timer serves thousands of calls.
 *
 * Invariants: each (call, peer) gets exactly one outcome: a reply, the peer's error, UNREACHABLE, or
 * DEADLINE; after `close` CANCELLED or, where nobody waits any more, none. A malformed body is answered with BAD_FRAME and harms nothing else. A
 * request whose sender has stopped waiting is dropped before any work.
 */

import { assert } from '../base/assert.ts'
import { isQuorateError, type Outcome, QuorateError } from '../base/errors.ts'
import type { PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Clock } from '../ports/clock.ts'
import { type Deadline, Deadlines, type Expiring } from '../ports/deadlines.ts'
import type { Transport } from '../ports/transport.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CallTable } from './call-table.ts'
import { asQuorateError, errorSchema } from './error-schema.ts'
import { MEMBER_MESSAGES_FROM, type Message } from './messages.ts'

const KIND_REQUEST = 0
const KIND_REPLY = 1
const KIND_ERROR = 2
const KIND_ONE_WAY = 3

export type OnReply<Reply> = (peer: PeerId, reply: Reply | undefined, error: QuorateError | undefined) => void

export interface Respond<Reply> {
  ok(reply: Reply): void
  fail(error: unknown): void
}

/** `deadline` is on this node's monotonic clock. */
export type Handler<Request, Reply> = (
  request: Request,
  respond: Respond<Reply>,
  from: PeerId,
  deadline: number,
) => void

/** A call and the peers it still waits for. */
class Call implements Expiring {
  readonly id: number
  readonly message: Message<unknown, unknown>
  readonly waitsFor: PeerId[]
  readonly onReply: OnReply<unknown>
  readonly #onExpire: (call: Call) => void
  deadline: Deadline | undefined

  constructor(
    id: number,
    message: Message<unknown, unknown>,
    peers: readonly PeerId[],
    onReply: OnReply<unknown>,
    onExpire: (call: Call) => void,
  ) {
    this.id = id
    this.message = message
    this.waitsFor = peers.slice()
    this.onReply = onReply
    this.#onExpire = onExpire
  }

  expire(): void {
    this.#onExpire(this)
  }
}

/** The answer to one request: where it goes, and how it is written. */
class Answer implements Respond<unknown> {
  readonly #send: SendAnswer
  readonly #to: PeerId
  readonly #id: number
  readonly #message: Message<unknown, unknown>

  constructor(send: SendAnswer, to: PeerId, id: number, message: Message<unknown, unknown>) {
    this.#send = send
    this.#to = to
    this.#id = id
    this.#message = message
  }

  ok(reply: unknown): void {
    this.#send(this.#to, this.#id, this.#message, reply, undefined)
  }

  fail(error: unknown): void {
    this.#send(this.#to, this.#id, undefined, undefined, asQuorateError(error))
  }
}

type SendAnswer = (
  to: PeerId,
  id: number,
  message: Message<unknown, unknown> | undefined,
  reply: unknown,
  error: QuorateError | undefined,
) => void

export interface RpcOptions {
  /** Calls to this peer are answered by the handlers here. */
  readonly self?: PeerId
  /** Should differ from life to life of a process: its peers may still answer the calls of the last one. */
  readonly firstCallId?: number
  /** May this peer send what members send each other? Default: anyone may. */
  readonly isMember?: (peer: PeerId) => boolean
  /**
   * Calls after `close`, and those open at it, end with CANCELLED and this message. Default: they have no
   * outcome; a node that stops owes nobody one, and must not fail while it stops.
   */
  readonly closedError?: string
}

/** First call ids are drawn below this. */
export const FIRST_CALL_ID_MAX = 2 ** 28

export interface RpcCounters {
  sent: number
  received: number
  badFrames: number
  expired: number
}

export class Rpc {
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #pending: CallTable<Call>
  readonly deadlines: Deadlines
  readonly #handlers = new Map<
    number,
    { message: Message<unknown, unknown>; handler: Handler<unknown, unknown> }
  >()
  readonly #writer = new ByteWriter(32 * 1024)
  readonly counters: RpcCounters = { sent: 0, received: 0, badFrames: 0, expired: 0 }
  readonly #self: PeerId | undefined
  readonly #isMember: (peer: PeerId) => boolean
  readonly #closedError: string | undefined
  #closed = false

  constructor(transport: Transport, clock: Clock, options: RpcOptions = {}) {
    this.#transport = transport
    this.#self = options.self
    this.#isMember = options.isMember ?? (() => true)
    this.#closedError = options.closedError
    this.#pending = new CallTable(1 + (options.firstCallId ?? 0))
    this.#clock = clock
    this.deadlines = new Deadlines(clock)
    transport.serve({
      frame: (from, frame) => this.#frame(from, frame),
      unreachable: (peer, nothingSent) => this.#unreachable(peer, nothingSent ?? false),
    })
  }

  route(peer: PeerId, address: string): void {
    this.#transport.route(peer, address)
  }

  handle<Request, Reply>(message: Message<Request, Reply>, handler: Handler<Request, Reply>): void {
    assert(!this.#handlers.has(message.type), 'one handler per message type', message.name)
    this.#handlers.set(message.type, {
      message: message as Message<unknown, unknown>,
      handler: handler as Handler<unknown, unknown>,
    })
  }

  /** One frame, several peers, one outcome each. */
  call<Request, Reply>(
    peers: readonly PeerId[],
    message: Message<Request, Reply>,
    request: Request,
    timeoutMs: number,
    onReply: OnReply<Reply>,
  ): void {
    if (peers.length === 0) return
    if (this.#closed) return this.#endClosed(peers, onReply as OnReply<unknown>, 'not-applied')
    const id = this.#pending.takeId()
    const writer = this.#writer
    writer.begin()
    writer.u8(KIND_REQUEST)
    writer.varint(id)
    writer.u8(message.type)
    writer.varint(Math.max(0, Math.ceil(timeoutMs)))
    message.request.write(writer, request)
    const frame = writer.take()
    if (frame.length > limits.frameBytesMax) throw tooLarge(message.name, frame.length)
    const call = new Call(
      id,
      message as Message<unknown, unknown>,
      peers,
      onReply as OnReply<unknown>,
      this.#onExpire,
    )
    call.deadline = this.deadlines.add(this.#clock.monotonicMs() + timeoutMs, call)
    this.#pending.add(call)
    this.counters.sent += peers.length
    for (const peer of peers) this.#send(peer, frame)
  }

  request<Request, Reply>(
    peer: PeerId,
    message: Message<Request, Reply>,
    request: Request,
    timeoutMs: number,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.call([peer], message, request, timeoutMs, (_, reply, error) => {
        if (error !== undefined) reject(error)
        else resolve(reply as Reply)
      })
    })
  }

  /** Fire and forget. */
  tell<Request>(peer: PeerId, message: Message<Request, unknown>, request: Request): void {
    if (this.#closed) return
    const writer = this.#writer
    writer.begin()
    writer.u8(KIND_ONE_WAY)
    writer.varint(0)
    writer.u8(message.type)
    writer.varint(limits.requestTimeoutMs)
    message.request.write(writer, request)
    this.counters.sent++
    this.#send(peer, writer.take())
  }

  close(): void {
    this.#closed = true
    this.deadlines.stop()
    const pending = this.#pending.all()
    this.#pending.clear()
    for (const { waitsFor, onReply } of pending) this.#endClosed(waitsFor.splice(0), onReply, 'unknown')
  }

  #endClosed(peers: readonly PeerId[], onReply: OnReply<unknown>, outcome: Outcome): void {
    const message = this.#closedError
    if (message === undefined) return
    for (const peer of peers) onReply(peer, undefined, new QuorateError('CANCELLED', message, { outcome }))
  }

  get inFlight(): number {
    return this.#pending.size
  }

  #send(to: PeerId, frame: Uint8Array): void {
    if (to === this.#self) this.#clock.defer(() => this.#frame(to, frame))
    else this.#transport.send(to, frame)
  }

  #frame(from: PeerId, frame: Uint8Array): void {
    if (this.#closed) return
    this.counters.received++
    const reader = new ByteReader(frame)
    let id = 0
    let kind = -1
    try {
      kind = reader.u8()
      id = reader.varint()
      if (kind === KIND_REQUEST || kind === KIND_ONE_WAY) return this.#request(from, kind, id, reader)
      if (kind !== KIND_REPLY && kind !== KIND_ERROR) reader.fail(`unknown frame kind ${kind}`)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      this.counters.badFrames++
      if (kind === KIND_REQUEST || kind === -1) this.#answer(from, id, undefined, undefined, error)
      return
    }
    // Not under the catch above: what a caller throws on its answer is no fault of the frame.
    this.#reply(from, kind, id, reader)
  }

  #request(from: PeerId, kind: number, id: number, reader: ByteReader): void {
    const type = reader.u8()
    const waitMs = reader.varint()
    const entry = this.#handlers.get(type)
    if (entry === undefined) reader.fail(`unknown message type ${type}`)
    if (type >= MEMBER_MESSAGES_FROM && !this.#isMember(from)) {
      throw new QuorateError('BAD_REQUEST', `"${entry.message.name}" is between members of the cluster`)
    }
    const request = entry.message.request.read(reader)
    reader.end()
    const respond: Respond<unknown> =
      kind === KIND_ONE_WAY ? silent : new Answer(this.#answer, from, id, entry.message)
    const deadline = this.#clock.monotonicMs() + Math.min(waitMs, limits.requestTimeoutMaxMs)
    try {
      entry.handler(request, respond, from, deadline)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      respond.fail(error)
    }
  }

  readonly #answer: SendAnswer = (to, id, message, reply, error) => {
    if (this.#closed) return
    const writer = this.#writer
    writer.begin()
    writer.u8(error === undefined ? KIND_REPLY : KIND_ERROR)
    writer.varint(id)
    if (error === undefined) message!.reply.write(writer, reply)
    else errorSchema.write(writer, error)
    const frame = writer.take()
    if (frame.length <= limits.frameBytesMax) this.#send(to, frame)
    else this.#answer(to, id, undefined, undefined, tooLarge(message?.name ?? 'error', frame.length))
  }

  #reply(from: PeerId, kind: number, id: number, reader: ByteReader): void {
    const call = this.#pending.get(id)
    if (call === undefined || !call.waitsFor.includes(from)) return
    let reply: unknown
    let error: QuorateError | undefined
    try {
      if (kind === KIND_ERROR) error = errorSchema.read(reader)
      else reply = call.message.reply.read(reader)
      reader.end()
    } catch (cause) {
      if (!isQuorateError(cause)) throw cause
      this.counters.badFrames++
      reply = undefined
      error = new QuorateError('BAD_FRAME', `the answer to ${call.message.name} is malformed`, {
        outcome: 'unknown',
        cause,
      })
    }
    this.#settle(call, from, reply, error)
  }

  #settle(call: Call, peer: PeerId, reply: unknown, error: QuorateError | undefined): void {
    const position = call.waitsFor.indexOf(peer)
    // Heard of meanwhile: what another outcome led to may have brought this one.
    if (position < 0) return
    call.waitsFor.splice(position, 1)
    if (call.waitsFor.length === 0) {
      this.#pending.delete(call.id)
      call.deadline?.cancel()
    }
    call.onReply(peer, reply, error)
  }

  #unreachable(peer: PeerId, nothingSent: boolean): void {
    if (this.#closed) return
    const outcome = nothingSent ? 'not-applied' : 'unknown'
    for (const call of this.#pending.all()) {
      if (!call.waitsFor.includes(peer)) continue
      const arrived = nothingSent ? 'was not sent' : 'may or may not have arrived'
      const message = `${peer} cannot be reached; ${call.message.name} ${arrived}`
      const error = new QuorateError('UNREACHABLE', message, { outcome, data: { peer } })
      this.#settle(call, peer, undefined, error)
    }
  }

  readonly #onExpire = (call: Call): void => {
    this.counters.expired++
    for (const peer of call.waitsFor.slice()) {
      const message = `${peer} did not answer ${call.message.name} in time`
      const error = new QuorateError('DEADLINE', message, { outcome: 'unknown', data: { peer } })
      this.#settle(call, peer, undefined, error)
    }
  }
}

const silent: Respond<unknown> = { ok: () => {}, fail: () => {} }

function tooLarge(name: string, frameBytes: number): QuorateError {
  return new QuorateError(
    'VALUE_TOO_LARGE',
    `a ${name} message of ${frameBytes} bytes is past the frame limit`,
    {
      data: { frameBytes, limitBytes: limits.frameBytesMax },
    },
  )
}
