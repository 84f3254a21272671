#!/usr/bin/env node
/** The `quorate` command. */

import { CommanderError } from 'commander'
import type { ProgramResult } from './command-context.ts'
import { describeFailure, exitCodeOf, failureDocument } from './command-error.ts'
import { exitCodes } from './exit-codes.ts'
import { makeStyle, wantsColour } from './output/style.ts'
import { buildProgram } from './program.ts'

const LINGER_MS = 2_000

/** Whoever asked for a document gets one, also of a failure. */
function wantsJson(words: readonly string[]): boolean {
  return words.some(
    (word, i) =>
      word === '--json' ||
      word === '-ojson' ||
      (word === 'json' && ['-o', '--output'].includes(words[i - 1] ?? '')),
  )
}

// Whoever reads has read enough (`| head`): nobody is left to be told anything.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

const result: ProgramResult = { exitCode: exitCodes.ok }

try {
  await buildProgram(result).parseAsync(process.argv)
} catch (error) {
  if (error instanceof CommanderError) result.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  else {
    const style = makeStyle(wantsColour(process.stderr.isTTY === true, process.env))
    process.stderr.write(`${describeFailure(error, style).join('\n')}\n`)
    if (wantsJson(process.argv)) process.stdout.write(`${JSON.stringify(failureDocument(error))}\n`)
    result.exitCode = exitCodeOf(error)
    // Whatever a failed command left open must not keep the process: it has said all it has to say.
    setTimeout(() => process.exit(), LINGER_MS).unref()
  }
}
process.exitCode = result.exitCode
