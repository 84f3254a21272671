/** Parsers of argument texts; each says what it expected. */

import { usageError } from './command-error.ts'
import { duration, parseDuration } from './output/words.ts'

export const integer =
  (name: string) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
      throw usageError(`${name} is a whole number, not "${text}"`)
    return value
  }

/** A duration that something is waited or run for: never nothing. */
export const positiveMilliseconds =
  (name: string, maxMs: number = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = milliseconds(name)(text)
    if (value < 1) throw usageError(`${name} is at least 1ms, not "${text}"`)
    if (value > maxMs) throw usageError(`${name} is at most ${duration(maxMs)}, not "${text}"`)
    return value
  }

export const PORT_MAX = 65_535

export const port =
  (name: string) =>
  (text: string): number => {
    const value = integer(name)(text)
    if (value > PORT_MAX) throw usageError(`${name} is a port from 0 to ${PORT_MAX}, not "${text}"`)
    return value
  }

/** Where something listens: `host:port`. `name`: the flag or variable it was given by. */
export function hostAndPort(name: string, text: string): string {
  const [, digits] = /^(?:\[[0-9a-fA-F:]+\]|[^:\s/]+):(\d{1,5})$/.exec(text) ?? []
  if (digits === undefined) throw usageError(`${name} is host:port, not "${text}"`)
  if (Number(digits) < 1 || Number(digits) > PORT_MAX)
    throw usageError(`${name} has a port from 1 to ${PORT_MAX}, not "${text}"`)
  return text
}

/** Greatest over mean: above 1. */
export const ratio =
  (name: string) =>
  (text: string): number => {
    const value = Number(text)
    if (!(value > 1)) throw usageError(`${name} is a number above 1, such as 1.25, not "${text}"`)
    return value
  }

/** `10MiB`, `500KiB`, `10MB` or a bare number of bytes; with `/s` or without. */
export const byteCount =
  (name: string) =>
  (text: string): number => {
    const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([KMG]i?B|B)?(?:\/s)?$/i.exec(text.trim()) ?? []
    const power = ' KMG'.indexOf((unit ?? ' ')[0]!.toUpperCase())
    const scale = power < 1 ? 1 : (/i/i.test(unit!) ? 1024 : 1000) ** power
    const value = Math.round(Number(digits) * scale)
    if (digits === undefined || value < BYTE_COUNT_MIN)
      throw usageError(`${name} is a number of bytes from 1KiB, such as 10MiB or 500KiB, not "${text}"`)
    return value
  }

const BYTE_COUNT_MIN = 1024

export const milliseconds =
  (name: string) =>
  (text: string): number => {
    const value = parseDuration(text)
    if (value === undefined)
      throw usageError(`${name} is a duration such as 500ms, 30s, 5m or 1h, not "${text}"`)
    return value
  }

/** A key value as typed: JSON when it is a number, a boolean, null or a quoted text; else the text itself. */
export function keyValue(text: string): string | number | boolean | null {
  try {
    const value: unknown = JSON.parse(text)
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value))
      return value as string | number | boolean | null
  } catch {
    // Not JSON: the text as it is.
  }
  return text
}

export type LevelArgument = 'one' | 'quorum' | 'all' | number

export const level =
  (name: string) =>
  (text: string): LevelArgument => {
    if (text === 'one' || text === 'quorum' || text === 'all') return text
    if (/^[1-9]\d{0,2}$/.test(text)) return Number(text)
    throw usageError(`${name} is one, quorum, all or a whole number from 1, not "${text}"`)
  }

/** The name of an operation, as the error of a write names it: a byte string of sixteen. */
export function operation(text: string): string {
  if (!/^[0-9a-f]{32}$/i.test(text))
    throw usageError(`--operation is the id that a failed write named, 32 hexadecimal digits, not "${text}"`)
  return text.toLowerCase()
}

export function contextToken(text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text) || text === '')
    throw usageError('--context is the text that get printed as "context"', 'quorate get TABLE KEY')
  return new Uint8Array(Buffer.from(text, 'base64'))
}
