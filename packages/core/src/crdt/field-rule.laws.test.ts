/** Fields that merge by themselves, over states that writes, retries, merges and settling can really reach, against models. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyUpdate, Doc, encodeStateAsUpdate } from 'yjs'
import { isQuorateError } from '../base/errors.ts'
import type { Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { type Cell, emptyCell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import { seenBy, type WriteOperation } from '../cells/conflict-rule.ts'
import { type Document, decodeDocument } from '../cells/document.ts'
import { type Seen, seenOf } from '../cells/superseded.ts'
import { assertFieldKey, decodeFieldKey, encodeFieldKey } from './field-key.ts'
import { fieldRule } from './field-rule.ts'
import { checkFields } from './fields.ts'
import { checkMergeSteps, encodeFieldStep, type FieldStep, operationOfStep } from './steps.ts'

const REPLICAS = 3
const WRITES = 8
const actors = ['actor-A0', 'actor-B0', 'actor-C0'] as string[] as Incarnation[]
const operation = (n: number): OperationId => String(n).padStart(16, '0') as OperationId
const nothing = 0 as Stamp
const gathering = fieldRule.gathering!
const allTogether = (cell: Cell): Cell => gathering.putTogether(cell, LATEST, LATEST) ?? cell
const LATEST = Number.MAX_SAFE_INTEGER as Stamp

type Kind = 'counter' | 'or-set' | 'lww' | 'document'

type Act =
  | { readonly kind: 'write'; readonly replica: number; readonly write: number }
  /** Takes away at one replica what another shows. */
  | { readonly kind: 'take'; readonly replica: number; readonly from: number }
  | { readonly kind: 'merge'; readonly replica: number; readonly from: number }
  /** As after a crash before its sync: it no longer remembers all it has written. */
  | { readonly kind: 'forget'; readonly replica: number }
  /** All have all, and nobody tries anything again that was tried so far … */
  | { readonly kind: 'settle' }
  /** … and one puts it together, now or later, unless it has changed meanwhile. */
  | { readonly kind: 'together'; readonly replica: number }

interface Scenario {
  readonly kind: Kind
  readonly by: readonly number[]
  readonly acts: readonly Act[]
}

const replica = fc.nat(REPLICAS - 1)
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('write' as const), replica, write: fc.nat(WRITES - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('take' as const), replica, from: replica }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('merge' as const), replica, from: replica }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), replica }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'settle' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('together' as const), replica }) },
)
const scenario: fc.Arbitrary<Scenario> = fc.record({
  kind: fc.constantFrom<Kind>('counter', 'or-set', 'lww', 'document'),
  by: fc.array(fc.integer({ min: -5, max: 5 }), { minLength: WRITES, maxLength: WRITES }),
  acts: fc.array(act, { maxLength: 50 }),
})

/** Which operations put something in, and which of these somebody took away who was shown them: sets that only grow. */
interface Model {
  readonly put: Set<number>
  readonly gone: Set<number>
}

/** One word each, of a writer of its own. */
function updateOf(write: number): Uint8Array {
  const doc = new Doc()
  doc.clientID = write + 1
  doc.getMap('words').set(`word-${write}`, true)
  return encodeStateAsUpdate(doc)
}
const updates = Array.from({ length: WRITES }, (_, write) => updateOf(write))

function wordsOf(cell: Cell): string[] {
  const doc = new Doc()
  for (const value of fieldRule.read(cell)) applyUpdate(doc, decodeDocument(value) as Uint8Array)
  return [...doc.getMap('words').keys()].sort()
}

function stepOf(kind: Kind, by: number, write: number): FieldStep {
  switch (kind) {
    case 'counter':
      return { op: 'increment', by }
    case 'lww':
      return { op: 'set', to: by }
    case 'or-set':
      return { op: 'put' }
    case 'document':
      return { op: 'edit', update: updates[write]! }
  }
}

interface Run {
  readonly states: Cell[]
  readonly seen: Cell[]
  readonly models: Model[]
}

function play({ kind, by, acts }: Scenario): Run {
  let stamp = 100
  const dot = (at: number) => ({ actor: actors[at]!, stamp: ++stamp as Stamp })
  const states: Cell[] = Array.from({ length: REPLICAS }, () => emptyCell)
  const models: Model[] = states.map(() => ({ put: new Set(), gone: new Set() }))
  const memoryFrom = states.map(() => 0)
  const seen: Cell[] = [emptyCell]
  const closed = new Set<number>()
  let agreed: { readonly upTo: Stamp; readonly cell: Cell } | undefined
  let takes = 1_000
  const write = (at: number, name: number, step: FieldStep, shown?: Seen): void => {
    const given: WriteOperation = { operation: operation(name), value: encodeFieldStep(step), seen: shown }
    states[at] = fieldRule.write(states[at], given, dot(at), memoryFrom[at] as Stamp).cell
  }
  const merge = (at: number, from: number): void => {
    states[at] = fieldRule.merge(states[at]!, states[from]!).cell
    for (const name of models[from]!.put) models[at]!.put.add(name)
    for (const name of models[from]!.gone) models[at]!.gone.add(name)
  }
  for (const one of acts) {
    if (one.kind === 'merge') merge(one.replica, one.from)
    else if (one.kind === 'forget') {
      states[one.replica] = emptyCell
      models[one.replica] = { put: new Set(), gone: new Set() }
      memoryFrom[one.replica] = ++stamp
    } else if (one.kind === 'write') {
      if (closed.has(one.write)) continue
      write(one.replica, one.write, stepOf(kind, by[one.write]!, one.write))
      models[one.replica]!.put.add(one.write)
    } else if (one.kind === 'take') {
      const op = kind === 'lww' ? 'unset' : 'take'
      write(one.replica, takes++, { op }, seenOf(states[one.from]!))
      for (const name of models[one.from]!.put) {
        models[one.replica]!.put.add(name)
        models[one.replica]!.gone.add(name)
      }
    } else if (one.kind === 'settle') {
      for (let at = 1; at < REPLICAS; at++) merge(0, at)
      for (let at = 1; at < REPLICAS; at++) merge(at, 0)
      for (const name of models[0]!.put) closed.add(name)
      agreed = { upTo: stamp as Stamp, cell: states[0]! }
    } else if (agreed !== undefined) {
      const cell = states[one.replica]!
      const { upTo } = agreed
      const part = (of: Cell): string => bytes(gathering.upTo(of, upTo))
      if (part(cell) === part(agreed.cell))
        states[one.replica] = gathering.putTogether(cell, upTo, upTo) ?? cell
    }
    seen.push(...states)
  }
  return { states, seen, models }
}

const bytes = (cell: Cell): string => Buffer.from(encodeCell(cell)).toString('hex')
const merged = (a: Cell, b: Cell): Cell => fieldRule.merge(a, b).cell
const shown = (cell: Cell): Document | undefined => {
  const [value] = fieldRule.read(cell)
  return value === undefined ? undefined : decodeDocument(value)
}

describe('a field that merges by itself', () => {
  it('shows on every replica, at any time, what the writes that it knows of say', () => {
    fc.assert(
      fc.property(scenario, given => {
        const { states, models } = play(given)
        for (const [at, cell] of states.entries()) {
          const { put, gone } = models[at]!
          const live = [...put].filter(name => !gone.has(name))
          if (given.kind === 'counter')
            expect(shown(cell) ?? 0).toBe(live.reduce((sum, name) => sum + given.by[name]!, 0))
          else if (given.kind === 'document')
            expect(wordsOf(cell)).toEqual(live.map(name => `word-${name}`).sort())
          else if (given.kind === 'or-set') expect(shown(cell) === true).toBe(live.length > 0)
          // A value that lost to another is not remembered: tried again, it is written anew. So it may be any of them.
          else if (shown(cell) !== undefined)
            expect([...put].map(name => given.by[name])).toContain(shown(cell))
        }
      }),
      { numRuns: 3_000 },
    )
  })

  it('merges in any order to the same bytes', () => {
    fc.assert(
      fc.property(scenario, fc.nat(), fc.nat(), fc.nat(), (given, i, j, k) => {
        const { seen } = play(given)
        const [a, b, c] = [i, j, k].map(at => seen[at % seen.length]!) as [Cell, Cell, Cell]
        expect(bytes(merged(a, b))).toBe(bytes(merged(b, a)))
        expect(bytes(merged(a, a))).toBe(bytes(a))
        expect(bytes(merged(merged(a, b), c))).toBe(bytes(merged(a, merged(b, c))))
        expect(bytes(decodeCell(encodeCell(a)))).toBe(bytes(a))
      }),
      { numRuns: 3_000 },
    )
  })

  it('has nothing twice when it meets what it was long ago', () => {
    fc.assert(
      fc.property(scenario, fc.nat(), (given, i) => {
        // What all have forgotten, an old state brings back.
        const acts = given.acts.filter(({ kind }) => kind !== 'forget')
        const { states, seen } = play({ ...given, acts })
        const all = states.reduce(merged)
        const again = merged(all, seen[i % seen.length]!)
        if (given.kind === 'document') expect(wordsOf(again)).toEqual(wordsOf(all))
        else expect(shown(again)).toEqual(shown(all))
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('one write of a field', () => {
  const write = (base: Cell, n: number, step: FieldStep, seen?: Seen, at = 0) =>
    fieldRule.write(
      base,
      { operation: operation(n), value: encodeFieldStep(step), seen },
      { actor: actors[at]!, stamp: (n + 1) as Stamp },
      nothing,
    )

  it('does not take away without the context of a read, nor with one from before a sum was made', () => {
    const one = write(emptyCell, 1, { op: 'increment', by: 3 }).cell
    const two = write(one, 2, { op: 'increment', by: 4 }).cell
    expect(() => write(two, 3, { op: 'take' })).toThrow('needs the context of a read')
    const together = allTogether(two)
    expect(together.values).toHaveLength(1)
    expect(shown(together)).toBe(7)
    expect(() => write(together, 3, { op: 'take' }, seenOf(one))).toThrow('too old')
    expect(shown(write(together, 3, { op: 'take' }, seenOf(two)).cell)).toBeUndefined()
  })

  it('tells of the loser of two values, and of a repeated operation', () => {
    const a = write(emptyCell, 1, { op: 'set', to: 'x' }).cell
    const b = write(emptyCell, 2, { op: 'set', to: 'y' }, undefined, 1).cell
    const both = fieldRule.merge(a, b)
    expect(shown(both.cell)).toBe('y')
    expect(both.discarded.map(value => value.operation)).toEqual([operation(1)])
    expect(write(a, 1, { op: 'set', to: 'x' }).repeated).toBe(true)
  })

  it('claims to have seen no more than itself, whatever stands beside it', () => {
    let cell = emptyCell
    for (let n = 1; n < 20; n++) cell = write(cell, n, { op: 'increment', by: 1 }, undefined, n % 2).cell
    const last = {
      operation: operation(19),
      value: encodeFieldStep({ op: 'increment', by: 1 }),
      seen: undefined,
    }
    expect(seenBy(fieldRule, last, cell).context).toEqual([{ actor: actors[1], intervals: [20, 20] }])
  })

  it('adds exactly, past what a number holds', () => {
    let cell = emptyCell
    for (let n = 1; n < 4; n++) cell = write(cell, n, { op: 'increment', by: Number.MAX_SAFE_INTEGER }).cell
    expect(shown(cell)).toBe(3n * BigInt(Number.MAX_SAFE_INTEGER))
    expect(shown(allTogether(cell))).toBe(3n * BigInt(Number.MAX_SAFE_INTEGER))
  })
})

const fields = checkFields({
  likes: 'counter',
  on: 'flag',
  tags: 'or-set',
  name: 'lww',
  carts: { of: 'or-set' },
  stats: { fields: { seen: 'counter' } },
})

describe('where a field stands', () => {
  it('is told from its key, and only from the one form of it', () => {
    const element = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.boolean(),
      fc.nat().map(id => ({ id })),
      fc.array(fc.nat(), { maxLength: 3 }),
    )
    fc.assert(
      fc.property(element, fc.string({ minLength: 1 }), (given, name) => {
        fc.pre(!/\p{Surrogate}/u.test(`${JSON.stringify(given)}${name}`) && name !== '__proto__')
        for (const address of [
          { path: ['tags'], element: given as Document },
          { path: ['carts', name], element: given as Document },
          { path: ['stats', 'seen'], element: undefined },
        ]) {
          const key = encodeFieldKey(address)
          const found = assertFieldKey(fields, key)
          expect(found.path).toEqual(address.path)
          expect(found.element).toEqual(address.element)
        }
      }),
    )
  })

  it.each([
    [['tags'], undefined, 'a set is written by its elements'],
    [['likes'], 1, 'likes has no elements'],
    [['other'], undefined, 'other is no field that the table declares'],
    [['stats'], undefined, 'stats is no field that the table declares'],
    [[], undefined, 'nothing is no field'],
  ])('refuses %j %j', (path, element, message) => {
    expect(() => decodeFieldKey(fields, encodeFieldKey({ path, element }))).toThrow(message)
  })
})

describe('what a table declares and what is asked of it', () => {
  it.each([
    [{}, 'conflict.fields declares no field'],
    [
      { likes: 'number' },
      'conflict.fields.likes is none of counter, flag, or-set, lww, document, { fields: … }, { of: … }',
    ],
    [{ a: { of: { of: 1 } } }, 'conflict.fields.a.of.of is none of'],
    [[], 'conflict.fields is an object'],
  ])('refuses fields %j', (given, message) => {
    expect(() => checkFields(given)).toThrow(message)
  })

  it.each([
    [{ op: 'increment', path: ['likes'], by: 'x' }, 'likes: is incremented by a whole number, not by "x"'],
    [
      { op: 'increment', path: ['likes'], by: Number.NaN },
      'likes: is incremented by a whole number, not by NaN',
    ],
    [{ op: 'increment', path: ['likes'], by: 0.5 }, 'likes: is incremented by a whole number, not by 0.5'],
    [{ op: 'add', path: ['likes'], element: 1 }, 'likes: is a counter; add is of a or-set'],
    [{ op: 'add', path: ['tags'] }, 'tags: needs a value'],
    [{ op: 'set', path: ['other'], to: 1 }, 'other: is no field that the table declares'],
    [{ op: 'enable', path: ['stats'] }, 'stats: is a map; enable is of a flag'],
    [{ op: 'swap', path: ['on'] }, 'on: "swap" is no step'],
    [{ op: 'enable', path: ['on'], by: 1 }, '"by" is not known here'],
  ])('refuses the step %j', (given, message) => {
    try {
      checkMergeSteps(fields, [given])
      expect.unreachable()
    } catch (error) {
      expect(isQuorateError(error) && error.code).toBe('BAD_REQUEST')
      expect((error as Error).message).toContain(message)
    }
  })

  it('names the steps of a call apart, and alike in every try', () => {
    const name = operation(7)
    const names = Array.from({ length: 100 }, (_, at) => operationOfStep(name, at))
    expect(new Set(names).size).toBe(100)
    expect(operationOfStep(name, 3)).toBe(names[3])
    expect(names[0]).toBe(name)
  })
})
