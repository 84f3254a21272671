/**
 * What to do about a request that failed. Only its command knows what was asked of which table, so only
 * it can say the next command in full: nothing to fill in, and nothing that fits another command.
 */

import type { KnownError } from './command-error.ts'
import { AdvisedError, isKnown } from './command-error.ts'

export interface Asked {
  readonly verb: 'get' | 'query' | 'scan' | 'import' | 'export' | 'put' | 'update' | 'delete' | 'create'
  readonly table: string
  /** The row, as typed after `quorate get TABLE`, where the command is about one. */
  readonly key?: readonly string[]
  /** The command line, from the first word after `quorate`. */
  readonly words: readonly string[]
}

/** Runs one request; its failure carries the advice. */
export async function advised<T>(asked: Asked, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw isKnown(error) ? new AdvisedError(error, done(error, asked), next(error, asked)) : error
  }
}

function done(error: KnownError, { verb }: Asked): string | undefined {
  const { outcome, data } = error
  switch (verb) {
    case 'put':
    case 'update':
    case 'delete':
      if (outcome === 'not-applied')
        return verb === 'delete' ? 'Nothing was deleted.' : 'Nothing was written.'
      return `outcome unknown: the ${verb} may be on some replicas; if it is, it will spread to the others (operation ${String(data?.operation)})`
    case 'create':
      if (outcome === 'not-applied') return 'No table was made.'
      return 'outcome unknown: the table may have been made'
    default:
      return undefined
  }
}

function next(error: KnownError, asked: Asked): string | undefined {
  const { code, outcome, data } = error
  const { verb, table, words } = asked
  const row = asked.key === undefined ? undefined : commandLine(['get', table, ...asked.key])
  if (outcome === 'unknown' && verb === 'create')
    return `quorate status, then ${commandLine(words)}   (the same settings again are success)`
  if (outcome === 'unknown' && typeof data?.operation === 'string') {
    const stdin = words.includes('-') ? ', with the same row on stdin' : ''
    return `${repetition(words, data.operation)}   (the same operation${stdin}: it is not applied twice)`
  }
  switch (code) {
    case 'UNAVAILABLE':
    case 'DEADLINE':
    case 'NOT_READY':
    case 'WRITE_SHORT':
      return 'quorate status'
    case 'READ_SHORT':
      return `quorate status, or fewer replicas: ${commandLine([...without(words, '--r'), '--r', 'one'])}`
    case 'NOT_LEADER':
      return `${commandLine(['lag', table])}; when nobody leads for long: ${commandLine(['cluster', 'elect', table])}`
    case 'BAD_SESSION':
      return words.includes('--session') ? 'another --session FILE begins a new session' : undefined
    case 'SESSION_ROLLED_BACK':
      return `${commandLine(['ledger', table])}, which has what was given up; then begin a new session`
    case 'UNKNOWN_TABLE':
      return 'quorate table list'
    case 'QUORUM_LARGER_THAN_N':
    case 'BAD_TABLE':
      return verb === 'create' ? 'quorate table create --help' : commandLine(['table', 'show', table])
    case 'TABLE_EXISTS':
      return commandLine(['table', 'show', table])
    case 'TOO_MANY_SIBLINGS':
    case 'BAD_CONTEXT':
      return row === undefined ? undefined : `${row}, then ${verb} again with the --context it prints`
    default:
      return undefined
  }
}

/** The same command under the same operation id. */
export const repetition = (words: readonly string[], operation: string): string =>
  commandLine([...without(words, '--operation'), '--operation', operation])

function without(words: readonly string[], option: string): string[] {
  return words.filter(
    (word, i) => word !== option && words[i - 1] !== option && !word.startsWith(`${option}=`),
  )
}

/** As a shell takes it. */
export function commandLine(words: readonly string[]): string {
  const quoted = words.map(word =>
    /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`,
  )
  return ['quorate', ...quoted].join(' ')
}
