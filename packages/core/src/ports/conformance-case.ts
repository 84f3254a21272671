/**
 * A conformance suite is a list of cases that every implementation of a port must pass, whatever runs
 * them: a test runner, the simulator, a browser. A case gets a fresh subject from `make`, and throws
 * when a sentence of the port's contract does not hold.
 */

import { assert } from '../base/assert.ts'

export interface ConformanceCase<Subject> {
  /** The sentence of the contract. */
  readonly name: string
  run(make: () => Promise<Subject>): Promise<void>
}

/** Asserts structural equality of plain data, byte arrays included. */
export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [show(actual), show(expected)]
  assert(a === b, `${what}: expected ${b.slice(0, 300)}, got ${a.slice(0, 300)}`)
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (inner instanceof Uint8Array) return `bytes ${[...inner].join(' ')}`
    return inner === undefined ? 'undefined' : inner
  })
}

/** The error `work` rejects with; fails when it resolves. */
export async function rejection(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('the promise should have been rejected')
}
