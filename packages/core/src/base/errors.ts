/**
 * Errors people and programs act on: one union on `code`, the same on the wire, in the client and in
 * HTTP. `outcome` says whether a write happened; retry policy depends on that alone. Recognised by a
 * brand, never by `instanceof`, since two copies of a package may meet in one process.
 */

export type Outcome = 'not-applied' | 'applied' | 'unknown'

/** Codes are wire format: append only, never renumber (see `wire/codes.ts`). */
export const ERROR_CODES = [
  'BAD_REQUEST',
  'BAD_FRAME',
  'PROTOCOL_VERSION',
  'KEY_TOO_LARGE',
  'VALUE_TOO_LARGE',
  'BAD_CONTEXT',
  'TOO_MANY_SIBLINGS',
  'UNKNOWN_TABLE',
  'TABLE_EXISTS',
  'BAD_TABLE',
  'QUORUM_LARGER_THAN_N',
  'STALE_MAP',
  'NOT_REPLICA',
  'NOT_READY',
  'UNAVAILABLE',
  'WRITE_SHORT',
  'READ_SHORT',
  'DEADLINE',
  'OVERLOADED',
  'CLOCK_DRIFT',
  'FENCED',
  'CAUSAL_GAP',
  'DAMAGED_CELL',
  'STORE_FULL',
  'STORE_DAMAGED',
  'STORE_FAILED',
  'CONFLICT',
  'UNREACHABLE',
  'CANCELLED',
  'WRONG_CLUSTER',
  'NOT_FOUND',
  'INTERNAL',
  'BAD_SESSION',
  'SESSION_NOT_REACHED',
  'SESSION_FULL',
  'SESSION_ROLLED_BACK',
  'NOT_LEADER',
  'FEED_GONE',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** Facts about the error: flat, serialisable, named (`limitBytes`, `table`, `node`). */
export type ErrorData = Readonly<Record<string, string | number | boolean | null>>

const BRAND = '@quorate/error'

export class QuorateError extends Error {
  override readonly name = 'QuorateError'
  readonly [BRAND] = true
  readonly code: ErrorCode
  readonly outcome: Outcome
  readonly data: ErrorData
  /** What each node tried said, for errors that sum up several attempts. */
  readonly attempts: readonly string[]

  constructor(
    code: ErrorCode,
    message: string,
    options: { outcome?: Outcome; data?: ErrorData; attempts?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.outcome = options.outcome ?? 'not-applied'
    this.data = options.data ?? {}
    this.attempts = options.attempts ?? []
  }

  /** Trying again with the same operation id may succeed and cannot apply twice. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code)
  }
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'STALE_MAP',
  'NOT_REPLICA',
  'NOT_READY',
  'UNAVAILABLE',
  'WRITE_SHORT',
  'READ_SHORT',
  'DEADLINE',
  'OVERLOADED',
  'CLOCK_DRIFT',
  'FENCED',
  'DAMAGED_CELL',
  'UNREACHABLE',
  'CONFLICT',
  'NOT_LEADER',
  'SESSION_NOT_REACHED',
])

export function isQuorateError(value: unknown): value is QuorateError {
  return typeof value === 'object' && value !== null && (value as Record<string, unknown>)[BRAND] === true
}

export function describeError(value: unknown): string {
  if (isQuorateError(value)) return `${value.code}: ${value.message}`
  return value instanceof Error ? value.message : String(value)
}
