/**
 * A change feed is complete: whoever makes a table of nothing but what it told has the table.
 *
 * Each change says the row before and after. Of one row, each begins with what the one before left: a change that was
 * passed over shows as a gap. The last one leaves what the row is. What a feed has said to be gone, it owes no more.
 */

import type { FeedHistory } from '../workloads/feed-consumer.ts'
import type { Violation } from './evidence.ts'

export function checkFeed(
  { changes, gaps, oddities }: FeedHistory,
  final: ReadonlyMap<string, readonly string[]>,
): Violation[] {
  const out: Violation[] = oddities.map(message => ({ checker: 'feed-order', message }))
  const violate = (message: string): void => void out.push({ checker: 'feed-complete', message })
  const rows = new Map<string, readonly string[]>()
  for (const [partition, told] of changes) {
    for (const { epoch, position, row, before, after } of told) {
      const known = rows.get(row) ?? (gaps.has(partition) ? before : [])
      if (!same(known, before))
        violate(
          `partition ${partition} ${epoch}/${position}: ${row} was [${tail(known)}] by what was told before, and is told to have been [${tail(before)}]`,
        )
      rows.set(row, after)
    }
  }
  for (const [row, list] of final) {
    const known = rows.get(row)
    if (known === undefined && (list.length === 0 || gaps.size > 0)) continue
    if (!same(known ?? [], list))
      violate(`${row} is [${tail(list)}], and [${tail(known ?? [])}] by all that the feed told`)
  }
  return out
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((tag, at) => tag === b[at])

const tail = (list: readonly string[]): string => `${list.length}: … ${list.slice(-3).join(' ')}`
