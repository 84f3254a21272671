import { describe, expect, it } from 'vitest'
import type { Incarnation, OperationId, Stamp } from '../base/ids.ts'
import type { Context } from '../causality/context.ts'
import { encodeCell } from '../cells/cell-codec.ts'
import { type DemandedAnswer, isMet } from './read-demand.ts'

const [a, b] = ['actor00a', 'actor00b'] as Incarnation[]
const of = (actor: Incarnation, from: number, to: number): Context => [{ actor, intervals: [from, to] }]
const value = (actor: Incarnation, stamp: number) => ({
  actor,
  stamp: stamp as Stamp,
  operation: `operation of ${stamp}`.padEnd(16).slice(0, 16) as OperationId,
  value: new Uint8Array([1]),
})

/** A replica's answer: what it has seen of `actor` up to `to`; nothing at all when that is 0. */
const answer = (actor: Incarnation, to: number, over: Partial<DemandedAnswer> = {}): DemandedAnswer => ({
  cell:
    to === 0
      ? undefined
      : encodeCell({ context: of(actor, 1, to), values: [value(actor, to)], superseded: [] }),
  fallback: false,
  collected: 0 as Stamp,
  ...over,
})
const met = (context: Context, ...answers: DemandedAnswer[]): boolean =>
  isMet({ context, homesOnly: false, repairs: false }, answers, 3)

describe('what a session demands of a read', () => {
  it('is met by answers that show it together, newer ones too', () => {
    expect(met([], answer(a!, 0))).toBe(true)
    expect(met(of(a!, 1, 5), answer(a!, 4))).toBe(false)
    expect(met(of(a!, 1, 5), answer(a!, 9))).toBe(true)
    expect(met([...of(a!, 1, 5), ...of(b!, 2, 2)], answer(a!, 5))).toBe(false)
    expect(met([...of(a!, 1, 5), ...of(b!, 2, 2)], answer(a!, 5), answer(b!, 3))).toBe(true)
  })

  it('a greater stamp of another coordinator is not enough', () => {
    expect(met(of(a!, 5, 5), answer(b!, 1_000))).toBe(false)
  })

  const collected = (at: number) => ({ collected: at as Stamp })

  it('what is missing everywhere is excused when it was collected, and no sooner', () => {
    const none = answer(a!, 0)
    const past = answer(a!, 0, collected(5))
    expect(met(of(a!, 1, 5), none, none, none)).toBe(false)
    expect(met(of(a!, 1, 5), past, none, past)).toBe(false)
    expect(met(of(a!, 1, 5), past, past, past)).toBe(true)
    expect(met(of(a!, 1, 5), past, past)).toBe(false)
    expect(met(of(a!, 1, 6), past, past, past)).toBe(false)
    expect(met(of(a!, 1, 5), past, past, answer(a!, 0, { ...collected(5), fallback: true }))).toBe(false)
  })

  it('what came after the collection is demanded still', () => {
    const past = collected(5)
    const later: Context = [{ actor: a!, intervals: [1, 3, 8, 9] }]
    expect(met(later, answer(a!, 0, past), answer(b!, 9, past), answer(a!, 0, past))).toBe(false)
    expect(met(of(a!, 3, 9), answer(a!, 0, past), answer(a!, 9, past), answer(a!, 0, past))).toBe(true)
  })
})
