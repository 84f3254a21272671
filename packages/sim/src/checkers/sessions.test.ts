import { describe, expect, it } from 'vitest'
import type { SessionOperation } from '../workloads/session-clients.ts'
import { checkCausalOrder } from './causal-order.ts'
import { checkSessionGuarantees } from './session-guarantees.ts'

let at = 0
type Shown = readonly [key: string, number: number | undefined, saw?: Record<string, number>]
const operation = (
  session: string,
  kind: SessionOperation['kind'],
  values: readonly Shown[],
  outcome: SessionOperation['outcome'] = 'ok',
): SessionOperation => {
  const callMs = ++at
  return {
    session,
    kind,
    callMs,
    returnMs: callMs + 0.5,
    outcome,
    error: undefined,
    values: values.map(([key, number, saw = {}]) => ({ key, number, saw })),
  }
}
const put = (session: string, key: string, number: number, saw: Record<string, number> = {}) =>
  operation(session, 'put', [[key, number, saw]])
const read = (session: string, ...values: Shown[]) => operation(session, 'read', values)

const check = (
  operations: SessionOperation[],
  final: [string, number | undefined][] = [],
  destroyed = false,
) => checkSessionGuarantees({ operations, final: new Map(final), destroyed }).map(({ message }) => message)
const causal = (operations: SessionOperation[]) => checkCausalOrder(operations).map(({ message }) => message)

describe('session guarantees', () => {
  it('read your writes: the write, or a later one', () => {
    expect(check([put('s', 'a', 2), read('s', ['a', 2]), read('s', ['a', 3])])).toEqual([])
    expect(check([put('s', 'a', 2), read('s', ['a', 1])])).toEqual([
      expect.stringContaining('a #2 was written'),
    ])
    expect(check([put('s', 'a', 1), read('s', ['a', undefined])])).toHaveLength(1)
  })

  it('monotonic reads, in one session only', () => {
    expect(check([read('s', ['a', 5]), read('t', ['a', 4])])).toEqual([])
    expect(check([read('s', ['a', 5]), read('s', ['a', 4])])).toEqual([
      expect.stringContaining('a #5 was read'),
    ])
  })

  it('a row that is absent shows a delete that is late enough, and no later value', () => {
    const gone = operation('w', 'delete', [['a', 3]])
    expect(check([put('w', 'a', 2), gone, read('s', ['a', undefined])])).toEqual([])
    expect(check([put('w', 'a', 2), gone, read('s', ['a', 4]), read('s', ['a', undefined])])).toHaveLength(1)
    const late = read('s', ['a', undefined])
    expect(check([read('s', ['a', 2]), late, operation('w', 'delete', [['a', 3]])])).toHaveLength(1)
    const failed = operation('w', 'delete', [['a', 3]], 'failed')
    expect(check([read('s', ['a', 2]), failed, read('s', ['a', undefined])])).toHaveLength(1)
  })

  it('monotonic writes: the last acknowledged one stands in the end, or one after it', () => {
    const two = [put('s', 'a', 1), put('s', 'a', 2)]
    expect(check(two, [['a', 2]])).toEqual([])
    expect(check(two, [['a', 3]])).toEqual([])
    expect(check(two, [['a', 1]])).toEqual([expect.stringContaining('a #2 was acknowledged last')])
    expect(check(two, [['a', undefined]])).toHaveLength(1)
    expect(check(two, [['a', 1]], true)).toEqual([])
  })

  it('what failed, or may have, promises nothing', () => {
    expect(check([operation('s', 'put', [['a', 2]], 'unknown'), read('s', ['a', undefined])])).toEqual([])
  })
})

describe('causal order', () => {
  it('an answer is not shown before its question', () => {
    const answer = read('s', ['answer', 1, { question: 7 }])
    expect(causal([answer, read('s', ['question', 7])])).toEqual([])
    expect(causal([answer, read('t', ['question', 6])])).toEqual([])
    expect(causal([answer, read('s', ['question', 6])])).toEqual([
      expect.stringContaining('answer #1 was caused by question #7'),
    ])
  })

  it('nor beside an older question, in either order', () => {
    expect(causal([read('s', ['question', 6], ['answer', 1, { question: 7 }])])).toHaveLength(1)
    expect(causal([read('s', ['answer', 1, { question: 7 }], ['question', 6])])).toHaveLength(1)
    expect(causal([read('s', ['answer', 1, { question: 7 }], ['question', 8])])).toEqual([])
  })

  it('a question that was deleted since counts as shown, one that is merely missing does not', () => {
    const answer = read('s', ['answer', 1, { question: 7 }])
    expect(causal([answer, read('s', ['question', undefined])])).toHaveLength(1)
    const gone = operation('w', 'delete', [['question', 8]])
    expect(causal([gone, answer, read('s', ['question', undefined])])).toEqual([])
  })
})
