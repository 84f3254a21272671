/**
 * The key under which this cluster's nodes seal session tokens (sessions/session-token.ts).
 *
 * It is one value in a register, made by compare-and-set by the first node that needs it, so that every node takes the
 * tokens of every other; kept in memory and on disk, so that a token outlives restarts, and is taken while the registers
 * cannot be read. It never changes. A node that cannot have it yet answers NOT_READY: it can neither believe a token
 * nor make one.
 */

import { stringToBytes } from '../base/bytes.ts'
import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { randomByteString } from '../base/prng.ts'
import type { Random } from '../ports/random.ts'
import type { Registers } from '../register/registers.ts'
import { SESSION_KEY_BYTES, type SessionSeal } from '../sessions/session-token.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store } from '../store/store-face.ts'

const REGISTER_SESSION_KEY = 'cluster/session-key' as ByteString
const STORE_KEY = `${keyspaces.meta}session-key` as ByteString

export interface SessionKeyOptions {
  readonly store: Store
  /** Not to be guessed: whoever knows the key can forge tokens. */
  readonly secrets: Random
  readonly operation: () => OperationId
  /** Undefined until the cluster has formed. */
  readonly registers: () => Registers | undefined
  readonly clusterId: () => string
}

export class SessionKey {
  readonly #options: SessionKeyOptions
  #key: Uint8Array | undefined
  #fetching = false
  #watched = false

  constructor(options: SessionKeyOptions) {
    this.#options = options
    const stored = options.store.get(STORE_KEY)
    if (stored !== undefined && stored !== DAMAGED) this.#key = stored
  }

  /** Throws NOT_READY, and fetches the key meanwhile. */
  seal(): SessionSeal {
    if (this.#key !== undefined) return { clusterId: this.#options.clusterId(), key: this.#key }
    void this.#fetch()
    throw new QuorateError('NOT_READY', 'this node does not have the key of session tokens yet', {
      data: { waitingFor: 'session-key' },
    })
  }

  /** To be called now and then: from when there are registers, hears of the key when it is made. */
  follow(): void {
    const registers = this.#options.registers()
    if (this.#key !== undefined || this.#watched || registers === undefined) return
    this.#watched = true
    registers.watch(REGISTER_SESSION_KEY, ({ value }) => this.#learn(value))
  }

  async #fetch(): Promise<void> {
    const registers = this.#options.registers()
    if (this.#fetching || registers === undefined) return
    this.#fetching = true
    try {
      const found = await registers.read(REGISTER_SESSION_KEY)
      this.#learn(found.value ?? (await this.#make(registers)))
    } catch (error) {
      if (!isQuorateError(error)) throw error
      // Whoever asks next tries again; until then they hear NOT_READY.
    } finally {
      this.#fetching = false
    }
  }

  /** What the register holds then, whoever was first. */
  async #make(registers: Registers): Promise<Uint8Array | undefined> {
    const { secrets, operation } = this.#options
    const made = stringToBytes(randomByteString(secrets, SESSION_KEY_BYTES))
    const outcome = await registers.change(
      REGISTER_SESSION_KEY,
      current => (current === undefined ? { value: made } : { reject: 'there is one' }),
      operation(),
    )
    if (outcome.kind === 'committed') return outcome.current.value
    return (await registers.read(REGISTER_SESSION_KEY)).value
  }

  #learn(value: Uint8Array | undefined): void {
    if (this.#key !== undefined || value?.length !== SESSION_KEY_BYTES) return
    this.#key = value.slice()
    try {
      this.#options.store.commit([{ key: STORE_KEY, value: this.#key }])
    } catch (error) {
      // A store that takes nothing now: the key is in the register, and asked for again after a restart.
      if (!isQuorateError(error)) throw error
    }
  }
}
