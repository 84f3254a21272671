/**
 * Order-preserving key encoding: comparing two encodings byte by byte gives the order of the values.
 *
 * Problem: rows of a partition lie in the store in key order, so keys of every type must become bytes
 * whose order is theirs; composite keys must concatenate without a longer first part leaking into the
 * second. Mechanism: a type byte, then a form that is prefix-free:
 *   null < false < true < numbers < strings < bytes
 *   numbers: sign class, decimal exponent, two digits a byte, terminator; negatives complemented. Numbers
 *     and bigints share one order (1 and 1n are the same key), exact to 38 significant digits; a double is
 *     the shortest decimal that names it.
 *   strings (UTF-8) and bytes: 0x00 becomes 0x00 0xFF, terminator 0x00 0x01.
 * Strings therefore sort by code point, not by UTF-16 unit. The format is frozen: it is on disk.
 * References: Oracle NUMBER; FoundationDB tuple layer.
 */

import { bytesToString, stringToBytes, utf8 } from './bytes.ts'
import { QuorateError } from './errors.ts'
import type { ByteString } from './ids.ts'
import { limits } from './limits.ts'

export type KeyValue = null | boolean | number | bigint | string | Uint8Array

const TYPE_NULL = 0x02
const TYPE_FALSE = 0x03
const TYPE_TRUE = 0x04
const TYPE_NEGATIVE = 0x05
const TYPE_ZERO = 0x06
const TYPE_POSITIVE = 0x07
const TYPE_STRING = 0x10
const TYPE_BYTES = 0x11
const EXPONENT_BIAS = 0x4000
const DIGITS_MAX = 38

const badKey = (message: string): QuorateError => new QuorateError('BAD_REQUEST', message)

export function encodeKey(value: KeyValue): ByteString {
  const encoded = encodeUnbounded(value)
  if (encoded.length > limits.keyBytesMax) {
    throw new QuorateError(
      'KEY_TOO_LARGE',
      `key is ${encoded.length} bytes encoded, the limit is ${limits.keyBytesMax}`,
      {
        data: { keyBytes: encoded.length, limitBytes: limits.keyBytesMax },
      },
    )
  }
  return encoded as ByteString
}

function encodeUnbounded(value: KeyValue): string {
  if (value === null) return String.fromCharCode(TYPE_NULL)
  switch (typeof value) {
    case 'boolean':
      return String.fromCharCode(value ? TYPE_TRUE : TYPE_FALSE)
    case 'number':
    case 'bigint':
      return encodeNumber(value)
    case 'string':
      return String.fromCharCode(TYPE_STRING) + escapeZeros(utf8Bytes(value))
    default:
      if (value instanceof Uint8Array)
        return String.fromCharCode(TYPE_BYTES) + escapeZeros(bytesToString(value))
      throw badKey(`a key must be null, boolean, number, bigint, string or bytes, not ${typeof value}`)
  }
}

/** Most keys are plain ASCII: then the text is its own bytes. */
const isAscii = (text: string): boolean => /^[\x01-\x7f]*$/.test(text)

function utf8Bytes(text: string): string {
  if (isAscii(text)) return text
  if (/\p{Surrogate}/u.test(text))
    throw badKey('a key string must be well-formed Unicode (it has a lone surrogate)')
  return bytesToString(utf8.encode(text))
}

function escapeZeros(bytes: string): string {
  const escaped = bytes.includes('\0') ? bytes.replaceAll('\0', '\0\xff') : bytes
  return `${escaped}\0\x01`
}

function encodeNumber(value: number | bigint): string {
  if (typeof value === 'number' && !Number.isFinite(value)) throw badKey(`a key cannot be ${value}`)
  if (value === 0 || value === 0n) return String.fromCharCode(TYPE_ZERO)
  const { negative, digits, exponent } = decimalOf(value)
  if (digits.length > DIGITS_MAX) throw badKey(`a key number has at most ${DIGITS_MAX} significant digits`)
  const biased = exponent + EXPONENT_BIAS
  let body = String.fromCharCode(biased >> 8, biased & 255)
  for (let i = 0; i < digits.length; i += 2) {
    const pair = Number(digits[i]) * 10 + (i + 1 < digits.length ? Number(digits[i + 1]) : 0)
    body += String.fromCharCode(pair + 1)
  }
  body += '\0'
  if (!negative) return String.fromCharCode(TYPE_POSITIVE) + body
  let complemented = String.fromCharCode(TYPE_NEGATIVE)
  for (let i = 0; i < body.length; i++) complemented += String.fromCharCode(255 - body.charCodeAt(i))
  return complemented
}

/** value = ±0.digits × 10^exponent, digits without leading or trailing zeros. */
function decimalOf(value: number | bigint): { negative: boolean; digits: string; exponent: number } {
  let text = String(value)
  const negative = text.startsWith('-')
  if (negative) text = text.slice(1)
  const [mantissa = '', power = '0'] = text.split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const all = whole + fraction
  const leading = all.length - all.replace(/^0+/, '').length
  const digits = all.slice(leading).replace(/0+$/, '')
  return { negative, digits, exponent: whole.length - leading + Number(power) }
}

/** Decodes one key value at `at`; the second element is the position after it. */
export function decodeKeyAt(bytes: string, at: number): [KeyValue, number] {
  const type = bytes.charCodeAt(at)
  switch (type) {
    case TYPE_NULL:
      return [null, at + 1]
    case TYPE_FALSE:
      return [false, at + 1]
    case TYPE_TRUE:
      return [true, at + 1]
    case TYPE_ZERO:
      return [0, at + 1]
    case TYPE_POSITIVE:
    case TYPE_NEGATIVE:
      return decodeNumber(bytes, at + 1, type === TYPE_NEGATIVE)
    case TYPE_STRING:
    case TYPE_BYTES: {
      const [raw, next] = unescapeZeros(bytes, at + 1)
      if (type === TYPE_BYTES) return [stringToBytes(raw), next]
      if (isAscii(raw)) return [raw, next]
      try {
        return [utf8.decode(stringToBytes(raw)), next]
      } catch {
        throw badKey('malformed key: a string part is not UTF-8')
      }
    }
    default:
      throw badKey(`malformed key: unknown type byte ${Number.isNaN(type) ? 'at its end' : type}`)
  }
}

function unescapeZeros(bytes: string, from: number): [string, number] {
  let out = ''
  let start = from
  for (;;) {
    const zero = bytes.indexOf('\0', start)
    if (zero < 0) throw badKey('malformed key: a part has no terminator')
    const next = bytes.charCodeAt(zero + 1)
    if (next === 0x01) return [out + bytes.slice(start, zero), zero + 2]
    if (next !== 0xff) throw badKey('malformed key: a zero byte is not escaped')
    out += bytes.slice(start, zero + 1)
    start = zero + 2
  }
}

function decodeNumber(bytes: string, from: number, negative: boolean): [KeyValue, number] {
  const read = (position: number): number => {
    const code = bytes.charCodeAt(position)
    if (Number.isNaN(code)) throw badKey('malformed key: a number is cut short')
    return negative ? 255 - code : code
  }
  const exponent = read(from) * 256 + read(from + 1) - EXPONENT_BIAS
  let digits = ''
  let at = from + 2
  for (; ; at++) {
    const code = read(at)
    if (code === 0) break
    if (code > 100 || digits.length > DIGITS_MAX)
      throw badKey('malformed key: a number has impossible digits')
    digits += String(code - 1).padStart(2, '0')
  }
  digits = digits.replace(/0+$/, '')
  if (digits === '' || digits.startsWith('0'))
    throw badKey('malformed key: a number is not in canonical form')
  const value = numberOf(negative ? '-' : '', digits, exponent)
  // Exponents no number has, digits a double cannot hold: whatever would not be written so is refused.
  if (!canonicalNumber(value, bytes.slice(from - 1, at + 1))) {
    throw badKey('malformed key: a number is not in canonical form')
  }
  return [value, at + 1]
}

function canonicalNumber(value: number | bigint, encoded: string): boolean {
  return (typeof value === 'bigint' || Number.isFinite(value)) && encodeNumber(value) === encoded
}

/** ±0.digits × 10^exponent: a number when the digits are its shortest form, else a bigint. */
function numberOf(sign: string, digits: string, exponent: number): number | bigint {
  const asNumber = Number(`${sign}0.${digits}e${exponent}`)
  const isInteger = exponent >= digits.length && exponent <= DIGITS_MAX
  if (!isInteger || Number.isSafeInteger(asNumber)) return asNumber
  const shortest = decimalOf(asNumber)
  if (shortest.digits === digits && shortest.exponent === exponent) return asNumber
  return BigInt(sign + digits.padEnd(exponent, '0'))
}

export function decodeKey(bytes: string): KeyValue {
  const [value, next] = decodeKeyAt(bytes, 0)
  if (next !== bytes.length) throw badKey('malformed key: bytes after its end')
  return value
}

/** Refuses bytes that are not exactly one encoded key value; keys from the network pass through here. */
export function assertEncodedKey(bytes: string, field: string): void {
  if (bytes.length > limits.keyBytesMax) {
    throw new QuorateError(
      'KEY_TOO_LARGE',
      `${field} is ${bytes.length} bytes, the limit is ${limits.keyBytesMax}`,
      {
        data: { field, keyBytes: bytes.length, limitBytes: limits.keyBytesMax },
      },
    )
  }
  // The common case, a plain string, is checked without decoding: escaped zeros take the slow way.
  if (
    bytes.charCodeAt(0) === TYPE_STRING &&
    bytes.indexOf('\0') === bytes.length - 2 &&
    bytes.endsWith('\x01')
  ) {
    if (/^[\x01-\x7f]*$/.test(bytes.slice(1, -2))) return
  }
  decodeKey(bytes)
}

export function describeKey(bytes: string): string {
  try {
    const value = decodeKey(bytes)
    if (value instanceof Uint8Array)
      return `0x${Array.from(value, b => b.toString(16).padStart(2, '0')).join('')}`
    return typeof value === 'string' ? value : String(value)
  } catch {
    return `(malformed key of ${bytes.length} bytes)`
  }
}
