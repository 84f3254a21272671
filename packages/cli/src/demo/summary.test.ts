import { describe, expect, it } from 'vitest'
import type { HealReport } from './converge.ts'
import type { ImportReport } from './import-cities.ts'
import { healedByHints } from './summary.ts'

const text = (hintsReplayed: number, rowsWhileDown: number, open: string[] = []): string =>
  healedByHints({ hintsReplayed, open } as HealReport, { rowsWhileDown } as ImportReport, 'n3').join(' ')

describe('the demo explains its hints', () => {
  it('what they are, and why there are more of them than rows while the node was down', () => {
    expect(text(14_687, 11_427)).toBe(
      'A hint is a write that a node keeps for another which cannot take it, and hands over later. n3 got 14,687: the 11,427 rows above and 3,260 more that were under way when it died, or came while it was starting again. None is left.',
    )
  })

  it('or fewer', () => {
    expect(text(10, 12)).toContain('n3 got 10: fewer than the 12 rows above: the sweep brought it the rest.')
  })

  it('what is not settled is said', () => {
    expect(text(1, 1, ['n1 still holds 3 hints'])).toContain('Not settled: n1 still holds 3 hints.')
  })
})
