/**
 * Rule `ordered`: rows of tables whose leader orders every write. There is one value, and no conflict to settle.
 *
 * The dot of a value names its entry in the leader's log: (store incarnation of the leader, stamp). Stamps ascend along
 * a log, also over changes of leader, so of two copies of a row the one with the greater stamp is the later state.
 */

import { assert } from '../base/assert.ts'
import { type Cell, type CellValue, compareDots } from './cell.ts'
import type { ConflictRule, MergeResult, WriteResult } from './conflict-rule.ts'

export const orderedRule: ConflictRule = {
  kind: 'ordered',
  discards: false,

  write(): WriteResult {
    assert(false, 'rows of an ordered table are written by its log')
  },

  merge(a: Cell, b: Cell): MergeResult {
    const [left, right] = [a.values[0], b.values[0]]
    if (right === undefined) return { cell: a, discarded: [] }
    const isLater = left === undefined || compareDots(left, right) < 0
    return { cell: isLater ? b : a, discarded: [] }
  },

  read(cell: Cell): readonly Uint8Array[] {
    return cell.values.flatMap(({ value }) => (value === undefined ? [] : [value]))
  },
}

/** The row that an entry leaves behind. */
export const orderedCell = (value: CellValue): Cell => ({
  context: [{ actor: value.actor, intervals: [value.stamp, value.stamp] }],
  values: [value],
  superseded: [],
})
