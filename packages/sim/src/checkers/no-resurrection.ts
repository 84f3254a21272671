/**
 * What was deleted stays deleted: a value that an acknowledged delete had seen is not there at the end, nor
 * in a read that began after the delete was acknowledged and heard enough homes to know of it.
 *
 * Only values whose own write had ended by then: one still being tried may apply once more after the
 * delete, and is then concurrent with it.
 */

import type { RowHistory } from '../workloads/history.ts'
import { type Evidence, facts, isSuccess, lostWithItsDisk, type Violation } from './evidence.ts'

export function checkNoResurrection(evidence: Evidence): Violation[] {
  const violations: Violation[] = []
  for (const [name, row] of evidence.rows) {
    const table = facts(evidence, row)
    const visible = new Set(evidence.final.get(name) ?? [])
    for (const write of row.writes) {
      if (write.tag !== undefined || !isSuccess(write) || write.seen === undefined) continue
      if (lostWithItsDisk(evidence, write, table, Infinity)) continue
      const ended = endedTags(row, write.callMs)
      const deleted = [...write.seen].filter(tag => ended.has(tag))
      const found = deleted.filter(tag => visible.has(tag))
      if (found.length > 0) {
        const message = `${name}: ${found.join(' ')} came back; deleted by ${write.client} at ${write.returnMs!.toFixed(1)}`
        violations.push({ checker: 'no-resurrection', message })
      }
      for (const read of row.reads) {
        if (
          read.callMs <= write.returnMs! ||
          read.receipt.copies + write.receipt!.copies <= read.receipt.replicas
        )
          continue
        const back = read.tags.filter(tag => deleted.includes(tag))
        if (back.length === 0) continue
        const message = `${name}: ${back.join(' ')} read at ${read.returnMs.toFixed(1)} after its delete was acknowledged at ${write.returnMs!.toFixed(1)}`
        violations.push({ checker: 'no-resurrection', message })
      }
    }
  }
  return violations
}

/** Tags of puts that were acknowledged and no longer tried, by anyone, before `untilMs`. */
function endedTags(row: RowHistory, untilMs: number): Set<string | undefined> {
  const trying = new Set(
    row.writes.filter(put => put.returnMs === undefined || put.returnMs >= untilMs).map(put => put.operation),
  )
  const ended = row.writes.filter(put => put.outcome === 'ok' && !trying.has(put.operation))
  return new Set(ended.map(put => put.tag))
}
