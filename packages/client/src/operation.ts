/** Names of operations in text: 32 hexadecimal digits. `error.data.operation` of a failed write is one. */

import { hexToString, isQuorateError, type OperationId, QuorateError, stringToHex } from '@quorate/core'

export const operationToHex = (operation: OperationId): string => stringToHex(operation)

/** Throws BAD_REQUEST when the text is no such name. */
export function operationFromHex(text: string): OperationId {
  if (!/^[0-9a-f]{32}$/i.test(text))
    throw new QuorateError('BAD_REQUEST', `an operation id is 32 hexadecimal digits, not "${text}"`)
  return hexToString(text.toLowerCase()) as string as OperationId
}

/** Whoever must repeat a write whose outcome is unknown needs the name of the operation. */
export function withOperation(error: unknown, operation: OperationId): unknown {
  if (!isQuorateError(error) || error.outcome !== 'unknown') return error
  const { code, message, outcome, data, attempts } = error
  return new QuorateError(code, message, {
    outcome,
    data: { ...data, operation: operationToHex(operation) },
    attempts,
    cause: error,
  })
}
