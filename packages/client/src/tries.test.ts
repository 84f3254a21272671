import { type PeerId, QuorateError, SeededRandom } from '@quorate/core'
import { ManualClock } from '@quorate/core/conformance'
import { describe, expect, it } from 'vitest'
import { Tries } from './tries.ts'

const error = (code: 'UNKNOWN_TABLE' | 'STORE_FULL' | 'UNREACHABLE' | 'WRITE_SHORT', outcome?: 'unknown') =>
  new QuorateError(code, `says ${code}`, outcome === undefined ? {} : { outcome })

/** Tries that fail with this, until the call ends: how many there were, and with what it ended. */
function until(failure: QuorateError, peer?: string): { count: number; end: QuorateError } {
  const clock = new ManualClock()
  const tries = new Tries(clock, new SeededRandom(1), { timeoutMs: 5_000 }, true)
  for (let count = 1; ; count++) {
    tries.nextMs()
    if (peer !== undefined) tries.next(() => peer as PeerId)
    try {
      clock.advance(tries.waitMs(tries.failed(failure)))
    } catch (end) {
      return { count, end: end as QuorateError }
    }
  }
}

describe('trying again', () => {
  it('goes on to the deadline with a node that has not heard of the table yet', () => {
    const { count, end } = until(error('UNKNOWN_TABLE'), 'n3')
    expect(count).toBeGreaterThan(10)
    expect([end.code, end.outcome]).toEqual(['UNKNOWN_TABLE', 'not-applied'])
    expect(end.attempts).toEqual([`n3 ${count} times: UNKNOWN_TABLE`])
  })

  it('ends at once when it is the client that knows no such table', () => {
    expect(until(error('UNKNOWN_TABLE')).count).toBe(1)
  })

  it('asks a few others when a disk is full', () => {
    expect(until(error('STORE_FULL'), 'n1').count).toBe(4)
  })

  it('never ends as not applied when a try may have been applied', () => {
    expect(until(error('WRITE_SHORT', 'unknown'), 'n1').end.outcome).toBe('unknown')
  })
})
