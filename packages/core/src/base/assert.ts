/**
 * Assertions: statements of what must hold inside. They stay on in production. A failed one stops
 * the node (the composition root exits; the simulator fails the run): going on from a state that
 * the code says is impossible is how data is lost.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
  readonly data: unknown
  constructor(message: string, data?: unknown) {
    super(message)
    this.data = data
  }
}

export function assert(condition: unknown, message: string, data?: unknown): asserts condition {
  if (!condition) throw new AssertionError(message, data)
}

/** For the default branch of an exhaustive switch: the compiler proves it is never reached. */
export function unreachable(value: never, what: string): never {
  throw new AssertionError(`unreachable ${what}`, value)
}

export function assertSafeInteger(value: number, name: string): void {
  if (!Number.isSafeInteger(value)) throw new AssertionError(`${name} must be a safe integer`, value)
}
