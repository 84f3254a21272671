/** Deltas against the cells they are of, over what several coordinators write and lose. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { type Cell, emptyCell } from '../cells/cell.ts'
import { encodeCell } from '../cells/cell-codec.ts'
import { hasGapBefore } from '../cells/delta.ts'
import { fieldRule } from './field-rule.ts'
import { encodeFieldStep } from './steps.ts'

const actors = ['actor-A0', 'actor-B0'] as string[] as Incarnation[]
const bytes = (cell: Cell): string => Buffer.from(encodeCell(cell)).toString('hex')
const merged = (a: Cell, b: Cell): Cell => fieldRule.merge(a, b).cell

interface Act {
  readonly kind: 'add' | 'merge' | 'forget'
  readonly at: number
  /** Of an addition: whether the other hears of it at once. */
  readonly arrives: boolean
}

const act: fc.Arbitrary<Act> = fc.record({
  kind: fc.constantFrom('add' as const, 'add' as const, 'add' as const, 'merge' as const, 'forget' as const),
  at: fc.nat(1),
  arrives: fc.boolean(),
})

it('a delta that is not refused makes of a replica what the whole cell makes of it', () => {
  let refused = 0
  let taken = 0
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), acts => {
      const states: Cell[] = [emptyCell, emptyCell]
      const memoryFrom = [0, 0]
      let stamp = 100
      for (const { kind, at, arrives } of acts) {
        const other = 1 - at
        if (kind === 'merge') states[at] = merged(states[at]!, states[other]!)
        else if (kind === 'forget') {
          states[at] = emptyCell
          memoryFrom[at] = ++stamp
        } else {
          const operation = String(++stamp).padStart(16, '0') as OperationId
          const write = { operation, value: encodeFieldStep({ op: 'increment', by: 1 }), seen: undefined }
          const base = states[at]!
          const dot = { actor: actors[at]!, stamp: stamp as Stamp }
          const after = fieldRule.write(base, write, dot, memoryFrom[at] as Stamp).cell
          states[at] = after
          const delta = fieldRule.deltaOf!(base, after, operation)!
          expect(bytes(merged(base, delta))).toBe(bytes(after))
          if (!arrives) continue
          if (hasGapBefore(states[other]!, delta)) {
            refused++
            continue
          }
          taken++
          const byDelta = merged(states[other]!, delta)
          // What the whole brings besides is of others, and not claimed by the delta.
          expect(bytes(merged(byDelta, after))).toBe(bytes(merged(states[other]!, after)))
          expect(bytes(merged(after, byDelta))).toBe(bytes(merged(after, states[other]!)))
          states[other] = byDelta
        }
      }
    }),
    { numRuns: 1_000 },
  )
  expect(refused).toBeGreaterThan(100)
  expect(taken).toBeGreaterThan(100)
})
