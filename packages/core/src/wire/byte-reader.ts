/**
 * Reads what `ByteWriter` wrote. Every read is bounds-checked and every length is checked against what
 * is left before anything is allocated: the bytes may come from anyone. Throws BAD_FRAME.
 */

import { bytesToString, utf8 } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, Stamp } from '../base/ids.ts'

export class ByteReader {
  readonly #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  get at(): number {
    return this.#at
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  fail(message: string): never {
    throw new QuorateError('BAD_FRAME', `${message} (at byte ${this.#at} of ${this.#bytes.length})`)
  }

  #need(count: number): void {
    if (this.#bytes.length - this.#at < count) this.fail(`cut short: ${count} more bytes expected`)
  }

  u8(): number {
    this.#need(1)
    return this.#bytes[this.#at++]!
  }

  u32(): number {
    this.#need(4)
    const bytes = this.#bytes
    const at = this.#at
    this.#at = at + 4
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 127) * scale
      if (byte < 128) {
        if (byte === 0 && i > 0) this.fail('a number is not in its shortest form')
        if (!Number.isSafeInteger(value)) this.fail('a number is past 2^53')
        return value
      }
      scale *= 128
    }
    return this.fail('a number has more than eight bytes')
  }

  stamp(): Stamp {
    this.#need(7)
    const high = (this.u8() << 16) | (this.u8() << 8) | this.u8()
    const value = high * 0x1_0000_0000 + this.u32()
    if (!Number.isSafeInteger(value)) this.fail('a stamp is past 2^53')
    return value as Stamp
  }

  f64(): number {
    this.#need(8)
    const value = new DataView(this.#bytes.buffer, this.#bytes.byteOffset).getFloat64(this.#at)
    this.#at += 8
    return value
  }

  /** A length that the rest of the message can really hold, `unit` bytes at least for each element. */
  count(max: number, unit = 1): number {
    const value = this.varint()
    if (value > max) this.fail(`a length of ${value} is past the limit of ${max}`)
    if (value * unit > this.left) this.fail(`a length of ${value} is longer than the message`)
    return value
  }

  /** A view: valid as long as the frame. */
  bytes(max: number): Uint8Array {
    const length = this.count(max)
    const start = this.#at
    this.#at = start + length
    return this.#bytes.subarray(start, start + length)
  }

  rawByteString(length: number): ByteString {
    this.#need(length)
    const start = this.#at
    this.#at = start + length
    return bytesToString(this.#bytes, start, this.#at)
  }

  byteString(max: number): ByteString {
    return this.rawByteString(this.count(max))
  }

  text(max: number): string {
    const bytes = this.bytes(max)
    try {
      return utf8.decode(bytes)
    } catch {
      return this.fail('a text is not UTF-8')
    }
  }

  end(): void {
    if (this.left !== 0) this.fail(`${this.left} bytes after the end of the message`)
  }
}
