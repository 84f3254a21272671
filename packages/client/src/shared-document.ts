/**
 * A Yjs document that is a field of a row: what is edited here is written there, and what others write comes in.
 *
 * Edits are sent in the order they were made, several together while one message is on its way; one that may or may not
 * have arrived is sent again under its name. Edits that cannot be sent stay, and are tried again: `close` waits for them.
 *
 * Each has a document of its own, and with it a name of its own for Yjs (`clientID`): two that edit under one name would
 * take the edits of each other for their own and lose them. So a document is never copied with its name, and one that was
 * closed is not edited further.
 */

import { type Clock, isQuorateError, type OperationId, pause, updatesTogether } from '@quorate/core'
import { applyUpdate, Doc } from 'yjs'

export interface SharedDocumentOptions {
  /** How often others' edits are fetched; default 1 s. */
  readonly pullMs?: number | undefined
  /** Edits could not be sent, or fetched; they are tried again. */
  readonly onTrouble?: ((error: unknown) => void) | undefined
}

/** The field that it is. */
export interface DocumentField {
  readonly clock: Clock
  readonly newOperation: () => OperationId
  /** All edits so far; undefined: there are none. */
  readonly read: () => Promise<Uint8Array | undefined>
  readonly write: (update: Uint8Array, operation: OperationId) => Promise<unknown>
}

const PULL_MS = 1_000
const AGAIN_MS = 200

export class SharedDocument {
  readonly doc = new Doc()
  readonly #field: DocumentField
  readonly #options: SharedDocumentOptions
  #unsent: Uint8Array[] = []
  #sending: Promise<void> | undefined
  #closed = false

  private constructor(field: DocumentField, options: SharedDocumentOptions) {
    this.#field = field
    this.#options = options
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#edited(update)
    })
  }

  static async open(field: DocumentField, options: SharedDocumentOptions): Promise<SharedDocument> {
    const shared = new SharedDocument(field, options)
    await shared.pull()
    void shared.#follow()
    return shared
  }

  /** Edits of this document that are not acknowledged yet. */
  get unsent(): number {
    return this.#unsent.length
  }

  /** Fetches what others have written. */
  async pull(): Promise<void> {
    const update = await this.#field.read()
    if (update !== undefined) applyUpdate(this.doc, update, this)
  }

  /** Resolves when everything that was edited until now is acknowledged. */
  async flush(): Promise<void> {
    while (this.#unsent.length > 0) {
      this.#sending ??= this.#send()
      await this.#sending
    }
  }

  /** Sends what is left. What is edited afterwards goes nowhere. */
  async close(): Promise<void> {
    await this.flush()
    this.#closed = true
    this.doc.destroy()
  }

  #edited(update: Uint8Array): void {
    this.#unsent.push(update)
    this.#sending ??= this.#send()
    // Told as trouble, and to whoever flushes.
    this.#sending.catch(() => {})
  }

  async #send(): Promise<void> {
    try {
      while (this.#unsent.length > 0 && !this.#closed) {
        const count = this.#unsent.length
        const operation = this.#field.newOperation()
        await this.#sendOne(updatesTogether(this.#unsent.slice(0, count)), operation)
        this.#unsent = this.#unsent.slice(count)
      }
    } finally {
      this.#sending = undefined
    }
  }

  /** Tried until it is done; rejects with what trying again does not mend. */
  async #sendOne(update: Uint8Array, operation: OperationId): Promise<void> {
    for (;;) {
      try {
        await this.#field.write(update, operation)
        return
      } catch (error) {
        this.#options.onTrouble?.(error)
        const isHopeless = !isQuorateError(error) || (error.outcome === 'not-applied' && !error.retryable)
        if (this.#closed || isHopeless) throw error
        await pause(this.#field.clock, AGAIN_MS)
      }
    }
  }

  async #follow(): Promise<void> {
    while (!this.#closed) {
      await pause(this.#field.clock, this.#options.pullMs ?? PULL_MS)
      if (this.#closed) return
      try {
        await this.pull()
      } catch (error) {
        this.#options.onTrouble?.(error)
      }
    }
  }
}
