/** Parsers of argument texts; each says what it expected. */

import { usageError } from './command-error.ts'
import { parseDuration } from './output/words.ts'

export const integer =
  (name: string) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
      throw usageError(`${name} is a whole number, not "${text}"`)
    return value
  }

export const milliseconds =
  (name: string) =>
  (text: string): number => {
    const value = parseDuration(text)
    if (value === undefined)
      throw usageError(`${name} is a duration such as 500ms, 30s, 5m or 1h, not "${text}"`)
    return value
  }
