/** Rows that merge by themselves, over states that steps, retries and merges can really reach, against models. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isQuorateError } from '../base/errors.ts'
import type { Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { type Cell, type Dot, emptyCell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import { checkFields } from './fields.ts'
import { applySteps, mergeRows, operationOfStep, readRow, settle } from './merging-row.ts'
import { checkMergeSteps, type MergeStep } from './steps.ts'

const fields = checkFields({
  likes: 'counter',
  on: 'flag',
  tags: 'or-set',
  name: 'lww',
  carts: { of: 'or-set' },
  stats: { fields: { seen: 'counter' } },
})

const REPLICAS = 3
const actors = ['actor-A0', 'actor-B0', 'actor-C0'] as string[] as Incarnation[]
const operation = (n: number): OperationId => String(n).padStart(16, '0') as OperationId
const nothing = 0 as Stamp

const mergeStep: fc.Arbitrary<MergeStep> = fc.oneof(
  fc.record({
    op: fc.constant('increment' as const),
    path: fc.constantFrom(['likes'], ['stats', 'seen']),
    by: fc.integer({ min: -3, max: 3 }),
  }),
  fc.record({
    op: fc.constantFrom('enable' as const, 'disable' as const),
    path: fc.constant(['on']),
  }),
  fc.record({
    op: fc.constantFrom('add' as const, 'add' as const, 'remove' as const),
    path: fc.constantFrom(['tags'], ['carts', 'ann'], ['carts', 'bob']),
    element: fc.constantFrom('milk', 'eggs', { id: 1 }),
  }),
  fc.record({ op: fc.constant('set' as const), path: fc.constant(['name']), to: fc.nat(5) }),
  fc.record({
    op: fc.constant('clear' as const),
    path: fc.constantFrom(['tags'], ['carts'], ['carts', 'ann'], ['on']),
  }),
)

type Act =
  | { readonly kind: 'write'; readonly replica: number; readonly write: number }
  | { readonly kind: 'merge'; readonly replica: number; readonly from: number }

interface Scenario {
  readonly writes: readonly (readonly MergeStep[])[]
  readonly acts: readonly Act[]
}

const replica = fc.nat(REPLICAS - 1)
/** The same write may come to several replicas, or twice to one. */
const scenario: fc.Arbitrary<Scenario> = fc.record({
  writes: fc.array(fc.array(mergeStep, { minLength: 1, maxLength: 3 }), { minLength: 8, maxLength: 8 }),
  acts: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('write' as const), replica, write: fc.nat(7) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('merge' as const), replica, from: replica }) },
    ),
    { maxLength: 40 },
  ),
})

/**
 * What is there, by operation: those that put something in, and those that were removed by someone who was shown them.
 * Two sets that only grow, and so merge by union.
 */
interface Model {
  readonly put: Map<OperationId, { readonly path: string; readonly what: string; readonly step: MergeStep }>
  readonly gone: Set<OperationId>
  readonly added: Map<OperationId, MergeStep & { op: 'increment' }>
}

const newModel = (): Model => ({ put: new Map(), gone: new Set(), added: new Map() })

function applyToModel(model: Model, write: OperationId, steps: readonly MergeStep[]): void {
  for (const [at, step] of steps.entries()) {
    const name = operationOfStep(write, at)
    if (step.op === 'increment') {
      model.added.set(name, step)
      continue
    }
    if (model.put.has(name) || model.gone.has(name)) continue
    const path = step.path.join('.')
    const what = step.op === 'add' || step.op === 'remove' ? JSON.stringify(step.element) : ''
    if (step.op === 'add' || step.op === 'enable' || step.op === 'set') {
      model.put.set(name, { path, what, step })
      continue
    }
    for (const [other, { path: where, what: same }] of model.put) {
      const isBelow = step.op === 'clear' && `${where}.`.startsWith(`${path}.`)
      if (isBelow || (where === path && same === what)) model.gone.add(other)
    }
  }
}

function uniteModels(to: Model, from: Model): void {
  for (const [name, put] of from.put) to.put.set(name, put)
  for (const name of from.gone) to.gone.add(name)
  for (const [name, step] of from.added) to.added.set(name, step)
}

interface Run {
  readonly states: Cell[]
  readonly seen: Cell[]
  readonly models: Model[]
  readonly mint: (replica: number) => Dot
}

function play({ writes, acts }: Scenario): Run {
  let stamp = 100
  const mint = (at: number): Dot => ({ actor: actors[at]!, stamp: ++stamp as Stamp })
  const states: Cell[] = Array.from({ length: REPLICAS }, () => emptyCell)
  const models = Array.from({ length: REPLICAS }, newModel)
  const seen: Cell[] = [emptyCell]
  for (const act of acts) {
    const at = act.replica
    if (act.kind === 'merge') {
      states[at] = mergeRows(states[at]!, states[act.from]!).cell
      uniteModels(models[at]!, models[act.from]!)
    } else {
      const steps = writes[act.write]!
      states[at] = applySteps(
        states[at],
        { operation: operation(act.write * 100), steps },
        () => mint(at),
        nothing,
      ).cell
      applyToModel(models[at]!, operation(act.write * 100), steps)
    }
    seen.push(states[at]!)
  }
  return { states, seen, models, mint }
}

const bytes = (cell: Cell): string => Buffer.from(encodeCell(cell)).toString('hex')
const merged = (a: Cell, b: Cell): Cell => mergeRows(a, b).cell

const liveOf = ({ put, gone }: Model, path: string): MergeStep[] =>
  [...put].flatMap(([name, one]) => (one.path === path && !gone.has(name) ? [one.step] : []))

function expectAsModelled(cell: Cell, model: Model): void {
  const row = readRow(fields, cell)
  const total = (path: string): number =>
    [...model.added.values()].reduce((sum, step) => (step.path.join('.') === path ? sum + step.by : sum), 0)
  const setOf = (path: string): string[] =>
    [
      ...new Set(
        liveOf(model, path).flatMap(step => (step.op === 'add' ? [JSON.stringify(step.element)] : [])),
      ),
    ].sort()
  const shown = (set: unknown): string[] =>
    [...((set as ReadonlySet<unknown> | undefined) ?? [])].map(one => JSON.stringify(one)).sort()
  expect(row?.likes ?? 0).toBe(total('likes'))
  expect((row?.stats as { seen?: number } | undefined)?.seen ?? 0).toBe(total('stats.seen'))
  expect(row?.on ?? false).toBe(liveOf(model, 'on').length > 0)
  expect(shown(row?.tags)).toEqual(setOf('tags'))
  const carts = (row?.carts ?? {}) as Record<string, unknown>
  for (const name of ['ann', 'bob']) expect(shown(carts[name])).toEqual(setOf(`carts.${name}`))
  // A value that lost to another is not remembered: tried again, it is written anew. So it may be any that was set.
  const names = [...model.put.values()].flatMap(({ step }) => (step.op === 'set' ? [step.to] : []))
  if (names.length === 0) expect(row?.name).toBeUndefined()
  else expect(names).toContain(row?.name)
}

describe('rows that merge by themselves', () => {
  it('show on every replica, at any time, what the steps that it knows of say', () => {
    fc.assert(
      fc.property(scenario, given => {
        const { states, models } = play(given)
        for (const [at, cell] of states.entries()) expectAsModelled(cell, models[at]!)
      }),
      { numRuns: 400 },
    )
  })

  it('merge in any order to the same bytes', () => {
    fc.assert(
      fc.property(scenario, fc.nat(), fc.nat(), fc.nat(), (given, i, j, k) => {
        const { seen } = play(given)
        const [a, b, c] = [i, j, k].map(at => seen[at % seen.length]!) as [Cell, Cell, Cell]
        expect(bytes(merged(a, b))).toBe(bytes(merged(b, a)))
        expect(bytes(merged(a, a))).toBe(bytes(a))
        expect(bytes(merged(merged(a, b), c))).toBe(bytes(merged(a, merged(b, c))))
        expect(bytes(decodeCell(encodeCell(a)))).toBe(bytes(a))
      }),
      { numRuns: 400 },
    )
  })

  it('count an addition once, also after what is settled is summed', () => {
    fc.assert(
      fc.property(scenario, given => {
        const { states, models, mint } = play(given)
        const whole = newModel()
        for (const model of models) uniteModels(whole, model)
        let all = states.reduce(merged)
        // Everyone has everything; of two that took one write, only additions of one are settled.
        const takers = new Map<OperationId, Set<Incarnation>>()
        for (const act of given.acts)
          if (act.kind === 'write')
            for (const at of given.writes[act.write]!.keys()) {
              const name = operationOfStep(operation(act.write * 100), at)
              takers.set(name, (takers.get(name) ?? new Set()).add(actors[act.replica]!))
            }
        const isSettled = (name: OperationId): boolean => takers.get(name)?.size === 1
        const before = readRow(fields, all)
        for (const [at, actor] of actors.entries())
          all = settle(all, actor, isSettled, () => mint(at), nothing) ?? all
        expect(readRow(fields, all)?.likes ?? 0).toBe(
          [...whole.added.values()].reduce((sum, { path, by }) => (path[0] === 'likes' ? sum + by : sum), 0),
        )
        expect(readRow(fields, all)).toEqual(before)
        // Who merges with what he had before has nothing twice.
        for (const state of states) expect(bytes(merged(state, all))).toBe(bytes(all))
      }),
      { numRuns: 200 },
    )
  })

  it('keep an addition that a removal has not seen, and the loser of two values for the ledger', () => {
    const mint = (stamp: number, at: number) => (): Dot => ({ actor: actors[at]!, stamp: stamp as Stamp })
    const step = (given: unknown): readonly MergeStep[] => checkMergeSteps(fields, [given])
    const add = { op: 'add', path: ['tags'], element: 'milk' }
    const a = applySteps(emptyCell, { operation: operation(1), steps: step(add) }, mint(1, 0), nothing).cell
    const again = applySteps(a, { operation: operation(2), steps: step(add) }, mint(2, 0), nothing).cell
    const removed = applySteps(
      a,
      { operation: operation(3), steps: step({ op: 'remove', path: ['tags'], element: 'milk' }) },
      mint(3, 1),
      nothing,
    ).cell
    expect(readRow(fields, removed)).toBeUndefined()
    expect(readRow(fields, merged(again, removed))?.tags).toEqual(new Set(['milk']))
    const set = (to: number, n: number, at: number): Cell =>
      applySteps(
        emptyCell,
        { operation: operation(n), steps: step({ op: 'set', path: ['name'], to }) },
        mint(n, at),
        nothing,
      ).cell
    const { cell, discarded } = mergeRows(set(1, 10, 0), set(2, 11, 1))
    expect(readRow(fields, cell)?.name).toBe(2)
    expect(discarded).toHaveLength(1)
  })
})

it('two additions that came to two replicas in either order do not take each other away', () => {
  const steps = checkMergeSteps(fields, [{ op: 'add', path: ['tags'], element: 'milk' }])
  let stamp = 0
  const add = (cell: Cell, at: number, n: number): Cell =>
    applySteps(
      cell,
      { operation: operation(n), steps },
      () => ({ actor: actors[at]!, stamp: ++stamp as Stamp }),
      nothing,
    ).cell
  const [a, b] = [add(add(emptyCell, 0, 1), 0, 2), add(add(emptyCell, 1, 2), 1, 1)]
  expect(readRow(fields, merged(a, b))?.tags).toEqual(new Set(['milk']))
})

describe('what a table declares and what is asked of it', () => {
  it.each([
    [{}, 'conflict.fields declares no field'],
    [
      { likes: 'number' },
      'conflict.fields.likes is none of counter, flag, or-set, lww, { fields: … }, { of: … }',
    ],
    [{ a: { of: { of: 1 } } }, 'conflict.fields.a.of.of is none of'],
    [[], 'conflict.fields is an object'],
  ])('refuses fields %j', (given, message) => {
    expect(() => checkFields(given)).toThrow(message)
  })

  it.each([
    [{ op: 'increment', path: ['likes'], by: 'x' }, 'likes: is incremented by a finite number'],
    [{ op: 'increment', path: ['likes'], by: Number.NaN }, 'likes: is incremented by a finite number'],
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
})
