/** Clocks that run unevenly, messages that come when they like: while a leader believes, no election is complete. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { NodeId } from '../base/ids.ts'
import { ACKNOWLEDGEMENTS, type AckRule } from './acknowledgement.ts'
import { elect } from './election.ts'
import { CLOCK_DRIFT_SHARE, leaseUntilMs, mayVote } from './lease.ts'

const LEASE_MS = 1_000

interface Beat {
  readonly follower: number
  readonly sent: number
  readonly wayMs: number
}

const runs = fc.integer({ min: 1, max: 5 }).chain(n =>
  fc.record({
    n: fc.constant(n),
    ack: fc.constantFrom(...ACKNOWLEDGEMENTS),
    minInSync: fc.integer({ min: 1, max: n }),
    outOfSync: fc.uniqueArray(fc.integer({ min: 1, max: Math.max(1, n - 1) })),
    rates: fc.array(fc.double({ min: 1 - CLOCK_DRIFT_SHARE, max: 1 + CLOCK_DRIFT_SHARE, noNaN: true }), {
      minLength: n,
      maxLength: n,
    }),
    beats: fc.array(
      fc.record({
        follower: fc.nat(n - 1),
        sent: fc.double({ min: 1, max: 5_000, noNaN: true }),
        wayMs: fc.double({ min: 0, max: 3_000, noNaN: true }),
      }),
      { maxLength: 20 },
    ),
    voters: fc.uniqueArray(fc.nat(n - 1)),
  }),
)

/** Real time at which a replica with such a clock answers an election, at the earliest; a second late, it is told. */
function votesAt(rate: number, beats: readonly Beat[]): number {
  const supported = Math.max(1, ...beats.map(({ sent, wayMs }) => sent + wayMs))
  let real = supported
  // The clock shows real time times its rate.
  while (!mayVote(real * rate, supported * rate, LEASE_MS)) real += 0.25
  return real
}

it('a lease has ended before any clean election is complete', () => {
  fc.assert(
    fc.property(runs, ({ n, ack, minInSync, outOfSync, rates, beats, voters }) => {
      const rule: AckRule = { ack, n, minInSync: Math.min(minInSync, n) }
      const ids = Array.from({ length: n }, (_, i) => `n${i}` as NodeId)
      const inSync = ids.filter((_, at) => at === 0 || !outOfSync.includes(at))
      const rate = rates[0]!
      // The leader never votes against itself while it believes.
      const others = voters.filter(at => at !== 0)
      const end = { epoch: 1, position: 1 }
      const question = {
        rule,
        replicas: ids,
        inSync,
        votes: others.map(at => ({ node: ids[at]!, end })),
        preferred: [],
      }
      if (elect(question).kind === 'short') return
      const elected = Math.max(
        ...others.map(at =>
          votesAt(
            rates[at]!,
            beats.filter(({ follower }) => follower === at),
          ),
        ),
      )
      // The leader has heard every acknowledgement that was given before that.
      const nowReal = elected
      const sentMs = new Map(
        ids.map((id, at) => {
          const told = beats.filter(({ follower, sent, wayMs }) => follower === at && sent + wayMs <= nowReal)
          return [
            id,
            at === 0 ? nowReal * rate : Math.max(0, ...told.map(({ sent }) => sent * rate)),
          ] as const
        }),
      )
      expect(leaseUntilMs(rule, { sentMs, inSync }, LEASE_MS)).toBeLessThanOrEqual(nowReal * rate)
    }),
    { numRuns: 5_000 },
  )
})
