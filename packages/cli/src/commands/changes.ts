/** changes: the feed of a table with leaders, one line for each change. */

import type { CommandContext } from '../command-context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { toJson } from '../output/json-value.ts'

export async function changes(
  { access, output }: CommandContext,
  table: string,
  options: { readonly from: string; readonly untilNow?: boolean; readonly limit?: number },
): Promise<ExitCode> {
  const { client } = await access.table(table)
  let left = options.limit ?? Number.POSITIVE_INFINITY
  for await (const event of client.changes({ from: options.from, untilNow: options.untilNow })) {
    const shown =
      event.kind === 'change'
        ? {
            ...event,
            at: new Date(event.atMs).toISOString(),
            key: event.key.map(toJson),
            before: event.before === undefined ? null : toJson(event.before),
            after: event.after === undefined ? null : toJson(event.after),
          }
        : event
    output.terminal.out.write(`${JSON.stringify(shown)}\n`)
    if (--left <= 0) break
  }
  return exitCodes.ok
}
