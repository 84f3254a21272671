/**
 * Bytes in two forms.
 *
 * Problem: keys are compared, hashed and looked up all the time; `Uint8Array` has no native order and
 * is no `Map` key. Mechanism: keys are *byte strings* (each char code is one byte), whose native
 * comparison is the byte order; values stay `Uint8Array`. Conversions happen at the edges only.
 */

import { assert } from './assert.ts'
import type { ByteString } from './ids.ts'

const CHUNK = 4096
/** Lists of codes by length: keys and ids are short and many, and `apply` takes a list faster than bytes. */
const CODES = Array.from({ length: 65 }, (_, length) => new Array<number>(length).fill(0))

export function bytesToString(bytes: Uint8Array, from = 0, to = bytes.length): ByteString {
  const codes = CODES[to - from]
  if (codes !== undefined) {
    for (let i = 0; i < codes.length; i++) codes[i] = bytes[from + i]!
    return String.fromCharCode.apply(null, codes) as ByteString
  }
  if (to - from <= CHUNK) {
    return String.fromCharCode.apply(null, bytes.subarray(from, to) as unknown as number[]) as ByteString
  }
  let out = ''
  for (let at = from; at < to; at += CHUNK) {
    const end = Math.min(at + CHUNK, to)
    out += String.fromCharCode.apply(null, bytes.subarray(at, end) as unknown as number[])
  }
  return out as ByteString
}

export function stringToBytes(text: string): Uint8Array {
  const out = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i)
  return out
}

/** Writes the bytes of `text` at `at`; the caller has made room. Returns the position after it. */
export function writeByteString(target: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i)
  return at + text.length
}

export function byteString(...codes: number[]): ByteString {
  return String.fromCharCode(...codes) as ByteString
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const HEX = '0123456789abcdef'

export function stringToHex(text: string): string {
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    out += HEX[code >> 4]! + HEX[code & 15]!
  }
  return out
}

export function hexToString(hex: string): ByteString {
  assert(hex.length % 2 === 0 && /^[0-9a-f]*$/.test(hex), 'hex must be an even number of hex digits', hex)
  let out = ''
  for (let i = 0; i < hex.length; i += 2) out += String.fromCharCode(Number.parseInt(hex.slice(i, i + 2), 16))
  return out as ByteString
}

export function u32ToString(value: number): ByteString {
  return byteString((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
}

export function stringToU32(text: string, at = 0): number {
  return (
    ((text.charCodeAt(at) << 24) |
      (text.charCodeAt(at + 1) << 16) |
      (text.charCodeAt(at + 2) << 8) |
      text.charCodeAt(at + 3)) >>>
    0
  )
}

/** A safe integer as eight bytes whose order is the numeric order (non-negative only). */
export function u64ToString(value: number): ByteString {
  assert(Number.isSafeInteger(value) && value >= 0, 'u64ToString takes a non-negative safe integer', value)
  return (u32ToString(Math.floor(value / 0x1_0000_0000)) + u32ToString(value >>> 0)) as ByteString
}

export function stringToU64(text: string, at = 0): number {
  return stringToU32(text, at) * 0x1_0000_0000 + stringToU32(text, at + 4)
}

/**
 * The smallest byte string greater than every string that starts with `prefix`, or undefined when
 * there is none (all bytes 255). Scans take it as their exclusive end.
 */
export function prefixEnd(prefix: string): ByteString | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const code = prefix.charCodeAt(i)
    if (code < 255) return (prefix.slice(0, i) + String.fromCharCode(code + 1)) as ByteString
  }
  return undefined
}

interface TextCodec {
  encode(text: string): Uint8Array
  decode(bytes: Uint8Array): string
}
declare const TextEncoder: { new (): { encode(text: string): Uint8Array } }
declare const TextDecoder: {
  new (label: string, options: { fatal: boolean }): { decode(b: Uint8Array): string }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** UTF-8, strict: `decode` throws on malformed bytes. */
export const utf8: TextCodec = {
  encode: text => encoder.encode(text),
  decode: bytes => decoder.decode(bytes),
}
