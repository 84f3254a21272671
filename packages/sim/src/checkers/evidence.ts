/**
 * What checkers judge by, and the reasoning they share.
 *
 * A value that was acknowledged is *accounted for* when it is visible, was knowingly replaced, or is in the
 * ledger. "Knowingly replaced" is exact for writes that say what they have seen: some write that may have
 * been applied had it in its `seen`. A write that leaves that to its coordinator may have replaced anything
 * that existed before the write ended.
 *
 * Destroyed disks. The promise of W copies survives one disk lost and rebuilt at a time: the rebuild reads
 * N − W + 1 of the others (all, for W = 1), so it meets a write that had at least W copies, and at least
 * two. A write with fewer copies, one of which was on a disk destroyed since, is held against nobody.
 */

import type { Receipt } from '@quorate/client/pure'
import { mayBeApplied, type RowHistory, type WriteRecord } from '../workloads/history.ts'

export interface TableFacts {
  readonly name: string
  readonly n: number
  readonly r: number
  readonly w: number
  readonly sloppy: boolean
  readonly blocking: boolean
  readonly rule: string
}

export interface Destruction {
  readonly node: string
  readonly atMs: number
}

export interface Violation {
  readonly checker: string
  readonly message: string
}

export interface Evidence {
  readonly rows: ReadonlyMap<string, RowHistory>
  readonly tables: ReadonlyMap<string, TableFacts>
  /** Visible tags of each row (`table/key`) once everything has converged. */
  readonly final: ReadonlyMap<string, readonly string[]>
  /** Tags in the ledgers of all nodes. */
  readonly ledger: ReadonlySet<string>
  /** Disks wiped, and copies damaged. */
  readonly destroyed: readonly Destruction[]
  /** Did partitions move? Then a copy may be elsewhere than where it was acknowledged. */
  readonly moved: boolean
}

export function isSuccess(write: WriteRecord): boolean {
  return write.outcome === 'ok' && write.receipt !== undefined
}

/** Tags that some write which began before `untilMs` knowingly replaced. */
export function replacedTags(row: RowHistory, untilMs: number): Set<string> {
  const replaced = new Set<string>()
  for (const write of row.writes) {
    if (!mayBeApplied(write) || write.callMs >= untilMs || write.seen === undefined) continue
    for (const tag of write.seen) replaced.add(tag)
  }
  return replaced
}

/** May a write that asked its coordinator what it replaces have replaced `write`, before `untilMs`? */
export function mayBeReplacedBlindly(row: RowHistory, write: WriteRecord, untilMs: number): boolean {
  return row.writes.some(
    other =>
      other !== write &&
      other.seen === undefined &&
      mayBeApplied(other) &&
      other.callMs < untilMs &&
      (other.outcome !== 'ok' || other.returnMs! > write.callMs),
  )
}

export function holders(receipt: Receipt): string[] {
  return receipt.answered.map(answer => answer.node)
}

/** Was a disk that held one of too few copies destroyed after the write began and before `untilMs`? */
export function lostWithItsDisk(
  evidence: Evidence,
  write: WriteRecord,
  facts: TableFacts,
  untilMs: number,
): boolean {
  const receipt = write.receipt
  if (receipt === undefined) return true
  if (receipt.copies >= Math.max(2, facts.w)) return false
  // The copy of a fallback goes to the home it stood for, and is kept there alone.
  const stoodFor = receipt.answered.flatMap(answer => (answer.for === undefined ? [] : [answer.for]))
  const nodes = new Set([...holders(receipt), ...stoodFor])
  return evidence.destroyed.some(
    ({ node, atMs }) => (evidence.moved || nodes.has(node)) && atMs >= write.callMs && atMs <= untilMs,
  )
}

export function facts(evidence: Evidence, row: RowHistory): TableFacts {
  return evidence.tables.get(row.table)!
}
