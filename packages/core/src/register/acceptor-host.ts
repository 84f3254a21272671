/**
 * Holds one node's acceptor in its store.
 *
 * Problem: a reply that leaves before what it rests on is durable is amnesia waiting for a power cut.
 * Mechanism: read, decide (pure), commit in one batch with no await in between; reply when the batch
 * *and* everything the decision read are durable.
 * Invariants: at most one batch per request; a reply is given at most once and never for a request whose
 * batch the store refused (the answer is then `unavailable`); a damaged record stops the node, since
 * treating it as absent would forget a promise.
 */

import { assert } from '../base/assert.ts'
import { prefixEnd } from '../base/bytes.ts'
import { isQuorateError } from '../base/errors.ts'
import type { ByteString, NodeId } from '../base/ids.ts'
import type { TableWrite } from '../ports/table.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'
import {
  type AcceptorStep,
  admit,
  type FenceState,
  newFenceState,
  stepFence,
  stepRegister,
} from './acceptor.ts'
import {
  decodeFence,
  decodeRegisterState,
  encodeFence,
  encodeRegisterState,
  fenceRecordKey,
  lifeRecordKey,
  registerRecordKey,
  registersOf,
  registersPrefix,
} from './acceptor-records.ts'
import { ballotIsZero } from './ballot.ts'
import { RecordReader, RecordWriter } from './record-codec.ts'
import type { RegisterConfig } from './register-config.ts'
import type { AcceptorReply, AcceptorRequest, KeysRequest } from './register-messages.ts'

/** Keys in one answer to `keys`; also how many records of a past membership go in one batch. */
const PAGE = 256

export interface AcceptorHostOptions {
  readonly node: NodeId
  readonly store: Store
}

export class AcceptorHost {
  readonly #node: NodeId
  readonly #store: Store
  #fence: FenceState

  constructor(options: AcceptorHostOptions) {
    this.#node = options.node
    this.#store = options.store
    const stored = this.#read(fenceRecordKey)
    const { incarnation } = this.#store
    this.#fence =
      stored === undefined
        ? newFenceState(this.#node, incarnation)
        : decodeFence(stored, this.#node, incarnation)
    this.#forgetPastMemberships()
  }

  /** The newest config this acceptor knows; undefined before any genesis. */
  get config(): RegisterConfig | undefined {
    return this.#fence.config
  }

  handle(message: AcceptorRequest, reply: (reply: AcceptorReply) => void): void {
    const refused = admit(this.#fence, message)
    if (refused !== undefined) {
      this.#replyAfter(this.#store.positionOf(fenceRecordKey), refused, reply)
      return
    }
    if (message.kind === 'fence') {
      this.#apply(stepFence(this.#fence, message), undefined, 0, reply)
      return
    }
    if (message.kind === 'keys') {
      this.#listKeys(message, reply)
      return
    }
    const key = registerRecordKey(this.#fence.joined, message.key)
    const bytes = this.#read(key)
    const state = bytes === undefined ? undefined : decodeRegisterState(bytes)
    this.#apply(stepRegister(this.#fence, state, message), key, this.#store.positionOf(key), reply)
  }

  /** Adopts a config that did not come in a request (genesis). `done` runs once it is durable. */
  adopt(config: RegisterConfig, done: (reply: AcceptorReply) => void): void {
    const { incarnation } = this.#store
    this.handle({ kind: 'fence', incarnation, config, erasedFloor: 0 }, done)
  }

  #apply(
    step: AcceptorStep,
    key: ByteString | undefined,
    restsOn: Position,
    reply: (reply: AcceptorReply) => void,
  ): void {
    const batch: TableWrite[] = []
    if (step.register !== undefined) {
      assert(key !== undefined, 'a register changes under its key')
      const value = step.register === 'absent' ? undefined : encodeRegisterState(step.register)
      batch.push({ key, value })
    }
    if (step.fence !== undefined) batch.push({ key: fenceRecordKey, value: encodeFence(step.fence) })
    let position = Math.max(restsOn, this.#store.positionOf(fenceRecordKey))
    if (batch.length > 0) {
      try {
        position = this.#store.commit(batch)
      } catch (error) {
        // A store that is full or failed applied nothing: nothing was promised, so say so.
        if (isQuorateError(error)) {
          reply({ kind: 'unavailable' })
          return
        }
        throw error
      }
    }
    if (step.fence !== undefined) {
      const rejoined = step.fence.joined !== this.#fence.joined
      this.#fence = step.fence
      if (rejoined) this.#forgetPastMemberships()
    }
    this.#replyAfter(position, step.reply, reply)
  }

  #listKeys(message: KeysRequest, reply: (reply: AcceptorReply) => void): void {
    const prefix = registersOf(this.#fence.joined)
    const from = message.after === undefined ? prefix : (`${prefix}${message.after}\0` as ByteString)
    const limit = Math.max(1, Math.min(message.limit, PAGE))
    const keys: ByteString[] = []
    let done = true
    for (const [key, bytes] of this.#store.scan(from, prefixEnd(prefix))) {
      if (keys.length === limit) {
        done = false
        break
      }
      assert(bytes !== DAMAGED, 'an acceptor record is damaged', key)
      // A register that only promised holds nothing that a change of acceptors could lose.
      if (!ballotIsZero(decodeRegisterState(bytes).accepted))
        keys.push(key.slice(prefix.length) as ByteString)
    }
    const { erasedFloor } = this.#fence
    this.#replyAfter(this.#store.handed, { kind: 'keys', keys, done, erasedFloor }, reply)
  }

  /** Registers of an earlier joining epoch are unreachable already; this gives their room back. */
  #forgetPastMemberships(): void {
    const batch: TableWrite[] = []
    for (const [key] of this.#store.scan(registersPrefix, registersOf(this.#fence.joined), { limit: PAGE })) {
      batch.push({ key, value: undefined })
    }
    if (batch.length === 0) return
    try {
      this.#store.whenDurable(this.#store.commit(batch), () => this.#forgetPastMemberships())
    } catch (error) {
      // Room is given back at the next start; nothing depends on it.
      if (!isQuorateError(error)) throw error
    }
  }

  #replyAfter(position: Position, answer: AcceptorReply, reply: (reply: AcceptorReply) => void): void {
    this.#store.whenDurable(position, () => reply(answer))
  }

  #read(key: ByteString): Uint8Array | undefined {
    const value = this.#store.get(key)
    assert(value !== DAMAGED, 'an acceptor record is damaged', key)
    return value
  }
}

/**
 * Counts the starts of a process on this store: the `life` of its ballots. `ready` runs when the count
 * is durable; no ballot may be made before.
 */
export function beginProposerLife(store: Store, ready: (life: number) => void): void {
  const stored = store.get(lifeRecordKey)
  assert(stored !== DAMAGED, 'the record of proposer lives is damaged')
  const life = stored === undefined ? 1 : new RecordReader(stored, 1, 'proposer life').u64() + 1
  const position = store.commit([{ key: lifeRecordKey, value: new RecordWriter(1).u64(life).finish() }])
  store.whenDurable(position, () => ready(life))
}
