/**
 * Errors as people meet them: what happened, why, what was and was not done, the next command; and the
 * exit code that scripts act on.
 */

import { type ExitCode, exitCodes } from './exit-codes.ts'
import type { Style } from './output/style.ts'

export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode
  /** What was and was not done. */
  readonly done: string | undefined
  /** The command to type next. */
  readonly next: string | undefined

  constructor(
    exitCode: ExitCode,
    message: string,
    more: { done?: string | undefined; next?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.exitCode = exitCode
    this.done = more.done
    this.next = more.next
  }
}

export const usageError = (message: string, next?: string): CommandError =>
  new CommandError(exitCodes.usage, message, { next })

/** The parts of a QuorateError that are used here; recognised by shape, so that nothing has to be imported. */
export interface KnownError extends Error {
  readonly code: string
  readonly outcome: 'not-applied' | 'applied' | 'unknown'
  readonly attempts: readonly string[]
  readonly retryable?: boolean
  readonly data?: Readonly<Record<string, unknown>>
}

/** A request that failed, with what its command has to say about it. */
export class AdvisedError extends Error {
  override readonly name = 'AdvisedError'
  readonly failure: KnownError
  /** What was and was not done. */
  readonly done: string | undefined
  /** The command to type next. */
  readonly next: string | undefined

  constructor(failure: KnownError, done: string | undefined, next: string | undefined) {
    super(failure.message, { cause: failure })
    this.failure = failure
    this.done = done
    this.next = next
  }
}

export function isKnown(error: unknown): error is KnownError {
  return error instanceof Error && error.name === 'QuorateError' && 'code' in error && 'outcome' in error
}

/** Lines of what was tried. */
const ATTEMPTS_SHOWN = 8

const USAGE = new Set([
  'BAD_REQUEST',
  'KEY_TOO_LARGE',
  'VALUE_TOO_LARGE',
  'BAD_CONTEXT',
  'BAD_SESSION',
  'BAD_TABLE',
  'QUORUM_LARGER_THAN_N',
])

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode
  if (error instanceof AdvisedError) return exitCodeOf(error.failure)
  if (!isKnown(error)) return exitCodes.unexpected
  if (error.outcome === 'unknown') return exitCodes.outcomeUnknown
  if (USAGE.has(error.code)) return exitCodes.usage
  switch (error.code) {
    case 'NOT_FOUND':
    case 'UNKNOWN_TABLE':
    case 'FEED_GONE':
      return exitCodes.notFound
    case 'CONFLICT':
    case 'TABLE_EXISTS':
    case 'TOO_MANY_SIBLINGS':
    case 'SESSION_ROLLED_BACK':
      return exitCodes.conflict
    case 'UNAVAILABLE':
    case 'WRITE_SHORT':
    case 'READ_SHORT':
    case 'OVERLOADED':
    case 'NOT_READY':
    case 'FENCED':
    case 'CLOCK_DRIFT':
    case 'DAMAGED_CELL':
    case 'STORE_FULL':
    case 'SESSION_NOT_REACHED':
    case 'SESSION_FULL':
    case 'NOT_LEADER':
    case 'NOT_REPLICA':
    case 'STALE_MAP':
      return exitCodes.noQuorum
    case 'UNREACHABLE':
    case 'PROTOCOL_VERSION':
    case 'WRONG_CLUSTER':
      return exitCodes.unreachable
    case 'DEADLINE':
      return exitCodes.timedOut
    case 'CANCELLED':
      return exitCodes.interrupted
    case 'STORE_DAMAGED':
      return exitCodes.storeDamaged
    case 'STORE_FAILED':
      return exitCodes.storeFailed
    default:
      return exitCodes.unexpected
  }
}

/** Lines for stderr. */
export function describeFailure(error: unknown, style: Style): string[] {
  if (error instanceof CommandError) {
    return [
      `${style.red('error:')} ${error.message}`,
      ...causes(error).map(cause => style.dim(`  because ${cause}`)),
      ...(error.done === undefined ? [] : [`  ${error.done}`]),
      ...(error.next === undefined ? [] : [`  next: ${style.bold(error.next)}`]),
    ]
  }
  if (error instanceof AdvisedError) return failureLines(error.failure, error, style)
  if (isKnown(error)) return failureLines(error, { done: whatWasDone(error), next: NEXT[error.code] }, style)
  const message = error instanceof Error ? error.message : String(error)
  return [
    `${style.red('error:')} ${message}`,
    ...(error instanceof Error ? causes(error).map(cause => style.dim(`  because ${cause}`)) : []),
  ]
}

function failureLines(
  { message, code, attempts }: KnownError,
  { done, next }: { readonly done?: string | undefined; readonly next?: string | undefined },
  style: Style,
): string[] {
  const more = attempts.length - ATTEMPTS_SHOWN
  return [
    `${style.red('error:')} ${message} ${style.dim(`(${code})`)}`,
    ...attempts.slice(0, ATTEMPTS_SHOWN).map(attempt => style.dim(`  tried: ${attempt}`)),
    ...(more > 0 ? [style.dim(`  tried: … and ${more} more (--json has all)`)] : []),
    ...(done === undefined ? [] : [`  ${done}`]),
    ...(next === undefined ? [] : [`  next: ${style.bold(next)}`]),
  ]
}

/** A failure as one document, for programs: what went wrong, and whether a write happened. */
export function failureDocument(error: unknown): Record<string, unknown> {
  const known = error instanceof AdvisedError ? error.failure : isKnown(error) ? error : undefined
  const next = error instanceof CommandError || error instanceof AdvisedError ? error.next : undefined
  const operation = known?.data?.operation
  return {
    kind: 'error',
    items: [],
    warnings: [],
    partial: false,
    error: {
      code: known?.code ?? (error instanceof CommandError ? 'COMMAND' : 'INTERNAL'),
      message: error instanceof Error ? error.message : String(error),
      outcome: known?.outcome ?? 'not-applied',
      retryable: known?.retryable ?? false,
      attempts: known?.attempts ?? [],
      exitCode: exitCodeOf(error),
      ...(operation === undefined ? {} : { operation }),
      ...(next === undefined ? {} : { next }),
    },
  }
}

function causes(error: Error): string[] {
  const out: string[] = []
  for (let cause = error.cause; cause instanceof Error && out.length < 4; cause = cause.cause)
    if (!error.message.includes(cause.message)) out.push(cause.message)
  return out
}

const whatWasDone = (error: KnownError): string | undefined =>
  error.outcome === 'unknown' ? 'outcome unknown: what was asked may or may not have happened' : undefined

/** Where the command itself has nothing to add: see advice.ts. */
const NEXT: Readonly<Record<string, string>> = {
  UNAVAILABLE: 'quorate status',
  READ_SHORT: 'quorate status',
  SESSION_NOT_REACHED: 'quorate status',
  UNKNOWN_TABLE: 'quorate table list',
}
