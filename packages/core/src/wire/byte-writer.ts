/**
 * Writes primitive values, one message after the other. Big-endian, so that bytes read as they are written.
 * `varint` is LEB128 of a non-negative safe integer; `stamp` is seven bytes (53 bits).
 *
 * Messages are written side by side into slabs and handed out as views of them: a buffer of its own for
 * each would cost a copy and an allocation outside the heap. A view keeps its whole slab alive, so what is
 * kept for long and alone should be copied. A writer that is used again and again earns larger slabs.
 */

import { assert } from '../base/assert.ts'
import { utf8, writeByteString } from '../base/bytes.ts'
import { Slab } from '../base/slab.ts'

const SLAB_BYTES_MAX = 32 * 1024
/** Writers made for a single message begin with a piece of this. */
const firstSlabs = new Slab()

export class ByteWriter {
  #bytes: Uint8Array
  /** Where the message being written starts: what lies before has been handed out. */
  #start = 0
  #at = 0

  constructor(firstSlabBytes = 256) {
    this.#bytes = firstSlabs.allocate(firstSlabBytes)
  }

  get length(): number {
    return this.#at - this.#start
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const written = this.#bytes.subarray(this.#start, this.#at)
    const needed = written.length + bytes
    // The quarter more bounds the copies of a message that grows past a slab in small steps.
    const slabBytes = Math.min(this.#bytes.length * 2, SLAB_BYTES_MAX)
    const fresh = new Uint8Array(Math.max(slabBytes, needed + (needed >>> 2)))
    fresh.set(written)
    this.#bytes = fresh
    this.#start = 0
    this.#at = written.length
  }

  /** A new message; one that failed half-way is forgotten. */
  begin(): void {
    this.#at = this.#start
  }

  u8(value: number): void {
    this.#room(1)
    this.#bytes[this.#at++] = value
  }

  u32(value: number): void {
    this.#room(4)
    const bytes = this.#bytes
    bytes[this.#at++] = value >>> 24
    bytes[this.#at++] = value >>> 16
    bytes[this.#at++] = value >>> 8
    bytes[this.#at++] = value
  }

  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'varint takes a non-negative safe integer', value)
    this.#room(8)
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#at++] = rest
  }

  stamp(value: number): void {
    this.#room(7)
    const high = Math.floor(value / 0x1_0000_0000)
    const bytes = this.#bytes
    bytes[this.#at++] = high >>> 16
    bytes[this.#at++] = high >>> 8
    bytes[this.#at++] = high
    this.u32(value >>> 0)
  }

  f64(value: number): void {
    this.#room(8)
    new DataView(this.#bytes.buffer, this.#bytes.byteOffset).setFloat64(this.#at, value)
    this.#at += 8
  }

  /** Exactly these bytes, no length. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length)
    this.raw(value)
  }

  rawByteString(value: string): void {
    this.#room(value.length)
    this.#at = writeByteString(this.#bytes, this.#at, value)
  }

  byteString(value: string): void {
    this.varint(value.length)
    this.rawByteString(value)
  }

  text(value: string): void {
    this.bytes(utf8.encode(value))
  }

  /** Overwrites four bytes of this message (a length that was not known yet). */
  patchU32(at: number, value: number): void {
    assert(at + 4 <= this.length, 'patch inside what was written')
    const end = this.#at
    this.#at = this.#start + at
    this.u32(value)
    this.#at = end
  }

  /** What was written, which this writer never touches again; the next message begins. */
  take(): Uint8Array {
    const { buffer, byteOffset } = this.#bytes
    const out = new Uint8Array(buffer, byteOffset + this.#start, this.#at - this.#start)
    this.#start = this.#at
    return out
  }
}
