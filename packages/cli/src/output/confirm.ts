/** What cannot be taken back is confirmed by typing a name; without a terminal only --yes will do. */

import { createInterface } from 'node:readline/promises'
import { CommandError, usageError } from '../command-error.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Terminal } from './terminal.ts'

export async function confirmByName(
  { error }: Terminal,
  { name, meaning, yes }: { readonly name: string; readonly meaning: string; readonly yes: boolean },
): Promise<void> {
  if (yes) return
  if (process.stdin.isTTY !== true || !error.isTerminal)
    throw usageError(`${meaning}. Without a terminal this needs --yes`)
  error.write(`${error.style.yellow(meaning)}\n`)
  const reader = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const typed = await reader.question(`Type ${error.style.bold(name)} to go on: `)
    if (typed.trim() === name) return
    throw new CommandError(exitCodes.interrupted, 'not confirmed', { done: 'Nothing was done.' })
  } finally {
    reader.close()
  }
}
