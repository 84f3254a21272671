/**
 * Receipts tell the truth about overlap: a read that heard `k` homes has seen every write that was
 * acknowledged, before the read began, by `copies` homes with copies + k > n; and what a receipt says about
 * roles agrees with the table's settings. (That named holders really hold is checked when it is said, by
 * `holders.ts`.)
 */

import type { ReadRecord, RowHistory, WriteRecord } from '../workloads/history.ts'
import {
  type Evidence,
  facts,
  isSuccess,
  lostWithItsDisk,
  mayBeReplacedBlindly,
  replacedTags,
  type TableFacts,
  type Violation,
} from './evidence.ts'

export function checkReceipts(evidence: Evidence): Violation[] {
  const violations: Violation[] = []
  for (const [name, row] of evidence.rows) {
    const table = facts(evidence, row)
    for (const write of row.writes) {
      const message = isSuccess(write) ? wrongWriteReceipt(table, write) : undefined
      if (message !== undefined) violations.push({ checker: 'receipts', message: `${name}: ${message}` })
    }
    for (const read of row.reads) {
      for (const message of missedBy(evidence, table, row, read)) {
        violations.push({ checker: 'receipts', message: `${name}: ${message}` })
      }
    }
  }
  return violations
}

function wrongWriteReceipt(table: TableFacts, write: WriteRecord): string | undefined {
  const receipt = write.receipt!
  const fallbacks = receipt.answered.filter(answer => answer.role === 'fallback')
  const strict = write.strict || !table.sloppy
  if (strict && fallbacks.length > 0)
    return `a strict write counts the fallbacks ${fallbacks.map(f => f.node).join(' ')}`
  if (strict && receipt.copies < receipt.needed)
    return `a strict write has ${receipt.copies} copies of ${receipt.needed}`
  if (receipt.copies + fallbacks.length < receipt.needed)
    return `acknowledged by fewer than the ${receipt.needed} asked for`
  if (new Set(receipt.answered.map(answer => answer.node)).size !== receipt.answered.length)
    return 'a node is counted twice'
  return undefined
}

/** Writes that a read should have met and did not. */
function* missedBy(
  evidence: Evidence,
  table: TableFacts,
  row: RowHistory,
  read: ReadRecord,
): Generator<string> {
  const visible = new Set(read.tags)
  const replaced = table.rule.startsWith('merge:') ? new Set<string>() : replacedTags(row, read.returnMs)
  for (const write of row.writes) {
    const { tag } = write
    if (tag === undefined || !isSuccess(write) || write.returnMs! >= read.callMs) continue
    if (write.receipt!.copies + read.receipt.copies <= read.receipt.replicas) continue
    if (visible.has(tag) || replaced.has(tag) || evidence.ledger.has(tag)) continue
    if (mayBeReplacedBlindly(row, write, read.returnMs)) continue
    if (lostWithItsDisk(evidence, write, table, read.returnMs)) continue
    yield `the read at ${read.callMs.toFixed(1)} heard ${read.receipt.copies} of ${read.receipt.replicas} homes and missed ${tag}, on ${write.receipt!.copies} homes since ${write.returnMs!.toFixed(1)}`
  }
}
