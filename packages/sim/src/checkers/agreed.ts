/** Rows that are agreed on, against one row in one place: reads, puts, swaps, counting up and deletes. */

import type { AgreedInput, AgreedOperation, AgreedOutput } from '../workloads/agreed-clients.ts'
import type { Violation } from './evidence.ts'
import { checkLinearizability, type SequentialModel } from './linearizability.ts'

/** Undefined: there is no row. */
type State = number | undefined

const model: SequentialModel<State, AgreedInput, AgreedOutput> = {
  init: () => undefined,
  step(state, input, output) {
    switch (input.kind) {
      case 'read':
        return [output === undefined || output.value === state, state]
      case 'put':
        return [true, input.value]
      case 'swap': {
        const applies = state === input.from
        if (output !== undefined && output.applied !== applies) return [false, state]
        return [true, applies ? input.to : state]
      }
      case 'increment':
        return [true, (state ?? 0) + 1]
      case 'delete':
        return [true, undefined]
    }
  },
  key: state => String(state),
}

export function checkAgreed(history: readonly AgreedOperation[]): Violation[] {
  // What certainly did nothing is in no order.
  const operations = history
    .filter(({ failed }) => !failed)
    .filter(({ input, output }) => input.kind !== 'read' || output !== undefined)
  const result = checkLinearizability(model, operations, ({ key }) => key)
  if (result.verdict !== 'violation') return []
  const told = result.operations
    .slice(Math.max(0, result.longest.length - 6), result.longest.length + 8)
    .map(
      ({ input, output, call, return: end }) =>
        `${input.kind}${'value' in input ? ` ${input.value}` : 'from' in input ? ` ${input.from}→${input.to}` : ''} ${call.toFixed(0)}–${end?.toFixed(0) ?? '?'}: ${output === undefined ? 'unknown' : input.kind === 'read' ? String(output.value) : output.applied}`,
    )
  return [
    {
      checker: 'agreed-rows',
      message: `${result.key} is not linearizable: of ${result.operations.length} operations no order gets past ${result.longest.length}; around there: ${told.join('; ')}`,
    },
  ]
}
