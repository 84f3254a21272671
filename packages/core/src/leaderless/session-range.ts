/**
 * A page of rows as a session may see it (leaderless/range-flow.ts makes the page).
 *
 * A row that the session has seen more of than the page shows, or that the page lacks, is read by itself; what that
 * brings may have causes among the other rows of the page, so this goes on until nothing is missing. The page is then one
 * that the session may see; it is no snapshot, and neither are the pages of one scan.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { leaderlessOf } from '../catalog/table-descriptor.ts'
import { emptyCell } from '../cells/cell.ts'
import type { RangeReply } from '../wire/messages.ts'
import { type MergedRow, type RangeFlowOptions, type RangePage, replyOfPage, runRange } from './range-flow.ts'
import { type SessionCall, type SessionRead, settledCopies } from './session-call.ts'

/** Each round reads at least one row again, of which causes go back in time: chains are short. */
const ROUNDS_MAX = 16

export async function runSessionRange(
  options: RangeFlowOptions,
  session: SessionCall,
  read: SessionRead,
): Promise<RangeReply> {
  const { view, partition, request } = options
  const needed = session.needed(view, partition.from, options.needed)
  // Room for rows that the session has seen and the page lacks.
  const limit = Math.min(request.limit, limits.pageRowsMax - limits.sessionRowsMax)
  const page = await runRange({ ...options, needed, request: { ...request, limit } })
  const rows = new Map<ByteString, MergedRow>(page.rows.map(row => [row.key, row]))
  const copies = settledCopies(partition.replicas.length, leaderlessOf(view.descriptor).w)
  const isFirm = (row: MergedRow): boolean => page.receipt.homes.length >= copies && row.stale.length === 0
  for (const row of page.rows) session.saw(row.key, row.cell, isFirm(row))
  for (let round = 0; ; round++) {
    const missing = missingRows(session, page, options, rows)
    if (missing.length === 0) break
    if (round === ROUNDS_MAX)
      throw new QuorateError('SESSION_NOT_REACHED', 'rows of the page go on changing while they are read')
    await Promise.all(
      missing.map(async key => {
        const level = session.needed(view, key, needed)
        const { cell } = await read(view, key, level, session.demand(view, key))
        rows.set(key, { key, cell: cell ?? emptyCell, stale: [] })
        session.met(key, cell)
      }),
    )
  }
  const order = (a: MergedRow, b: MergedRow): number => (a.key < b.key !== request.reverse ? -1 : 1)
  const shown = [...rows.values()].sort(order)
  return replyOfPage(options, { ...page, rows: shown }, await session.token())
}

/** Rows in the bounds of the page that do not show what the session has seen of them. */
function missingRows(
  session: SessionCall,
  { last, more }: RangePage,
  { request }: RangeFlowOptions,
  rows: ReadonlyMap<ByteString, MergedRow>,
): ByteString[] {
  const { from, to, reverse } = request
  const isShort = more && last !== undefined
  return session.state.rows
    .map(({ key }) => key)
    .filter(key => key >= from && key < to && !(isShort && (reverse ? key < last : key > last)))
    .filter(key => !session.isShownBy(key, rows.get(key)?.cell))
}
