/** Registers are linearizable: the general checker with the model of one cell. */

import type { RegisterInput, RegisterOperation, RegisterOutput } from '../workloads/register-clients.ts'
import type { Violation } from './evidence.ts'
import { checkLinearizability, type SequentialModel } from './linearizability.ts'

export const cellModel: SequentialModel<string, RegisterInput, RegisterOutput> = {
  init: () => '',
  step: (state, input, output) => {
    const foundRight = output?.found === undefined || output.found === state
    if (input.kind === 'read') return [foundRight, state]
    const applies = input.kind === 'swap' || state === input.expected
    const after = applies ? input.value : state
    // Unknown outcome: it may also do nothing, which leaving it out of the order covers.
    if (output === undefined) return [true, after]
    return [foundRight && output.ok === applies, after]
  },
  key: state => state,
}

export function checkRegisters(history: readonly RegisterOperation[]): Violation[] {
  // A read that heard nothing constrains nothing.
  const relevant = history.filter(
    operation => operation.input.kind !== 'read' || operation.output !== undefined,
  )
  const result = checkLinearizability(cellModel, relevant, input => input.key)
  if (result.verdict !== 'violation') return []
  const tail = result.operations
    .slice(-12)
    .map(
      op =>
        `${op.call.toFixed(1)}–${op.return?.toFixed(1) ?? '?'} ${JSON.stringify(op.input)} -> ${JSON.stringify(op.output)}`,
    )
  return [{ checker: 'registers', message: `${result.key} is not linearizable:\n  ${tail.join('\n  ')}` }]
}
