/**
 * Removing a deleted register for good.
 *
 * Problem: a deletion that simply drops state forgets ballots too, so a late accept brings the value back
 * (lost delete) or a straggler's old state hides a newer value (lost update).
 * Mechanism: the deletion itself is an ordinary change to "no value". Collecting it is: write the bare
 * tombstone with the acknowledgement of *all* acceptors, outside of any change of acceptors, then tell
 * each to erase exactly that ballot; an acceptor that erases refuses, for every register it does not
 * have, ballots up to the erased one. Not finishing is harmless: any later collect starts over.
 * Invariant: nothing is erased anywhere before every acceptor of the config held the tombstone.
 * References: Rystsov (2018), §3.1; SPEC.md, invariants 10 and 11.
 */

import type { ByteString } from '../base/ids.ts'
import type { Proposer } from './proposer.ts'
import { everyAcceptorOf } from './register-config.ts'
import { addressed } from './register-messages.ts'
import { decodeRegisterValue } from './register-value.ts'
import { runRound } from './round.ts'

export type CollectOutcome =
  | 'collected'
  /** The register has a value, or was deleted again since. */
  | 'not-deleted'
  /** Not every acceptor answered, or the acceptors are being changed: ask again later. */
  | 'postponed'

/**
 * `version` is the deletion's. A later deletion is left alone: its operation ids are younger and may
 * still be asked for.
 */
export function collectRegister(
  proposer: Proposer,
  key: ByteString,
  version: number,
  deadlineMs: number,
  done: (outcome: CollectOutcome) => void,
): void {
  let deleted = false
  proposer.propose({
    key,
    deadlineMs,
    everyAcceptor: true,
    decide: found => {
      const register = decodeRegisterValue(found)
      deleted = register.value === undefined && register.version <= version
      return deleted ? { kind: 'write', bytes: undefined } : { kind: 'keep', settled: true }
    },
    done: result => {
      if (!deleted) return done('not-deleted')
      if (result.kind === 'failed') return done('postponed')
      const { config, ballot } = result
      runRound({
        client: proposer.client,
        config,
        quorums: everyAcceptorOf(config),
        deadlineMs: proposer.roundDeadline(deadlineMs),
        message: to => ({ kind: 'erase', ...addressed(to, config.epoch), key, ballot }),
        acknowledges: reply => reply.kind === 'erased',
        heard: (from, reply) => proposer.heard(config, from, reply),
        done: erased => done(erased.state === 'reached' ? 'collected' : 'postponed'),
      })
    },
  })
}
