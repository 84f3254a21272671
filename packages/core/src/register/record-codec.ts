/**
 * Stored form of what the register layer keeps: fixed fields in a fixed order, numbers big-endian,
 * everything of variable length behind a u32 length. A version byte starts each record. Reading checks
 * every length, so a malformed record throws instead of being half understood.
 */

import { assert } from '../base/assert.ts'
import {
  bytesToString,
  concatBytes,
  stringToBytes,
  stringToU64,
  u32ToString,
  u64ToString,
  utf8,
} from '../base/bytes.ts'
import type { ByteString } from '../base/ids.ts'

export class RecordWriter {
  readonly #parts: Uint8Array[] = []

  constructor(version: number) {
    this.u8(version)
  }

  u8(value: number): this {
    this.#parts.push(Uint8Array.of(value))
    return this
  }

  u64(value: number): this {
    this.#parts.push(stringToBytes(u64ToString(value)))
    return this
  }

  bytes(value: Uint8Array): this {
    this.#parts.push(stringToBytes(u32ToString(value.length)), value)
    return this
  }

  byteString(value: string): this {
    return this.bytes(stringToBytes(value))
  }

  text(value: string): this {
    return this.bytes(utf8.encode(value))
  }

  finish(): Uint8Array {
    return concatBytes(this.#parts)
  }
}

export class RecordReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array, version: number, what: string) {
    this.#bytes = bytes
    assert(this.u8() === version, `${what}: unknown record version`, bytes[0])
  }

  u8(): number {
    return this.#take(1)[0]!
  }

  u64(): number {
    const value = stringToU64(bytesToString(this.#take(8)))
    assert(Number.isSafeInteger(value), 'record number out of range', value)
    return value
  }

  bytes(): Uint8Array {
    const head = this.#take(4)
    const length = ((head[0]! << 24) | (head[1]! << 16) | (head[2]! << 8) | head[3]!) >>> 0
    return this.#take(length)
  }

  byteString(): ByteString {
    return bytesToString(this.bytes())
  }

  text(): string {
    return utf8.decode(this.bytes())
  }

  end(): void {
    assert(this.#at === this.#bytes.length, 'record has trailing bytes', this.#bytes.length - this.#at)
  }

  #take(length: number): Uint8Array {
    assert(this.#at + length <= this.#bytes.length, 'record is too short', this.#bytes.length)
    const out = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return out
  }
}
