/** changes: the feed of a table with leaders, one line for each change; and the readers that logs are kept for. */

import type { ChangeEvent, ChangesReader } from '@quorate/client'
import type { CommandContext } from '../command-context.ts'
import { CommandError, usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { toJson } from '../output/json-value.ts'
import type { Column } from '../output/output.ts'
import { count } from '../output/words.ts'

export interface ChangesFlags {
  readonly from: string
  readonly untilNow?: boolean
  readonly limit?: number
  readonly places?: boolean
  readonly reader?: string
  readonly readers?: boolean
  readonly forget?: string
}

export async function changes(
  context: CommandContext,
  table: string,
  options: ChangesFlags,
): Promise<ExitCode> {
  const ways = [options.reader, options.readers, options.forget].filter(given => given !== undefined)
  if (ways.length > 1) throw usageError('--reader, --readers and --forget exclude each other')
  if (options.readers === true) return listReaders(context, table)
  if (options.forget !== undefined) return forget(context, table, options.forget)
  const { access, output } = context
  const { client } = await access.table(table)
  const { reader } = options
  if (reader !== undefined && !(await client.changesReaders()).some(({ name }) => name === reader))
    output.note(
      `"${reader}" is a new reader: it begins at ${options.from}, and the log is kept for it from now on`,
    )
  let place: string | undefined
  const tellPlace = (): void => {
    if (place !== undefined && options.reader === undefined)
      output.note(`next: quorate changes ${table} --from ${place}`)
  }
  const onInterrupt = (): void => {
    tellPlace()
    process.exit(exitCodes.interrupted)
  }
  process.once('SIGINT', onInterrupt)
  try {
    for await (const event of client.changes(options)) {
      place = event.resume
      const line = { ...shown(event), ...(options.places === true ? { place } : {}) }
      output.terminal.out.write(`${JSON.stringify(line)}\n`)
    }
  } finally {
    process.removeListener('SIGINT', onInterrupt)
  }
  tellPlace()
  return exitCodes.ok
}

function shown(event: ChangeEvent<object>): object {
  const { partition, position } = event
  if (event.kind !== 'change') return { kind: event.kind, partition, position }
  return {
    kind: event.kind,
    partition,
    position,
    at: new Date(event.atMs).toISOString(),
    operation: event.operation,
    key: event.key.map(toJson),
    before: event.before === undefined ? null : toJson(event.before),
    after: event.after === undefined ? null : toJson(event.after),
  }
}

const readerColumns: readonly Column<ChangesReader>[] = [
  { name: 'READER', value: item => item.name, paint: (text, _, style) => style.bold(text) },
  { name: 'HEARD OF', value: item => new Date(item.atMs).toISOString() },
]

async function listReaders({ access, output }: CommandContext, table: string): Promise<ExitCode> {
  const { client } = await access.table(table)
  const items = await client.changesReaders()
  output.answer({
    kind: 'readers',
    items,
    columns: readerColumns,
    footer:
      items.length === 0
        ? `no reader of ${table} has a name`
        : `${count(items.length, 'reader')}; logs are kept for each until it is forgotten, or not heard of for a week`,
  })
  return exitCodes.ok
}

async function forget({ access, output }: CommandContext, table: string, name: string): Promise<ExitCode> {
  const { client } = await access.table(table)
  if (!(await client.forgetChangesReader(name)))
    throw new CommandError(exitCodes.notFound, `"${table}" has no reader "${name}"`, {
      next: `quorate changes ${table} --readers`,
    })
  output.answer({
    kind: 'readers',
    items: [{ name }],
    columns: [{ name: 'FORGOTTEN', value: item => item.name }],
  })
  return exitCodes.ok
}
