import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Document } from '../cells/document.ts'
import { applyUpdate, type CallSource, callsOf, freezeUpdate } from './apply-update.ts'
import { type Condition, checkCondition, holds, sameDocument } from './condition.ts'
import { checkUpdate, type Row, type Update } from './update.ts'

const counting = (): CallSource => {
  let n = 0
  return { now: () => ++n, random: () => ++n / 100, uuid: () => `uuid-${++n}`, id: () => BigInt(++n) }
}

describe('updates', () => {
  const row: Row = { n: 1, big: 5n, list: [1], at: { city: 'Riga' } }
  const update = (...steps: unknown[]): Update => checkUpdate(steps)
  const set = (path: string[], value: Document) => ({ op: 'set', path, to: { value } })

  it('set, increment, append and remove fields, also within maps, and see what the steps before them made', () => {
    const after = applyUpdate(
      row,
      update(
        { op: 'increment', path: ['n'], by: { value: 2 } },
        { op: 'increment', path: ['big'], by: { value: -7n } },
        { op: 'increment', path: ['new', 'count'], by: { field: ['n'] } },
        { op: 'append', path: ['list'], items: [{ value: 2 }, { field: ['n'] }] },
        { op: 'append', path: ['other'], items: [{ value: null }] },
        { op: 'remove', path: ['at', 'city'] },
        { op: 'remove', path: ['none', 'of', 'it'] },
        set(['at', 'country'], 'LV'),
      ),
    )
    expect(after).toEqual({
      n: 3,
      big: -2n,
      new: { count: 3 },
      list: [1, 2, 3],
      other: [null],
      at: { country: 'LV' },
    })
    expect(row).toEqual({ n: 1, big: 5n, list: [1], at: { city: 'Riga' } })
    expect(applyUpdate(undefined, update(set(['a'], 1)))).toEqual({ a: 1 })
  })

  it.each([
    [
      { op: 'increment', path: ['list'], by: { value: 1 } },
      /list: is a list and cannot be incremented by a number/,
    ],
    [
      { op: 'increment', path: ['n'], by: { value: 1n } },
      /n: is a number and cannot be incremented by a bigint/,
    ],
    [{ op: 'increment', path: ['n'], by: { value: 'x' } }, /a number or a bigint is needed/],
    [{ op: 'append', path: ['n'], items: [{ value: 1 }] }, /append needs a list/],
    [set(['n', 'x'], 1), /n is a number, which has no fields/],
    [{ op: 'set', path: ['x'], to: { field: ['y'] } }, /the field y is not there/],
    [{ op: 'set', path: ['x'], to: { call: 'now' } }, /now\(\) must be frozen/],
  ])('are refused by the field, with nothing changed: %#', (step, message) => {
    expect(() => applyUpdate(row, update(set(['n'], 1), step))).toThrow(message)
  })

  it.each([
    [[], /one step or more/],
    ['x', /one step or more/],
    [[{ op: 'drop', path: ['x'] }], /"drop" is no step/],
    [[{ op: 'set', path: [], to: { value: 1 } }], /a path is a list/],
    [[{ op: 'set', path: ['__proto__'], to: { value: 1 } }], /a path is a list/],
    [[{ op: 'set', path: ['x'], to: { value: 1, field: ['y'] } }], /an operand is/],
    [[{ op: 'set', path: ['x'], to: { call: 'eval' } }], /"eval" is no call: now, random, uuid, id/],
    [[{ op: 'set', path: ['x'], to: { value: 1 }, if: 1 }], /"if" is not known here/],
    [[{ op: 'append', path: ['x'], items: [] }], /items is a list/],
  ])('of no known form are refused: %#', (given, message) => {
    expect(() => checkUpdate(given)).toThrow(message)
  })

  it('are the same wherever they are applied once they are frozen; each call is made once', () => {
    const steps = update(
      { op: 'set', path: ['at'], to: { call: 'now' } },
      { op: 'append', path: ['ids'], items: [{ call: 'id' }, { call: 'uuid' }] },
      { op: 'increment', path: ['r'], by: { call: 'random' } },
    )
    expect(callsOf(steps)).toEqual(['now', 'id', 'uuid', 'random'])
    const source = counting()
    const frozen = freezeUpdate(steps, source)
    expect(callsOf(frozen)).toEqual([])
    expect(applyUpdate({}, frozen)).toEqual({ at: 1, ids: [2n, 'uuid-3'], r: 0.04 })
    expect(applyUpdate({}, frozen)).toEqual(applyUpdate({}, frozen))
    expect(source.now()).toBe(5)
    // Not frozen, two replicas that make the calls themselves part.
    expect(freezeUpdate(steps, source)).not.toEqual(frozen)
  })
})

describe('conditions', () => {
  const row: Row = { n: 3, s: 'b', big: 10n, list: [1, { x: new Set(['a']) }], none: null, nan: Number.NaN }
  const cases: [Condition, boolean][] = [
    [{ exists: true }, true],
    [{ exists: false }, false],
    [{ has: ['none'] }, true],
    [{ has: ['list', '0'] }, false],
    [{ equal: ['n'], to: 3 }, true],
    [{ equal: ['n'], to: 3n }, false],
    [{ equal: ['list'], to: [1, { x: new Set(['a']) }] }, true],
    [{ equal: ['nan'], to: Number.NaN }, true],
    [{ equal: ['gone'], to: null }, false],
    [{ less: ['n'], than: 4 }, true],
    [{ less: ['n'], than: 4n }, true],
    [{ less: ['n'], than: 'x' }, false],
    [{ greater: ['big'], than: 9.5 }, true],
    [{ greater: ['s'], than: 'a' }, true],
    [{ greater: ['nan'], than: 0 }, false],
    [{ less: ['gone'], than: 1 }, false],
    [{ all: [{ exists: true }, { equal: ['n'], to: 4 }] }, false],
    [{ any: [{ exists: false }, { equal: ['n'], to: 3 }] }, true],
    [{ not: { has: ['gone'] } }, true],
  ]
  it.each(cases.map((one, at) => [at, ...one] as const))('case %i', (_, condition, expected) => {
    expect(holds(checkCondition(condition), row)).toBe(expected)
  })

  it('hold of no row only where that is meant', () => {
    expect(holds({ exists: false }, undefined)).toBe(true)
    expect(holds({ equal: ['n'], to: 3 }, undefined)).toBe(false)
    expect(holds({ not: { equal: ['n'], to: 3 } }, undefined)).toBe(true)
  })

  it.each([
    [{}, /one of exists/],
    [{ exists: 1 }, /true or false/],
    [{ equal: ['a'] }, /needs "to"/],
    [{ equal: ['a'], to: 1, than: 2 }, /"than" is not known/],
    [{ equal: ['a'], to: () => 1 }, /to/],
    [{ all: [] }, /a list of conditions/],
    [Array.from({ length: 40 }).reduce(inner => ({ not: inner }), { exists: true }), /deep/],
  ])('of no known form are refused: %#', (given, message) => {
    expect(() => checkCondition(given)).toThrow(message)
  })

  it('equality is that of the values, not of the order of fields', () => {
    const value = fc.letrec(tie => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.integer(),
        fc.string(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { noNullPrototype: true }),
      ),
    })).value as fc.Arbitrary<Document>
    const turned = (document: Document): Document =>
      typeof document !== 'object' || document === null || Array.isArray(document)
        ? document
        : Object.fromEntries(Object.entries(document as Row).reverse())
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(sameDocument(a, turned(a))).toBe(true)
        expect(sameDocument(a, b)).toBe(sameDocument(b, a))
        if (JSON.stringify(a) === JSON.stringify(b)) expect(sameDocument(a, b)).toBe(true)
      }),
    )
  })
})
