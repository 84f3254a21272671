import { describe, expect, it } from 'vitest'
import { checkLinearizability, type Operation, type SequentialModel } from './linearizability.ts'

type Input = { key: string; kind: 'read' } | { key: string; kind: 'write'; value: number }
type Output = number

const register: SequentialModel<number, Input, Output> = {
  init: () => 0,
  step: (state, input, output) =>
    input.kind === 'write' ? [true, input.value] : [output === undefined || output === state, state],
  key: String,
}

const write = (value: number, call: number, end?: number, key = 'x'): Operation<Input, Output> => ({
  input: { key, kind: 'write', value },
  output: undefined,
  call,
  return: end,
})
const read = (value: number, call: number, end: number, key = 'x'): Operation<Input, Output> => ({
  input: { key, kind: 'read' },
  output: value,
  call,
  return: end,
})
const verdict = (history: Operation<Input, Output>[], visitedMax = 100_000) =>
  checkLinearizability(register, history, input => input.key, { visitedMax }).verdict

/** Every subset of open operations, every order: obviously right, and slow. */
function oracle(history: readonly Operation<Input, Output>[]): boolean {
  const search = (left: readonly Operation<Input, Output>[], state: number): boolean => {
    const mustReturn = left.filter(operation => operation.return !== undefined)
    if (mustReturn.length === 0) return true
    return left.some(operation => {
      if (mustReturn.some(other => other !== operation && other.return! < operation.call)) return false
      const [ok, after] = register.step(state, operation.input, operation.output)
      return (
        ok &&
        search(
          left.filter(other => other !== operation),
          after,
        )
      )
    })
  }
  return search(history, 0)
}

describe('linearizability checker', () => {
  it('accepts an empty and a sequential history', () => {
    expect(verdict([])).toBe('linearizable')
    expect(verdict([write(1, 0, 1), read(1, 2, 3)])).toBe('linearizable')
  })

  it('rejects a stale read', () => {
    expect(verdict([write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)])).toBe('violation')
  })

  it('rejects a read that goes back', () => {
    expect(verdict([write(1, 0, 10), read(1, 1, 2), read(0, 3, 4)])).toBe('violation')
  })

  it('rejects a value from the future and one from nowhere', () => {
    expect(verdict([read(1, 0, 1), write(1, 2, 3)])).toBe('violation')
    expect(verdict([read(7, 0, 1)])).toBe('violation')
  })

  it('lets concurrent operations go in either order, but in one order for everybody', () => {
    expect(verdict([write(1, 0, 10), write(2, 0, 10), read(1, 11, 12)])).toBe('linearizable')
    expect(verdict([write(1, 0, 10), write(2, 0, 10), read(1, 11, 12), read(2, 13, 14)])).toBe('violation')
  })

  it('keeps unknown outcomes open to the end: late, or never', () => {
    expect(verdict([write(1, 0), read(0, 1, 2), read(1, 100, 101)])).toBe('linearizable')
    expect(verdict([write(1, 0), read(0, 1, 2), read(0, 100, 101)])).toBe('linearizable')
    expect(verdict([write(1, 0), read(1, 1, 2), read(0, 3, 4)])).toBe('violation')
  })

  it('splits by key', () => {
    expect(verdict([write(1, 0, 1, 'a'), read(0, 2, 3, 'b'), read(1, 2, 3, 'a')])).toBe('linearizable')
    const bad = checkLinearizability(
      register,
      [write(1, 0, 1, 'a'), read(0, 2, 3, 'b'), read(0, 2, 3, 'a')],
      input => input.key,
    )
    expect(bad).toMatchObject({ verdict: 'violation', key: 'a', longest: [{ call: 0 }] })
  })

  it('says so when it gives up', () => {
    const many = Array.from({ length: 16 }, (_, i) => write(i, 0, 100))
    expect(verdict([...many, read(99, 101, 102)], 50)).toBe('undecided')
  })

  it('agrees with the brute-force oracle on random small histories', () => {
    let seed = 12345
    const below = (bound: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return Math.floor((seed / 2 ** 32) * bound)
    }
    let violations = 0
    for (let round = 0; round < 4000; round++) {
      const history = Array.from({ length: 2 + below(5) }, () => {
        const call = below(12) * 2
        const end = call + 1 + below(6) * 2
        if (below(2) === 0) return read(below(3), call, end)
        return write(1 + below(2), call, below(4) === 0 ? undefined : end)
      })
      const expected = oracle(history) ? 'linearizable' : 'violation'
      if (expected === 'violation') violations++
      expect(verdict(history), JSON.stringify(history)).toBe(expected)
    }
    expect(violations).toBeGreaterThan(500)
    expect(violations).toBeLessThan(3500)
  })
})
