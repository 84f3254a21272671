/** Who may answer a read, as the protocol of its table has it. */

import { isAgreed, LEVEL_ONE, LEVEL_TABLE, ledOf, QuorateError, type TableView } from '@quorate/core'
import { type Level, levelByte } from './level.ts'

const READ_FROM = ['any', 'quorum', 'leader', 'session'] as const
export type ReadFrom = (typeof READ_FROM)[number]

export interface ReadOptions {
  readonly r?: Level | undefined
  readonly read?: ReadFrom | undefined
  readonly maxStalenessMs?: number | undefined
  readonly session?: unknown
}

export interface ReadWanted {
  readonly level: number
  readonly staleMs: number
  /** Any home will do, not the leader first. */
  readonly anyHome: boolean
}

const bad = (field: string, message: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `${field}: ${message}`, { data: { field } })

export function wantedOf({ descriptor }: TableView, options: ReadOptions): ReadWanted {
  const { r, read, maxStalenessMs: staleMs, session } = options
  const { name } = descriptor
  if (read !== undefined && !READ_FROM.includes(read))
    throw bad('read', `${JSON.stringify(read)} is none of ${READ_FROM.join(', ')}`)
  if (read === 'session' && session === undefined)
    throw bad(
      'read',
      '"session" needs a session to read in: db.session(), or --session FILE on the command line',
    )
  if (isAgreed(descriptor)) {
    for (const [field, isGiven] of [
      ['r', r !== undefined],
      ['read', read === 'any' || read === 'session'],
      ['maxStalenessMs', staleMs !== undefined],
    ] as const)
      if (isGiven) throw bad(field, `every read of "${name}" is linearizable: its rows are agreed on`)
    return { level: LEVEL_TABLE, staleMs: 0, anyHome: true }
  }
  if (ledOf(descriptor) === undefined) {
    for (const [field, isGiven] of [
      ['maxStalenessMs', staleMs !== undefined],
      ['read', read === 'leader'],
    ] as const)
      if (isGiven) throw bad(field, `is of tables with leaders; "${name}" is leaderless`)
    const level = r ?? (read === 'any' || read === 'session' ? 'one' : (read as 'quorum' | undefined))
    return { level: levelByte(level, 'r'), staleMs: 0, anyHome: true }
  }
  if (r !== undefined || read === 'quorum')
    throw bad(
      r === undefined ? 'read' : 'r',
      `"${name}" has a leader for each partition: read from the leader (the default), any, or session`,
    )
  if (staleMs !== undefined && !(staleMs >= 1))
    throw bad('maxStalenessMs', 'is a number of milliseconds, at least 1')
  if (staleMs !== undefined && read === 'leader') throw bad('maxStalenessMs', 'the leader is never behind')
  const anyHome = read === 'any' || read === 'session' || staleMs !== undefined
  return { level: anyHome ? LEVEL_ONE : LEVEL_TABLE, staleMs: Math.floor(staleMs ?? 0), anyHome }
}
