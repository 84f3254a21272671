/**
 * Changing and reading one register: the proposer's rounds, given the meaning users see.
 *
 * Outcomes are typed by what is *known*: `committed`, `rejected` by the change function (nothing
 * happened, and what it was rejected against is linearizable), `not-applied` (no accept of it was ever
 * sent by this call), `unknown` (it may happen yet: ask again with the same operation id).
 */

import type { ByteString, OperationId } from '../base/ids.ts'
import type { Proposer } from './proposer.ts'
import {
  changedRegister,
  decodeRegisterValue,
  encodeRegisterValue,
  type Versioned,
} from './register-value.ts'

/** Pure; may run more than once, on different current values. `value` undefined deletes. */
export type ChangeFunction = (current: Uint8Array | undefined, version: number) => ChangeDecision

export type ChangeDecision = { readonly value: Uint8Array | undefined } | { readonly reject: string }

export type ChangeOutcome =
  | {
      readonly kind: 'committed'
      /** The register as a quorum holds it: this change, or, when `repeated`, a later one. */
      readonly current: Versioned
      /** Version this change made. */
      readonly version: number
      /** The operation was recognised as done before. */
      readonly repeated: boolean
    }
  | { readonly kind: 'rejected'; readonly reason: string; readonly current: Versioned }
  | { readonly kind: 'not-applied'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string }

export type ReadOutcome =
  | { readonly kind: 'value'; readonly current: Versioned }
  | { readonly kind: 'failed'; readonly reason: string }

export interface ChangeRequest {
  readonly key: ByteString
  readonly change: ChangeFunction
  readonly operationId: OperationId
  /** Monotonic time after which no new attempt starts. */
  readonly deadlineMs: number
}

/** What the last run of `decide` came to; `decide` runs again on every attempt. */
type Verdict =
  | { readonly kind: 'changed' }
  | { readonly kind: 'repeated'; readonly version: number }
  | { readonly kind: 'rejected'; readonly reason: string }

export function changeRegister(
  proposer: Proposer,
  request: ChangeRequest,
  done: (outcome: ChangeOutcome) => void,
): void {
  let verdict = undefined as Verdict | undefined
  proposer.propose({
    key: request.key,
    deadlineMs: request.deadlineMs,
    decide: (found, ballot) => {
      const before = decodeRegisterValue(found)
      const known = before.operations.find(operation => operation.id === request.operationId)
      if (known !== undefined) {
        verdict = { kind: 'repeated', version: known.version }
        return { kind: 'keep', settled: true }
      }
      const decision = request.change(before.value, before.version)
      if ('reject' in decision) {
        verdict = { kind: 'rejected', reason: decision.reject }
        // Always accepted again, under the new ballot: an accept of an earlier attempt (or call) of this
        // operation may lie on a minority, and must not surface after we said that nothing happened.
        return { kind: 'keep', settled: false }
      }
      verdict = { kind: 'changed' }
      const after = changedRegister(before, decision.value, request.operationId, ballot.counter)
      return { kind: 'write', bytes: encodeRegisterValue(after) }
    },
    done: result => {
      if (result.kind === 'failed') {
        return done({ kind: result.mayHappen ? 'unknown' : 'not-applied', reason: result.reason })
      }
      const { version, value } = decodeRegisterValue(result.bytes)
      const current = { version, value }
      if (verdict?.kind === 'rejected') return done({ kind: 'rejected', reason: verdict.reason, current })
      if (verdict?.kind === 'repeated') {
        return done({ kind: 'committed', current, version: verdict.version, repeated: true })
      }
      done({ kind: 'committed', current, version, repeated: false })
    },
  })
}

/** Linearizable read: a quorum that agrees, or else the identity transition. */
export function readRegister(
  proposer: Proposer,
  key: ByteString,
  deadlineMs: number,
  done: (outcome: ReadOutcome) => void,
): void {
  proposer.propose({
    key,
    deadlineMs,
    peekFirst: true,
    decide: () => ({ kind: 'keep', settled: true }),
    done: result => {
      if (result.kind === 'failed') return done({ kind: 'failed', reason: result.reason })
      const { version, value } = decodeRegisterValue(result.bytes)
      done({ kind: 'value', current: { version, value } })
    },
  })
}
