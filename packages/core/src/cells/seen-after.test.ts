/** What a writer is told it has seen, and what a wrong context may do: nothing that cannot be read again. */

import { describe, expect, it } from 'vitest'
import type { ByteString, Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { type Cell, emptyCell } from './cell.ts'
import { decodeCell, encodeCell } from './cell-codec.ts'
import { seenAfter, type WriteOperation } from './conflict-rule.ts'
import { decodeTokenOfRow, encodeContextToken, joinContextTokens } from './context-token.ts'
import { encodeDocument } from './document.ts'
import { conflictRule } from './rules.ts'
import { type Seen, seenOf } from './superseded.ts'

const rule = conflictRule('siblings')
const A = 'actor-A0' as Incarnation
const B = 'actor-B0' as Incarnation
const rowKey = 'r-a-row' as ByteString
const operation = (n: number): OperationId => String(n).padStart(16, '0') as OperationId
const write = (n: number, seen?: Seen): WriteOperation => ({
  operation: operation(n),
  value: encodeDocument({ n }),
  seen,
})
const put = (base: Cell, n: number, actor: Incarnation, stamp: number, seen?: Seen): Cell =>
  rule.write(base, write(n, seen), { actor, stamp: stamp as Stamp }, 0 as Stamp).cell

describe('a context', () => {
  it('of another row that covers one of two names of a value leaves a cell that can be read', () => {
    const other = put(put(emptyCell, 1, A, 10), 2, A, 30, seenOf(put(emptyCell, 1, A, 10)))
    const tried = rule.merge(put(emptyCell, 5, A, 20), put(emptyCell, 5, B, 21)).cell
    expect(tried.values).toHaveLength(2)
    const after = put(tried, 6, A, 40, seenOf(other))
    expect(decodeCell(encodeCell(after)).values.map(value => value.operation)).toEqual([operation(6)])
  })

  it('is refused for another row than it was read from, unless it has seen nothing', () => {
    const token = encodeContextToken(seenOf(put(emptyCell, 1, A, 10)), rowKey)
    expect(decodeTokenOfRow(token, rowKey).context).toHaveLength(1)
    expect(() => decodeTokenOfRow(token, 'r-other' as ByteString)).toThrow(/another row/)
    const nothing = encodeContextToken(seenOf(emptyCell), rowKey)
    expect(decodeTokenOfRow(nothing, 'r-other' as ByteString).context).toEqual([])
    const other = encodeContextToken(seenOf(put(emptyCell, 2, A, 20)), 'r-other' as ByteString)
    expect(() => joinContextTokens([token, other])).toThrow(/different rows/)
    expect(decodeTokenOfRow(joinContextTokens([nothing, token]), rowKey).context).toHaveLength(1)
  })

  it('handed on from write to write stays as small as the cell, also beside a value that is not seen', () => {
    for (const base of [emptyCell, put(emptyCell, 9_999, B, 5)]) {
      let cell = base
      let seen: Seen | undefined
      for (let n = 1; n <= 2_000; n++) {
        cell = put(cell, n, A, 10 * n, seen)
        seen = seenAfter(write(n, seen), cell)
      }
      expect(cell.values).toHaveLength(base.values.length + 1)
      expect(encodeContextToken(seen!, rowKey).length).toBeLessThan(1_500)
    }
  })

  it('covers what is superseded, and no value that stands beside the write', () => {
    const unseen = put(put(emptyCell, 1, A, 10), 2, A, 20)
    const cell = put(unseen, 3, A, 30, seenOf(put(emptyCell, 1, A, 10)))
    const seen = seenAfter(write(3, seenOf(put(emptyCell, 1, A, 10))), cell)
    const next = put(cell, 4, B, 40, seen)
    expect(next.values.map(value => value.operation)).toEqual([operation(2), operation(4)])
  })
})
