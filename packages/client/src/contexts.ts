import { joinContextTokens } from '@quorate/core'
import type { ContextToken } from './table-options.ts'

/** One context that has seen what each of several has. */
export function joinContexts(tokens: readonly ContextToken[]): ContextToken {
  return joinContextTokens(tokens)
}
