/** Which row an error is about, in words: an import of a million rows must say which one was too large. */

import { type ByteString, describeKey, isQuorateError, QuorateError } from '@quorate/core'
import type { EncodedKey } from './table.ts'

const SHOWN_CHARACTERS_MAX = 60

const shown = (key: ByteString): string => {
  const text = describeKey(key)
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text
}

export const rowText = ({ partitionKey, sortKey }: EncodedKey): string =>
  sortKey === '' ? shown(partitionKey) : `${shown(partitionKey)} / ${shown(sortKey)}`

/** The same error about a row of a table. */
export function aboutRow(error: unknown, table: string, row: string): unknown {
  if (!isQuorateError(error)) return error
  const { code, message, outcome, data, attempts } = error
  return new QuorateError(code, `table "${table}", row ${row}: ${message}`, {
    outcome,
    data: { ...data, table, row },
    attempts,
    cause: error,
  })
}
