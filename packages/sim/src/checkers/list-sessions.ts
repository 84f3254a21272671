/**
 * What a session is promised of rows that are lists: it sees what it wrote, and never less than it saw before.
 *
 * That a read is a beginning of the final list is checked apart (list-order.ts); so of two reads the longer one is the
 * later one.
 * Reference: Terry et al., "Session Guarantees for Weakly Consistent Replicated Data" (PDIS 1994).
 */

import type { ListHistory, ListRead } from '../workloads/list-history.ts'
import type { Violation } from './evidence.ts'

export function checkListSessions({ appends, reads }: ListHistory): Violation[] {
  const out: Violation[] = []
  const bySession = new Map<string, ListRead[]>()
  for (const read of reads) {
    if (read.session === undefined) continue
    const name = `${read.session} ${read.row}`
    bySession.set(name, [...(bySession.get(name) ?? []), read])
  }
  for (const [name, ofRow] of bySession) {
    const own = appends.filter(
      append => `${append.session} ${append.row}` === name && append.outcome === 'ok',
    )
    for (const read of ofRow) {
      const missed = own.find(({ tag, endedMs }) => endedMs < read.beganMs && !read.found.includes(tag))
      if (missed !== undefined)
        out.push(violation(name, read, `missed ${missed.tag}, which it had written itself`))
      const longer = ofRow.find(
        ({ endedMs, found }) => endedMs < read.beganMs && found.length > read.found.length,
      )
      if (longer !== undefined)
        out.push(
          violation(name, read, `saw ${read.found.length} tags, and before that ${longer.found.length}`),
        )
    }
  }
  return out
}

function violation(name: string, { beganMs, receipt }: ListRead, what: string): Violation {
  return {
    checker: 'session-guarantees',
    message: `${name}: a read at ${beganMs.toFixed(1)} by ${receipt?.coordinator ?? '?'} ${what}`,
  }
}
