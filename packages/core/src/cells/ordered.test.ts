import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { emptyCell } from './cell.ts'
import { decodeCell, encodeCell } from './cell-codec.ts'
import { orderedCell, orderedRule } from './ordered.ts'

const cells = fc.option(fc.integer({ min: 1, max: 50 })).map(stamp =>
  stamp === null
    ? emptyCell
    : orderedCell({
        actor: 'a'.repeat(8) as Incarnation,
        stamp: stamp as Stamp,
        operation: String(stamp).padStart(16, '0') as OperationId,
        value: new Uint8Array([stamp]),
      }),
)

it('of rows that a log has ordered, the later state stays, whoever tells of it first', () => {
  const merge = (a: Parameters<typeof orderedRule.merge>[0], b: typeof a) => orderedRule.merge(a, b).cell
  fc.assert(
    fc.property(cells, cells, cells, (a, b, c) => {
      expect(merge(a, b)).toEqual(merge(b, a))
      expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)))
      expect(merge(a, a)).toEqual(a)
      expect(decodeCell(encodeCell(a))).toEqual(a)
      const stamps = [a, b].map(({ values }) => values[0]?.stamp ?? 0)
      expect(merge(a, b).values[0]?.stamp ?? 0).toBe(Math.max(...stamps))
    }),
  )
})
