/**
 * Rule `lww`: one value, the one with the greatest (stamp, actor).
 *
 * Problem: last-write-wins loses concurrent writes; the harm is that it does so in silence. A single
 * "timestamp it was based on" cannot tell: a winner based on 7 may never have met a loser stamped 5.
 * Mechanism: the cell keeps the full context of what was seen, so a value dropped by a winner that had
 * not seen its dot is known to be a concurrent loser and is handed out as `discarded`, for the ledger.
 * A deletion that loses is a discarded write too. The same operation under
 * two dots (a retry) is no loss.
 */

import type { Stamp } from '../base/ids.ts'
import { contextHas, extendOwn, mergeContexts } from '../causality/context.ts'
import { type Cell, type Dot, emptyCell, liveValues, mergeCells } from './cell.ts'
import {
  type ConflictRule,
  type MergeResult,
  valueWritten,
  type WriteOperation,
  type WriteResult,
} from './conflict-rule.ts'

export const lwwRule: ConflictRule = {
  kind: 'lww',
  discards: true,

  /**
   * Without a context the write is taken to replace what its coordinator sees; in a session also what that has seen,
   * wherever it is: the stamp is later, so it wins there, and that it has met it is then true.
   */
  write(base: Cell = emptyCell, write: WriteOperation, dot: Dot, memoryFrom: Stamp): WriteResult {
    if (base.values.some(value => value.operation === write.operation))
      return { cell: base, repeated: true, discarded: [] }

    const told = write.seen?.context ?? base.context
    const seen = write.after === undefined ? told : mergeContexts(told, write.after)
    const discarded = base.values.filter(value => !contextHas(seen, value.actor, value.stamp))
    const context = extendOwn(mergeContexts(base.context, seen), dot.actor, dot.stamp, memoryFrom)
    const values = [valueWritten(write, dot)]
    return { cell: { ...base, context, values }, repeated: false, discarded }
  },

  merge(a: Cell, b: Cell): MergeResult {
    const both = mergeCells(a, b)
    if (both.values.length <= 1) return { cell: both, discarded: [] }
    const winner = both.values.at(-1)!
    const discarded = both.values.filter(value => value.operation !== winner.operation)
    return { cell: { ...both, values: [winner] }, discarded }
  },

  read(cell: Cell): readonly Uint8Array[] {
    return liveValues(cell).map(value => value.value!)
  },
}
