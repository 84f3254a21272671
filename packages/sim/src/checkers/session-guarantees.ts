/**
 * Session guarantees (Terry et al., 1994), of histories whose keys have one writer each, who numbers its writes.
 *
 * Read-your-writes and monotonic reads: what a session has written or was shown of a key, every later read of it shows,
 * or something later. Monotonic writes and writes-follow-reads, of one key: once all is quiet, what stands there is the
 * last acknowledged write of its writer, or one after it. A row that is absent shows the first delete that is late
 * enough, if there was one to show.
 */

import type { SessionOperation, SessionValue } from '../workloads/session-clients.ts'
import type { Violation } from './evidence.ts'

export interface SessionEvidence {
  readonly operations: readonly SessionOperation[]
  /** What stands under each key once everything has converged. */
  readonly final: ReadonlyMap<string, number | undefined>
  /** Were disks destroyed? Then a write with one copy may be gone, which a session can only refuse to hide. */
  readonly destroyed: boolean
}

/** Numbers of the deletes of each key that may have been applied, with when they were begun; ascending. */
export type Deletes = ReadonlyMap<string, readonly { readonly number: number; readonly callMs: number }[]>

export function deletesOf(operations: readonly SessionOperation[]): Deletes {
  const out = new Map<string, { number: number; callMs: number }[]>()
  for (const { kind, outcome, values, callMs } of operations) {
    if (kind !== 'delete' || outcome === 'failed') continue
    for (const { key, number } of values) {
      const all = out.get(key) ?? []
      all.push({ number: number!, callMs })
      out.set(key, all)
    }
  }
  for (const all of out.values()) all.sort((a, b) => a.number - b.number)
  return out
}

/** The number that a read shows, which must be at least `least`; undefined when it shows too little. */
export function shown(
  deletes: Deletes,
  { key, number }: SessionValue,
  least: number,
  returnMs: number,
): number | undefined {
  if (number !== undefined) return number >= least ? number : undefined
  if (least === 0) return 0
  return deletes.get(key)?.find(one => one.number >= least && one.callMs < returnMs)?.number
}

export function checkSessionGuarantees(evidence: SessionEvidence): Violation[] {
  const violations: Violation[] = []
  const deletes = deletesOf(evidence.operations)
  const sessions = new Map<string, Map<string, { least: number; why: string }>>()
  const last = new Map<string, number>()
  for (const operation of evidence.operations) {
    if (operation.outcome !== 'ok') continue
    const { session, kind, values, returnMs } = operation
    const known = sessions.get(session) ?? new Map<string, { least: number; why: string }>()
    sessions.set(session, known)
    for (const value of values) {
      const { key } = value
      const { least, why } = known.get(key) ?? { least: 0, why: 'read' }
      if (kind !== 'read') {
        known.set(key, { least: value.number!, why: 'written' })
        last.set(key, Math.max(value.number!, last.get(key) ?? 0))
        continue
      }
      const number = shown(deletes, value, least, returnMs!)
      if (number === undefined)
        violations.push({
          checker: 'session-guarantees',
          message: `${session}: ${key} #${least} was ${why}, and the read at ${operation.callMs.toFixed(1)} shows ${value.number === undefined ? 'nothing' : `#${value.number}`}`,
        })
      else if (number > least) known.set(key, { least: number, why: 'read' })
    }
  }
  if (evidence.destroyed) return violations
  for (const [key, least] of last) {
    if (!evidence.final.has(key)) continue
    const value = { key, number: evidence.final.get(key), saw: {} }
    if (shown(deletes, value, least, Number.POSITIVE_INFINITY) === undefined)
      violations.push({
        checker: 'session-guarantees',
        message: `${key} #${least} was acknowledged last, and what stands there in the end is ${value.number === undefined ? 'nothing' : `#${value.number}`}`,
      })
  }
  return violations
}
