/** Checks of what a user gave: each names the field and says what it must be. */

import { QuorateError } from '../base/errors.ts'

export const bad = (field: string, message: string): QuorateError =>
  new QuorateError('BAD_TABLE', `${field}: ${message}`, { data: { field } })

export function objectAt(value: unknown, field: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad(field, 'must be an object')
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      throw bad(`${field}.${name}`, `unknown setting; known here: ${known.join(', ')}`)
  }
  return value as Record<string, unknown>
}

export function count(value: unknown, field: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw bad(field, `is a whole number from ${min} to ${max}, not ${JSON.stringify(value)}`)
  }
  return value
}
