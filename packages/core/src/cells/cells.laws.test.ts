/** The laws of `conflict-rule.ts`, on every rule, over states that writes and merges can really reach. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isQuorateError } from '../base/errors.ts'
import type { ByteString, Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { contextCovers, contextHas } from '../causality/context.ts'
import { type Cell, emptyCell, liveValues, mergeCells } from './cell.ts'
import { decodeCell, digestCell, encodeCell } from './cell-codec.ts'
import type { ConflictRule } from './conflict-rule.ts'
import { decodeTokenOfRow, encodeContextToken } from './context-token.ts'
import { decodeDocument, encodeDocument } from './document.ts'
import { conflictRule, conflictRuleKinds } from './rules.ts'
import { seenOf } from './superseded.ts'

type Step =
  | {
      readonly kind: 'put' | 'delete'
      readonly replica: number
      readonly knows: 'nothing' | 'replica' | 'other'
      readonly value: number
      readonly op: number
    }
  | { readonly kind: 'merge'; readonly replica: number; readonly from: number }
  | { readonly kind: 'forget'; readonly replica: number }

const REPLICAS = 3
const actors = ['actor-A0', 'actor-B0', 'actor-C0'] as string[] as Incarnation[]

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
      replica: fc.nat(REPLICAS - 1),
      knows: fc.constantFrom('nothing' as const, 'replica' as const, 'other' as const),
      value: fc.nat(9),
      op: fc.nat(8),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('merge' as const),
      replica: fc.nat(REPLICAS - 1),
      from: fc.nat(REPLICAS - 1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('forget' as const), replica: fc.nat(REPLICAS - 1) }),
  },
)

const operation = (n: number): OperationId => String(n).padStart(16, '0') as OperationId
const document = (n: number): Uint8Array => encodeDocument({ items: [`item-${n}`], n })

interface Run {
  readonly states: Cell[]
  /** Every state any replica was ever in. */
  readonly seen: Cell[]
  readonly replacements: readonly Replacement[]
}

/** A write that was applied, and the operations that its writer had seen the values of. */
interface Replacement {
  readonly cell: Cell
  readonly replaced: readonly OperationId[]
}

/**
 * Runs the steps. `forget`: the replica loses its cell (as after a crash before its sync, or damage), so it
 * no longer has continuous memory: later writes of it must not extend older intervals.
 */
function play(rule: ConflictRule, steps: readonly Step[]): Run {
  const states: Cell[] = Array.from({ length: REPLICAS }, () => emptyCell)
  const memoryFrom = new Array<number>(REPLICAS).fill(0)
  const usedBy = new Map<number, { replica: number; value: number; kind: string }>()
  const seen: Cell[] = [emptyCell]
  const replacements: Replacement[] = []
  let clock = 100
  for (const s of steps) {
    if (s.kind === 'merge') {
      states[s.replica] = rule.merge(states[s.replica]!, states[s.from]!).cell
    } else if (s.kind === 'forget') {
      states[s.replica] = emptyCell
      memoryFrom[s.replica] = ++clock
    } else {
      const known = usedBy.get(s.op)
      // One operation id names one write, wherever it is retried.
      const { kind, value } = known ?? s
      if (known === undefined) usedBy.set(s.op, s)
      const source = states[(s.replica + (s.knows === 'replica' ? 0 : 1)) % REPLICAS]!
      const told = s.knows === 'nothing' ? undefined : seenOf(source)
      clock += 3
      const dot = { actor: actors[s.replica]!, stamp: clock as Stamp }
      const write = {
        operation: operation(s.op),
        value: kind === 'put' ? document(value) : undefined,
        seen: told,
      }
      const before = states[s.replica]!
      try {
        const { cell, repeated } = rule.write(before, write, dot, memoryFrom[s.replica] as Stamp)
        states[s.replica] = cell
        const replaced = told?.operations ?? (write.value === undefined ? seenOf(before).operations : [])
        if (!repeated) replacements.push({ cell, replaced })
      } catch (error) {
        // A second try with a context that has seen the first one.
        if (!isQuorateError(error) || error.code !== 'BAD_CONTEXT') throw error
      }
    }
    seen.push(states[s.replica]!)
  }
  return { states, seen, replacements }
}

const run = (rule: ConflictRule) =>
  fc.array(step, { minLength: 1, maxLength: 24 }).map(steps => play(rule, steps))
const bytesOf = (cell: Cell): string => Buffer.from(encodeCell(cell)).toString('hex')
const key = 'r-any-row-key' as ByteString

describe.each(conflictRuleKinds)('rule %s', kind => {
  const rule = conflictRule(kind)
  const merged = (a: Cell, b: Cell): string => bytesOf(rule.merge(a, b).cell)

  it('merges commutatively', () => {
    fc.assert(
      fc.property(run(rule), fc.nat(), fc.nat(), ({ seen }, i, j) => {
        const [a, b] = [seen[i % seen.length]!, seen[j % seen.length]!]
        expect(merged(a, b)).toBe(merged(b, a))
      }),
      { numRuns: 1_500 },
    )
  })

  it('merges associatively', () => {
    fc.assert(
      fc.property(run(rule), fc.nat(), fc.nat(), fc.nat(), ({ seen }, i, j, k) => {
        const [a, b, c] = [seen[i % seen.length]!, seen[j % seen.length]!, seen[k % seen.length]!]
        expect(merged(rule.merge(a, b).cell, c)).toBe(merged(a, rule.merge(b, c).cell))
      }),
      { numRuns: 1_500 },
    )
  })

  it('merges idempotently, and discards nothing when it does', () => {
    fc.assert(
      fc.property(run(rule), fc.nat(), ({ seen }, i) => {
        const a = seen[i % seen.length]!
        const result = rule.merge(a, a)
        expect(bytesOf(result.cell)).toBe(bytesOf(a))
        expect(result.discarded).toEqual([])
      }),
    )
  })

  it('has one byte form per state, which decodes to it', () => {
    fc.assert(
      fc.property(run(rule), ({ seen }) => {
        for (const cell of seen) {
          const bytes = encodeCell(cell)
          expect(bytesOf(decodeCell(bytes))).toBe(bytesOf(cell))
          expect(digestCell(key, encodeCell(decodeCell(bytes)))).toEqual(digestCell(key, bytes))
          expect(decodeTokenOfRow(encodeContextToken(seenOf(cell), key), key)).toMatchObject(seenOf(cell))
        }
      }),
    )
  })

  it('reads the same value whatever the order of merging', () => {
    fc.assert(
      fc.property(run(rule), ({ states }) => {
        const read = (cells: readonly Cell[]): unknown =>
          rule.read(cells.reduce((a, b) => rule.merge(a, b).cell)).map(value => decodeDocument(value))
        const [a, b, c] = states as [Cell, Cell, Cell]
        expect(read([a, b, c])).toEqual(read([c, b, a]))
        expect(read([b, a, c])).toEqual(read([c, a, b]))
      }),
    )
  })

  it('keeps every value inside its context', () => {
    fc.assert(
      fc.property(run(rule), ({ seen }) => {
        for (const { values, context } of seen)
          for (const v of values) expect(contextHas(context, v.actor, v.stamp)).toBe(true)
      }),
    )
  })

  it('recognises a retried operation at the same coordinator', () => {
    fc.assert(
      fc.property(run(rule), fc.nat(9), ({ states }, n) => {
        const first = rule.write(
          states[0]!,
          { operation: operation(99), value: document(n), seen: undefined },
          { actor: actors[0]!, stamp: 900 as Stamp },
          0 as Stamp,
        )
        const again = rule.write(
          first.cell,
          { operation: operation(99), value: document(n), seen: undefined },
          { actor: actors[0]!, stamp: 901 as Stamp },
          0 as Stamp,
        )
        expect(again.repeated).toBe(true)
        expect(bytesOf(again.cell)).toBe(bytesOf(first.cell))
      }),
    )
  })

  // Under a rule that discards, the later stamp may win over a delete that had seen an earlier name: into the ledger.
  if (!rule.discards) {
    it('never brings back what a write had seen, whichever of its names it had seen', () => {
      fc.assert(
        fc.property(run(rule), fc.nat(), fc.nat(), ({ seen, replacements }, i, j) => {
          for (const { cell, replaced } of replacements) {
            const [a, b] = [seen[i % seen.length]!, seen[j % seen.length]!]
            const later = rule.merge(rule.merge(a, cell).cell, b).cell
            for (const { operation } of liveValues(later)) expect(replaced).not.toContain(operation)
          }
        }),
        { numRuns: 1_500 },
      )
    })
  }

  it('never shows one operation as two siblings, whichever coordinators took it', () => {
    fc.assert(
      fc.property(run(rule), ({ states, seen }) => {
        for (const cell of [...seen, states.reduce((a, b) => rule.merge(a, b).cell)]) {
          const operations = liveValues(cell).map(value => value.operation)
          expect(new Set(operations).size).toBe(operations.length)
        }
      }),
    )
  })
})

describe('a row overwritten more often than a cell remembers', () => {
  const cellOf = (stamp: number, superseded: readonly OperationId[]): Cell => ({
    context: [{ actor: actors[0]!, intervals: [1, stamp] }],
    values: [],
    superseded,
  })
  const operations = fc
    .uniqueArray(fc.nat(999), { maxLength: limits.supersededMax })
    .map(numbers => numbers.map(operation).sort())

  it('keeps the newest, whatever the order of merging', () => {
    fc.assert(
      fc.property(operations, operations, operations, (x, y, z) => {
        const [a, b, c] = [cellOf(1, x), cellOf(2, y), cellOf(3, z)]
        const left = mergeCells(mergeCells(a, b), c)
        expect(left).toEqual(mergeCells(a, mergeCells(c, b)))
        expect(left).toEqual(mergeCells(left, b))
        const all = [...new Set([...x, ...y, ...z])].sort()
        expect(left.superseded).toEqual(all.slice(-limits.supersededMax))
      }),
    )
  })
})

describe('nothing is dropped in silence', () => {
  /** Oracle: remembers of each write what it had really seen, and asks whether something that saw it replaced it. */
  it.each([
    'siblings',
    'lww',
  ])('under %s every write is visible, seen by its replacement, or discarded', kind => {
    const rule = conflictRule(kind)
    fc.assert(
      fc.property(fc.array(step, { maxLength: 24 }), steps => {
        const states: Cell[] = Array.from({ length: REPLICAS }, () => emptyCell)
        const ledger = new Set<number>()
        const written = new Map<number, number>()
        const sawDots: { stamp: number; saw: Set<number> }[] = []
        let clock = 100
        for (const s of steps) {
          if (s.kind === 'forget') continue
          if (s.kind === 'merge') {
            const result = rule.merge(states[s.replica]!, states[s.from]!)
            states[s.replica] = result.cell
            for (const loser of result.discarded) ledger.add(loser.stamp)
            continue
          }
          clock += 3
          const base = states[s.replica]!
          const source = s.knows === 'other' ? states[(s.replica + 1) % REPLICAS]! : base
          const told = s.knows === 'nothing' ? undefined : seenOf(source)
          const seenHere = told?.context ?? (kind === 'lww' || s.kind === 'delete' ? base.context : [])
          const saw = new Set(
            [...written.keys()].filter(stamp =>
              contextHas(seenHere, actorOf(written.get(stamp)!), stamp as Stamp),
            ),
          )
          sawDots.push({ stamp: clock, saw })
          written.set(clock, s.replica)
          const write = {
            operation: operation(1_000 + clock),
            value: s.kind === 'put' ? document(s.value) : undefined,
            seen: told,
          }
          const result = rule.write(
            base,
            write,
            { actor: actors[s.replica]!, stamp: clock as Stamp },
            0 as Stamp,
          )
          states[s.replica] = result.cell
          for (const loser of result.discarded) ledger.add(loser.stamp)
        }
        const final = states.reduce((a, b) => {
          const result = rule.merge(a, b)
          for (const loser of result.discarded) ledger.add(loser.stamp)
          return result.cell
        })
        const visible = new Set(final.values.map(value => value.stamp as number))
        for (const stamp of written.keys()) {
          const superseded = sawDots.some(other => other.saw.has(stamp))
          const isDelete = kind === 'siblings' && !visible.has(stamp) && !superseded && !ledger.has(stamp)
          const wasPut = steps.length > 0 && putStamps(steps).has(stamp)
          if (isDelete) expect(wasPut, `write ${stamp} vanished`).toBe(false)
          else
            expect(visible.has(stamp) || superseded || ledger.has(stamp), `write ${stamp} vanished`).toBe(
              true,
            )
        }
        expect(contextCovers(final.context, states[0]!.context)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  const actorOf = (replica: number): Incarnation => actors[replica]!

  function putStamps(steps: readonly Step[]): Set<number> {
    const puts = new Set<number>()
    let clock = 100
    for (const s of steps) {
      if (s.kind === 'merge' || s.kind === 'forget') continue
      clock += 3
      if (s.kind === 'put') puts.add(clock)
    }
    return puts
  }

  it('a coordinator that lost its memory does not claim what it forgot', () => {
    const rule = conflictRule('siblings')
    const put = (cell: Cell, n: number, stamp: number, memoryFrom: number): Cell =>
      rule.write(
        cell,
        { operation: operation(n), value: document(n), seen: undefined },
        { actor: actors[0]!, stamp: stamp as Stamp },
        memoryFrom as Stamp,
      ).cell
    const first = put(emptyCell, 1, 10, 0)
    // Write 2 travelled to a peer, was acknowledged there, and this coordinator crashed before its own sync.
    const travelled = put(first, 2, 20, 0)
    const afterCrash = put(first, 3, 30, 25)
    const both = rule.merge(travelled, afterCrash).cell
    expect(rule.read(both).map(value => (decodeDocument(value) as { n: number }).n)).toEqual([1, 2, 3])
    const claimed = put(first, 3, 30, 0)
    expect(rule.read(rule.merge(travelled, claimed).cell)).toHaveLength(2)
  })
})
