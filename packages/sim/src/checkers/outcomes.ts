/**
 * Errors tell the truth: a write that was said not to have been applied is never seen, nothing is seen that
 * nobody wrote, and one operation never shows as two siblings.
 */

import { mayBeApplied } from '../workloads/history.ts'
import type { Evidence, Violation } from './evidence.ts'

export function checkOutcomes(evidence: Evidence): Violation[] {
  const violations: Violation[] = []
  const bad = (message: string): void => void violations.push({ checker: 'outcomes', message })
  for (const [name, row] of evidence.rows) {
    const possible = new Set<string>()
    for (const write of row.writes)
      if (write.tag !== undefined && mayBeApplied(write)) possible.add(write.tag)
    const look = (tags: readonly string[], when: string): void => {
      const seen = new Set<string>()
      for (const tag of tags) {
        if (!possible.has(tag))
          bad(`${name}: ${tag} is visible ${when}, and its write was said not to be applied`)
        if (seen.has(tag)) bad(`${name}: ${tag} is two siblings ${when}`)
        seen.add(tag)
      }
    }
    for (const read of row.reads) look(read.tags, `at ${read.returnMs.toFixed(1)}`)
    look(evidence.final.get(name) ?? [], 'at the end')
  }
  return violations
}
