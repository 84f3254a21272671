import { QuorateError } from '../base/errors.ts'
import { LEVEL_ALL, LEVEL_ONE, LEVEL_QUORUM, LEVEL_TABLE } from '../wire/messages.ts'

/** Answers needed for a level byte of a request, with `n` replicas and the table's own number. */
export function answersNeeded(level: number, n: number, own: number, what: 'r' | 'w'): number {
  switch (level) {
    case LEVEL_TABLE:
      return Math.min(own, n)
    case LEVEL_ONE:
      return 1
    case LEVEL_QUORUM:
      return Math.floor(n / 2) + 1
    case LEVEL_ALL:
      return n
    default:
      if (level > n) {
        throw new QuorateError(
          'QUORUM_LARGER_THAN_N',
          `${what}=${level} was asked, but the row has only n=${n} replicas`,
          {
            data: { [what]: level, n },
          },
        )
      }
      return level
  }
}
