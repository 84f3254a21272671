/**
 * A row in parts against the dumb version of it: a set of values, from which a write takes those its writer had
 * been shown. Whoever coordinates a part, in whatever order the steps of writes and their repetitions arrive: what is
 * read is what the set holds.
 */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { encodeKey } from '../base/key-encoding.ts'
import type { TableView } from '../catalog/catalog.ts'
import { keyOfRow, placeOfPart } from '../catalog/catalog.ts'
import { describeTable } from '../catalog/table-descriptor.ts'
import type { Cell } from '../cells/cell.ts'
import { seenAfter } from '../cells/conflict-rule.ts'
import { decodeTokenOfRow, encodeContextToken, joinContextTokens } from '../cells/context-token.ts'
import { siblingsRule } from '../cells/siblings.ts'
import { splitPartOf } from '../partitioning/key-split.ts'
import type { WireReceipt } from '../wire/messages.ts'
import { gatherParts, isGone, joinParts } from './split-read.ts'
import { type PartWrite, runSplitWrite, splitWrite } from './split-write.ts'
import { weakestReceipt } from './weakest-receipt.ts'

const PARTS = 4
const descriptor = describeTable(1, { name: 'hot', key: 'k', hotKeys: { writeParts: PARTS } })
const view = { descriptor, rule: siblingsRule, order: 'hashed' } as TableView
const partitionKey = encodeKey('a')
const sortKey = '' as ByteString
const row = keyOfRow(view, partitionKey, sortKey)
const operation = (n: number): OperationId => String(n).padStart(16, '0') as OperationId
const nodes = ['AAAAAAAA', 'BBBBBBBB'] as Incarnation[]

/** One home per part, all of them on two nodes: each mints stamps for several parts. */
class Model {
  readonly cells: (Cell | undefined)[] = Array.from({ length: PARTS }, () => undefined)
  #stamp = 10

  apply(write: PartWrite, of: OperationId): Uint8Array {
    const { part, value, context } = write
    const seen = context === undefined ? undefined : decodeTokenOfRow(context, row, part)
    const dot = { actor: nodes[part % 2]!, stamp: ++this.#stamp as Stamp }
    const asked = { operation: of, value, seen }
    const { cell } = siblingsRule.write(this.cells[part], asked, dot, 0 as Stamp)
    this.cells[part] = cell
    return encodeContextToken(seenAfter(asked, cell), row, part)
  }

  read() {
    const { values, context } = joinParts(
      this.cells.map((cell, part) => ({ part, cell })),
      row,
    )
    return { values: values.map(bytes => bytes[0]!).sort((a, b) => a - b), context }
  }
}

const step = fc.record({
  kind: fc.constantFrom('put', 'put', 'blind', 'blind', 'delete', 'read', 'again'),
  /** Which of the reads so far the writer builds on. */
  basis: fc.nat(),
})

describe('a row in parts', () => {
  it('holds what a set of values holds from which each write takes what its writer saw', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const model = new Model()
        const oracle = new Set<number>()
        const reads = [{ context: model.read().context, values: [] as number[] }]
        let last: { write: Parameters<typeof splitWrite>[1]; n: number } | undefined
        const apply = (write: Parameters<typeof splitWrite>[1]): Uint8Array => {
          const { first, after } = splitWrite(view, write)
          return joinContextTokens([...first, ...after].map(part => model.apply(part, write.operation)))
        }
        for (const [n, { kind, basis }] of steps.entries()) {
          const seen = reads[basis % reads.length]!
          if (kind === 'read') reads.push(model.read())
          else if (kind === 'again') {
            // A retry of the newest write, when all of it has been applied before.
            if (last !== undefined) apply(last.write)
          } else {
            const value = kind === 'delete' ? undefined : new Uint8Array([n + 1])
            const write = { partitionKey, sortKey, operation: operation(n), value }
            if (kind === 'blind') {
              const part = splitPartOf(write.operation, PARTS)
              model.apply({ part, value, context: undefined }, write.operation)
              oracle.add(n + 1)
              last = undefined
              continue
            }
            const told = { ...write, context: seen.context }
            const context = apply(told)
            for (const gone of seen.values) oracle.delete(gone)
            if (value !== undefined) oracle.add(n + 1)
            reads.push({ context, values: value === undefined ? seen.values : [...seen.values, n + 1] })
            last = { write: told, n }
          }
          expect(model.read().values).toEqual([...oracle].sort((a, b) => a - b))
        }
      }),
      { numRuns: 1_000 },
    )
  })

  it('reads the same whatever the order in which its parts answer', () => {
    const model = new Model()
    for (let n = 0; n < 12; n++)
      model.apply(
        { part: splitPartOf(operation(n), PARTS), value: new Uint8Array([n]), context: undefined },
        operation(n),
      )
    const cells = model.cells.map((cell, part) => ({ part, cell }))
    expect(joinParts([...cells], row).values).toEqual(joinParts([...cells].reverse(), row).values)
  })

  it('a delete without a context goes to every part, one with a context where something was seen', () => {
    const write = { partitionKey, sortKey, operation: operation(1), value: undefined }
    expect(splitWrite(view, write).first.map(({ part }) => part)).toEqual([0, 1, 2, 3])
    const model = new Model()
    model.apply({ part: 2, value: new Uint8Array([1]), context: undefined }, operation(7))
    const { first } = splitWrite(view, { ...write, context: model.read().context })
    expect(new Set(first.map(({ part }) => part))).toEqual(new Set([2, splitPartOf(operation(1), PARTS)]))
  })

  it('parts stand at places of their own, and a token of another row or of a part there is not is refused', () => {
    const places = [0, 1, 2, 3].map(part => placeOfPart(view, { partitionKey, sortKey }, part))
    expect(new Set(places.map(({ key }) => key)).size).toBe(4)
    expect(new Set(places.map(place => place.row))).toEqual(new Set([row]))
    const seen = { context: [{ actor: nodes[0]!, intervals: [1, 2] }], operations: [] }
    const write = { partitionKey, sortKey, operation: operation(1), value: undefined }
    for (const context of [
      encodeContextToken(seen, row, 4),
      encodeContextToken(seen, 'r-other' as ByteString, 1),
    ])
      expect(() => splitWrite(view, { ...write, context })).toThrow(/another row/)
    expect(() => decodeTokenOfRow(encodeContextToken(seen, row, 1), row)).toThrow(/another row/)
  })
})

const receipt = (homes: number, more: Partial<WireReceipt> = {}): WireReceipt => ({
  coordinator: 'n9' as never,
  mapVersion: 1,
  needed: 2,
  replicas: 3,
  homes: Array.from({ length: homes }, (_, i) => `n${i}` as never),
  fallbacks: [],
  hinted: [],
  repaired: [],
  forwarded: false,
  via: [],
  hedged: false,
  log: undefined,
  ...more,
})

const unavailable = (outcome: 'unknown' | 'not-applied'): QuorateError =>
  new QuorateError('UNAVAILABLE', 'too few homes', { outcome })

describe('the steps of a write', () => {
  const self = 'n1' as never
  const model = new Model()
  for (let n = 0; n < 12; n++)
    model.apply({ part: n % PARTS, value: new Uint8Array([n]), context: undefined }, operation(n))
  const { context } = model.read()
  const write = { partitionKey, sortKey, operation: operation(50), value: new Uint8Array([50]), context }
  const own = splitPartOf(write.operation, PARTS)
  const nothing = encodeContextToken({ context: [], operations: [] }, row)
  const reply = { receipt: receipt(2), context: nothing, session: undefined }

  it('nothing is removed before the value is acknowledged', async () => {
    const asked: number[] = []
    const running = runSplitWrite(self, splitWrite(view, write), (part, respond) => {
      asked.push(part.part)
      if (part.part === own) expect(asked).toEqual([own])
      void Promise.resolve().then(() => respond.ok({ ...reply, repeated: false }))
    })
    await expect(running).resolves.toMatchObject({ repeated: false })
    expect([...asked].sort()).toEqual([0, 1, 2, 3])
  })

  it.each([
    ['the value was refused: nothing else is touched', own, 'not-applied', 'not-applied', 1],
    ['whether the value is there is not known: the same', own, 'unknown', 'unknown', 1],
    ['a removal was refused: the value is there', (own + 1) % PARTS, 'not-applied', 'unknown', 4],
  ] as const)('%s', async (_, failing, outcome, expected, count) => {
    let asked = 0
    const error = await runSplitWrite(self, splitWrite(view, write), ({ part }, respond) => {
      asked++
      if (part === failing) respond.fail(unavailable(outcome))
      else respond.ok({ ...reply, repeated: false })
    }).catch((thrown: unknown) => thrown)
    expect(isQuorateError(error) && error.outcome).toBe(expected)
    expect(asked).toBe(count)
  })

  it('what a delete refused everywhere left is what it found', async () => {
    const remove = splitWrite(view, { ...write, value: undefined, context: undefined })
    const error = await runSplitWrite(self, remove, (_, respond) =>
      respond.fail(unavailable('not-applied')),
    ).catch((thrown: unknown) => thrown)
    expect(isQuorateError(error) && error.outcome).toBe('not-applied')
  })
})

describe('the parts that are read', () => {
  it('are read once more when all that there was is gone', async () => {
    const model = new Model()
    const put = model.apply({ part: 1, value: new Uint8Array([1]), context: undefined }, operation(1))
    model.apply({ part: 1, value: undefined, context: put }, operation(2))
    const before = model.cells.slice()
    let reads = 0
    const answers = await gatherParts(PARTS, part => {
      // The value stands in another part before the second time.
      if (reads++ === PARTS)
        model.apply({ part: 3, value: new Uint8Array([2]), context: undefined }, operation(3))
      return Promise.resolve({
        part,
        cell: reads <= PARTS ? before[part] : model.cells[part],
        receipt: receipt(2),
      })
    })
    expect(reads).toBe(2 * PARTS)
    expect(isGone(answers)).toBe(false)
  })

  it('a receipt is that of the part with the fewest copies, with all that was done anywhere', () => {
    const all = [
      receipt(3, { hinted: ['a' as never] }),
      receipt(2, { hinted: ['b' as never], mapVersion: 7 }),
      receipt(3, { hedged: true, hinted: ['a' as never] }),
    ]
    const weakest = weakestReceipt('n1' as never, all)
    expect(weakest).toMatchObject({ coordinator: 'n1', mapVersion: 7, hedged: true, hinted: ['a', 'b'] })
    expect(weakest.homes).toHaveLength(2)
    expect(weakestReceipt('n1' as never, [receipt(2), receipt(2, { replicas: 5 })]).replicas).toBe(5)
  })
})
