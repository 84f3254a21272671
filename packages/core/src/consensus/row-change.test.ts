import { describe, expect, it } from 'vitest'
import type { ByteString, Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { type Cell, type Dot, emptyCell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'
import type { ChangeInput } from '../leader/change-input.ts'
import { ballotOf, isOlder } from '../leaderless/row-promises.ts'
import {
  carriedOut,
  contextOfRow,
  documentIn,
  isApplied,
  mayApply,
  underBallot,
  withValue,
} from './row-change.ts'

const key = 'r-a-row' as ByteString
const ballot = (stamp: number, actor = 'actor-A0'): Dot => ({
  actor: actor as string as Incarnation,
  stamp: stamp as Stamp,
})
const operation = (n: number): OperationId => String(n).padStart(16, '0') as OperationId
const value = (v: number): Uint8Array => encodeDocument({ v })
const asked = (more: Partial<ChangeInput>): ChangeInput => ({
  operation: operation(9),
  statement: { put: value(9) },
  condition: undefined,
  context: undefined,
  ack: undefined,
  again: false,
  hops: 0,
  session: undefined,
  ...more,
})
const calls = {
  now: () => 7,
  random: () => 0.5,
  uuid: () => 'u',
  id: () => {
    throw new Error('nobody gives out ids')
  },
}
const one: Cell = withValue(emptyCell, operation(1), value(1), ballot(1))

describe('an agreed row', () => {
  it('is a cell whose dot is its ballot, and knows what was applied to it', () => {
    const two = withValue(one, operation(2), value(2), ballot(5))
    expect(ballotOf(two)).toEqual(expect.objectContaining(ballot(5)))
    expect(decodeCell(encodeCell(two))).toEqual(two)
    expect([1, 2, 3].map(n => isApplied(two, operation(n)))).toEqual([true, true, false])
    const deleted = withValue(two, operation(3), undefined, ballot(6))
    expect(documentIn(deleted)).toBeUndefined()
    expect(isApplied(deleted, operation(2))).toBe(true)
  })

  it('is the same under another ballot', () => {
    const again = underBallot(one, ballot(8, 'actor-B0'))
    expect(documentIn(again)).toEqual(documentIn(one))
    expect(isApplied(again, operation(1))).toBe(true)
    expect(isOlder(ballotOf(one), ballotOf(again))).toBe(true)
    expect(underBallot(emptyCell, ballot(8))).toEqual(emptyCell)
  })

  it('takes a write when its condition holds, and when it is what its writer has read', () => {
    const read = (cell: Cell): Uint8Array => contextOfRow(cell, key)
    const deleted = withValue(one, operation(2), undefined, ballot(3))
    expect(mayApply(one, asked({ context: read(one) }), key)).toBe(true)
    expect(mayApply(underBallot(one, ballot(4)), asked({ context: read(one) }), key)).toBe(true)
    expect(
      mayApply(withValue(one, operation(2), value(1), ballot(4)), asked({ context: read(one) }), key),
    ).toBe(false)
    expect(mayApply(deleted, asked({ context: read(one) }), key)).toBe(false)
    expect(mayApply(deleted, asked({ context: read(emptyCell) }), key)).toBe(true)
    expect(mayApply(emptyCell, asked({ context: read(emptyCell) }), key)).toBe(true)
    expect(mayApply(one, asked({ condition: { exists: true } }), key)).toBe(true)
  })

  it('carries statements out, with calls answered once', () => {
    const update = { update: [{ op: 'increment', path: ['v'], by: { value: 4 } }] } as const
    expect(decodeDocument(carriedOut(one, update as never, calls)!)).toEqual({ v: 5 })
    expect(carriedOut(one, { delete: true }, calls)).toBeUndefined()
  })
})
