/** Where a command writes: data to stdout, everything else to stderr. */

import type { ProgressTarget } from './progress.ts'
import { makeStyle, type Style, wantsColour } from './style.ts'

export interface Terminal {
  readonly out: { readonly isTerminal: boolean; readonly style: Style; write(text: string): void }
  readonly error: ProgressTarget
}

export function processTerminal(environment: NodeJS.ProcessEnv = process.env): Terminal {
  const side = (stream: NodeJS.WriteStream) => ({
    isTerminal: stream.isTTY === true,
    style: makeStyle(wantsColour(stream.isTTY === true, environment)),
    write: (text: string): void => {
      stream.write(text)
    },
  })
  return { out: side(process.stdout), error: side(process.stderr) }
}
