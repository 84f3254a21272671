/**
 * Which writes were tried through more than one coordinator: by the client, or by a node that handed it on.
 * Each coordinator that applied it gave it a name of its own, and each name lives until something covers it.
 */

import { ByteReader, type PeerId, writeMessage } from '@quorate/core'

const KIND_REQUEST = 0

export class Attempts {
  /** Operation → sender → receiver. */
  readonly #sent = new Map<string, Map<PeerId, PeerId>>()
  readonly #several = new Set<string>()

  sent(from: PeerId, to: PeerId, frame: Uint8Array): void {
    if (frame[0] !== KIND_REQUEST) return
    const reader = new ByteReader(frame)
    reader.u8()
    reader.varint()
    if (reader.u8() !== writeMessage.type) return
    reader.varint()
    const { operation } = writeMessage.request.read(reader)
    const senders = this.#sent.get(operation) ?? new Map<PeerId, PeerId>()
    this.#sent.set(operation, senders)
    if ((senders.get(from) ?? to) !== to) this.#several.add(operation)
    senders.set(from, to)
  }

  get several(): ReadonlySet<string> {
    return this.#several
  }
}
