import { describe, expect, it } from 'vitest'
import type { Incarnation, OperationId, Stamp, TableId } from '../base/ids.ts'
import { type Cell, emptyCell } from '../cells/cell.ts'
import type { WriteOperation } from '../cells/conflict-rule.ts'
import { encodeDocument } from '../cells/document.ts'
import { lwwRule } from '../cells/lww.ts'
import { seenOf } from '../cells/superseded.ts'
import type { Clock } from '../ports/clock.ts'
import { ShadowCounts } from './shadow.ts'

const table = 1 as TableId
let wallMs = 1_000
const counts = (): ShadowCounts => new ShadowCounts({ wallMs: () => wallMs } as Clock)
const write = (n: number, more: Partial<WriteOperation> = {}): WriteOperation => ({
  operation: String(n).padStart(16, '0') as OperationId,
  value: encodeDocument(n),
  seen: undefined,
  ...more,
})
const one: Cell = lwwRule.write(
  emptyCell,
  write(1),
  { actor: 'actor-A0' as string as Incarnation, stamp: 1 as Stamp },
  0 as Stamp,
).cell

describe('what a table would have kept under siblings', () => {
  it.each<[string, Cell, WriteOperation, number]>([
    ['a first write', emptyCell, write(2), 0],
    ['a put that has said nothing', one, write(2), 1],
    ['a put that has seen the value', one, write(2, { seen: seenOf(one) }), 0],
    ['a put in a session that has', one, write(2, { after: one.context }), 0],
    ['a second try', one, write(1), 0],
    ['a delete of what is there', one, write(2, { value: undefined }), 0],
    [
      'a delete that has seen something else',
      one,
      write(2, { value: undefined, seen: seenOf(emptyCell) }),
      1,
    ],
  ])('%s', (_, base, given, overwriting) => {
    const measured = counts()
    measured.note(table, base, given)
    expect(measured.of(table)).toEqual([{ fromMs: 0, writes: 1, overwriting }])
  })

  it('is told by the hour, for two days', () => {
    const measured = counts()
    for (let hour = 0; hour < 60; hour++) {
      wallMs = hour * 3_600_000 + 5
      measured.note(table, one, write(2))
      measured.note(table, one, write(1))
    }
    expect(measured.of(table)).toHaveLength(48)
    expect(measured.of(table).at(-1)).toEqual({ fromMs: 59 * 3_600_000, writes: 2, overwriting: 1 })
  })
})
