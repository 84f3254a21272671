/**
 * No acknowledged write is lost, and no concurrent write is dropped in silence: after healing every
 * acknowledged value is visible, or was knowingly replaced, or lies in the ledger.
 */

import {
  type Evidence,
  facts,
  isSuccess,
  lostWithItsDisk,
  mayBeReplacedBlindly,
  replacedTags,
  type Violation,
} from './evidence.ts'

export function checkNoLostWrite(evidence: Evidence): Violation[] {
  const violations: Violation[] = []
  for (const [name, row] of evidence.rows) {
    const table = facts(evidence, row)
    const visible = new Set(evidence.final.get(name) ?? [])
    const replaced = table.rule.startsWith('merge:') ? new Set<string>() : replacedTags(row, Infinity)
    for (const write of row.writes) {
      const { tag } = write
      if (tag === undefined || !isSuccess(write)) continue
      if (visible.has(tag) || replaced.has(tag) || evidence.ledger.has(tag)) continue
      if (mayBeReplacedBlindly(row, write, Infinity)) continue
      if (lostWithItsDisk(evidence, write, table, Infinity)) continue
      const checker = table.rule === 'lww' ? 'no-silent-drop' : 'no-lost-write'
      const nodes = write.receipt!.answered.map(answer => answer.node).join(' ')
      violations.push({
        checker,
        message: `${name}: ${tag} was acknowledged by ${nodes} at ${write.returnMs!.toFixed(1)} and is gone; visible: [${[...visible].join(' ')}]`,
      })
    }
  }
  return violations
}
