/**
 * Writes primitive values into one growing buffer. Big-endian, so that bytes read as they are written.
 * `varint` is LEB128 of a non-negative safe integer; `stamp` is seven bytes (53 bits).
 */

import { assert } from '../base/assert.ts'
import { utf8, writeByteString } from '../base/bytes.ts'

export class ByteWriter {
  #bytes: Uint8Array
  #at = 0

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#at
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
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

  /** Overwrites four bytes written earlier (a length that was not known yet). */
  patchU32(at: number, value: number): void {
    assert(at + 4 <= this.#at, 'patch inside what was written')
    const end = this.#at
    this.#at = at
    this.u32(value)
    this.#at = end
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    const out = this.#bytes.slice(0, this.#at)
    this.#at = 0
    return out
  }
}
