import { utf8 } from '../base/bytes.ts'
import {
  ERROR_CODES,
  type ErrorCode,
  type ErrorData,
  isQuorateError,
  type Outcome,
  QuorateError,
} from '../base/errors.ts'
import * as s from './schema.ts'

const OUTCOMES: readonly Outcome[] = ['not-applied', 'applied', 'unknown']

const errorRecord = s.record({
  code: s.oneOf<ErrorCode>(ERROR_CODES),
  outcome: s.oneOf<Outcome>(OUTCOMES),
  message: s.text(4096),
  data: s.text(4096),
  attempts: s.list(s.text(1024), 64),
})

const clip = (text: string, bytesMax: number): string =>
  utf8.encode(text).length <= bytesMax ? text : `${text.slice(0, Math.floor(bytesMax / 4))}…`

export const errorSchema: s.Schema<QuorateError> = {
  shape: errorRecord.shape,
  write(writer, error) {
    errorRecord.write(writer, {
      code: error.code,
      outcome: error.outcome,
      message: clip(error.message, 4096),
      // Errors are off the data path, and their data is an open set of named facts.
      data: clip(JSON.stringify(error.data), 4096),
      attempts: error.attempts.slice(0, 64).map(attempt => clip(attempt, 1024)),
    })
  },
  read(reader) {
    const { code, outcome, message, data, attempts } = errorRecord.read(reader)
    return new QuorateError(code, message, { outcome, data: parseData(data), attempts })
  },
}

function parseData(text: string): ErrorData {
  try {
    const data: unknown = JSON.parse(text)
    return typeof data === 'object' && data !== null ? (data as ErrorData) : {}
  } catch {
    return { unreadable: text.slice(0, 64) }
  }
}

/** What a peer may be told of an unexpected failure: its message, under INTERNAL. */
export function asQuorateError(error: unknown): QuorateError {
  if (isQuorateError(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  return new QuorateError('INTERNAL', message, { outcome: 'unknown', cause: error })
}
