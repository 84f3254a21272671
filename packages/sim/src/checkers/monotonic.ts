/**
 * Monotonic quorum reads, for tables that promise them (blocking read repair): what one read showed, every
 * later read that overlaps with it shows too, unless it was replaced.
 */

import { type Evidence, facts, mayBeReplacedBlindly, replacedTags, type Violation } from './evidence.ts'

export function checkMonotonicReads(evidence: Evidence): Violation[] {
  const violations: Violation[] = []
  for (const [name, row] of evidence.rows) {
    const table = facts(evidence, row)
    if (!table.blocking) continue
    for (const later of row.reads) {
      const replaced = replacedTags(row, later.returnMs)
      for (const earlier of row.reads) {
        if (earlier.returnMs >= later.callMs) continue
        if (earlier.receipt.copies + later.receipt.copies <= later.receipt.replicas) continue
        // What a disk destroyed between the two held is rebuilt from as many homes as W calls for.
        const destroyed = evidence.destroyed.some(
          ({ atMs }) => atMs >= earlier.callMs && atMs <= later.returnMs,
        )
        if (destroyed && earlier.receipt.copies < Math.max(2, table.w)) continue
        for (const tag of earlier.tags) {
          if (later.tags.includes(tag) || replaced.has(tag) || evidence.ledger.has(tag)) continue
          const write = row.writes.find(candidate => candidate.tag === tag)
          if (write !== undefined && mayBeReplacedBlindly(row, write, later.returnMs)) continue
          const message = `${name}: ${tag} was read at ${earlier.returnMs.toFixed(1)} and is missing from the read at ${later.callMs.toFixed(1)}`
          violations.push({ checker: 'monotonic-reads', message })
        }
      }
    }
  }
  return violations
}
