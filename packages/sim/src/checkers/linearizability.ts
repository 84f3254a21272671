/**
 * Is there an order of these operations, respecting real time, in which a sequential object would have
 * answered like this?
 *
 * Mechanism: Wing and Gong's search with Lowe's memoisation: walk the history; linearize any operation
 * called before the first return that is still open; on meeting the return of an operation not yet
 * linearized, go back; never visit (set linearized, state) twice. Histories are split by key first, since
 * linearizability is compositional (P-compositionality).
 * Operations of unknown outcome have no return: they may take effect at any time after their call, or never.
 * Invariants: pure; the answer does not depend on the order in which operations are listed.
 * References: Wing, Gong, "Testing and Verifying Concurrent Objects" (1993); Lowe, "Testing for
 * Linearizability" (2017); Horn, Kroening, "Faster Linearizability Checking via P-Compositionality" (2015).
 */

export interface SequentialModel<State, Input, Output> {
  init(): State
  /** `output` undefined: the outcome is unknown, every answer is right. */
  step(state: State, input: Input, output: Output | undefined): readonly [ok: boolean, state: State]
  /** Equal states, equal keys. */
  key(state: State): string
}

export interface Operation<Input, Output> {
  readonly input: Input
  readonly output: Output | undefined
  /** Any clock, as long as `call < return` and simultaneous events differ or may count as concurrent. */
  readonly call: number
  /** undefined: unknown outcome. */
  readonly return: number | undefined
}

export type LinearizabilityResult<Input, Output> =
  | { readonly verdict: 'linearizable'; readonly visited: number }
  | {
      readonly verdict: 'violation'
      readonly visited: number
      readonly key: string
      /** The operations of that key, in order of call. */
      readonly operations: readonly Operation<Input, Output>[]
      /** Most operations any order got through before none could follow. */
      readonly longest: readonly Operation<Input, Output>[]
    }
  /** The search ended at its bound: neither proved nor refuted. */
  | { readonly verdict: 'undecided'; readonly visited: number; readonly key: string }

export interface LinearizabilityOptions {
  /** Distinct (set, state) pairs visited per key before giving up. */
  readonly visitedMax?: number
}

export function checkLinearizability<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  keyOf: (input: Input) => string,
  options: LinearizabilityOptions = {},
): LinearizabilityResult<Input, Output> {
  const byKey = new Map<string, Operation<Input, Output>[]>()
  for (const operation of history) {
    const key = keyOf(operation.input)
    const list = byKey.get(key)
    if (list === undefined) byKey.set(key, [operation])
    else list.push(operation)
  }
  let visited = 0
  for (const key of [...byKey.keys()].sort()) {
    const operations = byKey.get(key)!.sort((a, b) => a.call - b.call)
    const result = checkOne(model, operations, options.visitedMax ?? 1_000_000)
    visited += result.visited
    if (result.verdict === 'violation') {
      return { verdict: 'violation', visited, key, operations, longest: result.longest }
    }
    if (result.verdict === 'undecided') return { verdict: 'undecided', visited, key }
  }
  return { verdict: 'linearizable', visited }
}

/** A call or a return, in a doubly linked list from which linearized operations are lifted out. */
interface Entry {
  readonly id: number
  readonly isCall: boolean
  /** The return that belongs to a call; undefined while its outcome is unknown. */
  match: Entry | undefined
  previous: Entry | undefined
  next: Entry | undefined
}

interface Checked<Input, Output> {
  readonly verdict: 'linearizable' | 'violation' | 'undecided'
  readonly visited: number
  readonly longest: readonly Operation<Input, Output>[]
}

function checkOne<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  visitedMax: number,
): Checked<Input, Output> {
  const head = linkedEvents(operations)
  let open = operations.filter(operation => operation.return !== undefined).length
  const linearized = new Uint32Array(Math.ceil(operations.length / 32))
  const seen = new Set<string>()
  const stack: { entry: Entry; state: State }[] = []
  let longest: readonly number[] = []
  let state = model.init()
  let entry = head.next
  const result = (verdict: Checked<Input, Output>['verdict']): Checked<Input, Output> => ({
    verdict,
    visited: seen.size,
    longest: longest.map(id => operations[id]!),
  })
  for (;;) {
    if (open === 0) return result('linearizable')
    if (entry?.isCall === true) {
      const operation = operations[entry.id]!
      const [ok, after] = model.step(state, operation.input, operation.output)
      if (ok && visit(seen, linearized, entry.id, model.key(after))) {
        if (seen.size > visitedMax) return result('undecided')
        stack.push({ entry, state })
        state = after
        linearized[entry.id >> 5]! |= 1 << (entry.id & 31)
        if (entry.match !== undefined) open--
        lift(entry)
        entry = head.next
      } else {
        entry = entry.next
      }
      continue
    }
    // A return whose call is not linearized yet, or the end of the list: no order continues this prefix.
    if (stack.length > longest.length) longest = stack.map(step => step.entry.id)
    const last = stack.pop()
    if (last === undefined) return result('violation')
    state = last.state
    linearized[last.entry.id >> 5]! &= ~(1 << (last.entry.id & 31))
    if (last.entry.match !== undefined) open++
    unlift(last.entry)
    entry = last.entry.next
  }
}

/** Marks (linearized + id, state) as visited; false when it was. */
function visit(seen: Set<string>, linearized: Uint32Array, id: number, stateKey: string): boolean {
  linearized[id >> 5]! |= 1 << (id & 31)
  const key = `${linearized.join(',')}|${stateKey}`
  linearized[id >> 5]! &= ~(1 << (id & 31))
  if (seen.has(key)) return false
  seen.add(key)
  return true
}

function linkedEvents<Input, Output>(operations: readonly Operation<Input, Output>[]): Entry {
  const events: { at: number; entry: Entry }[] = []
  operations.forEach((operation, id) => {
    const call: Entry = { id, isCall: true, match: undefined, previous: undefined, next: undefined }
    events.push({ at: operation.call, entry: call })
    if (operation.return === undefined) return
    const done: Entry = { id, isCall: false, match: undefined, previous: undefined, next: undefined }
    call.match = done
    events.push({ at: operation.return, entry: done })
  })
  // At one instant calls come first: then the two operations count as concurrent.
  events.sort((a, b) => a.at - b.at || Number(b.entry.isCall) - Number(a.entry.isCall))
  const head: Entry = { id: -1, isCall: false, match: undefined, previous: undefined, next: undefined }
  let last = head
  for (const { entry } of events) {
    last.next = entry
    entry.previous = last
    last = entry
  }
  return head
}

function lift(call: Entry): void {
  for (const entry of call.match === undefined ? [call] : [call, call.match]) {
    entry.previous!.next = entry.next
    if (entry.next !== undefined) entry.next.previous = entry.previous
  }
}

function unlift(call: Entry): void {
  for (const entry of call.match === undefined ? [call] : [call.match, call]) {
    entry.previous!.next = entry
    if (entry.next !== undefined) entry.next.previous = entry
  }
}
