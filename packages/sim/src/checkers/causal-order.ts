/**
 * Consistent prefix: nobody in a session is shown an answer without its question.
 *
 * Every value says what its writer had been shown of other keys. Who is shown the value has from then on been told of
 * all that, and every later read of one of those keys shows as much or more; among rows that were read together none
 * shows less than another was caused by. The causes of causes are covered, since writers list all that they were shown
 * and were shown values that say theirs.
 */

import type { SessionOperation } from '../workloads/session-clients.ts'
import type { Violation } from './evidence.ts'
import { deletesOf, shown } from './session-guarantees.ts'

interface Cause {
  readonly number: number
  /** The value that was caused by it. */
  readonly of: string
}

export function checkCausalOrder(operations: readonly SessionOperation[]): Violation[] {
  const violations: Violation[] = []
  const deletes = deletesOf(operations)
  const sessions = new Map<string, Map<string, Cause>>()
  for (const { session, kind, outcome, values, callMs, returnMs } of operations) {
    if (kind !== 'read' || outcome !== 'ok') continue
    const causes = sessions.get(session) ?? new Map<string, Cause>()
    sessions.set(session, causes)
    // First all that this read tells of, then what it shows: rows read together are one answer.
    for (const { key, number, saw } of values) {
      for (const [name, least] of Object.entries(saw)) {
        if (least > (causes.get(name)?.number ?? 0))
          causes.set(name, { number: least, of: `${key} #${number}` })
      }
    }
    for (const value of values) {
      const cause = causes.get(value.key)
      if (cause === undefined || shown(deletes, value, cause.number, returnMs!) !== undefined) continue
      violations.push({
        checker: 'causal-order',
        message: `${session}: ${cause.of} was caused by ${value.key} #${cause.number}, and the read at ${callMs.toFixed(1)} shows ${value.number === undefined ? 'nothing' : `#${value.number}`} there`,
      })
    }
  }
  return violations
}
