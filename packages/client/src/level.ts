/** How many answers a request asks for. */

import { LEVEL_ALL, LEVEL_ONE, LEVEL_QUORUM, LEVEL_TABLE, QuorateError } from '@quorate/core'

export type Level = 'one' | 'quorum' | 'all' | number

export function levelByte(level: Level | undefined, what: 'r' | 'w'): number {
  switch (level) {
    case undefined:
      return LEVEL_TABLE
    case 'one':
      return LEVEL_ONE
    case 'quorum':
      return LEVEL_QUORUM
    case 'all':
      return LEVEL_ALL
    default:
      if (typeof level !== 'number' || !Number.isInteger(level) || level < 1 || level >= LEVEL_ONE) {
        throw new QuorateError(
          'BAD_REQUEST',
          `${what} is one, quorum, all or a whole number from 1, not ${JSON.stringify(level)}`,
        )
      }
      return level
  }
}
