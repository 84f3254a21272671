/** verify, repair: are the replicas equal, and make them so. */

import type { RepairDocument, VerdictDocument } from '../admin-client.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError } from '../command-error.ts'
import { concurrently } from '../concurrently.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { Progress } from '../output/progress.ts'
import { count, wholeNumber } from '../output/words.ts'

interface TableVerdict {
  table: string
  partitions: number
  compared: number
  rows: number
  tombstones: number
  siblings: number
  divergent: number
  examples: string[]
}

const WIDTH = 2
const EXAMPLES_MAX = 10

async function tableNames({ access }: CommandContext, table: string | undefined): Promise<string[]> {
  const names = (await (await access.admin()).tables()).tables.map(found => String(found.name))
  if (table === undefined) return names
  if (!names.includes(table))
    throw new CommandError(exitCodes.notFound, `there is no table "${table}"`, { next: 'quorate table list' })
  return [table]
}

export async function verify(context: CommandContext, table: string | undefined): Promise<ExitCode> {
  const { access, output } = context
  const admin = await access.admin()
  const items: TableVerdict[] = []
  const warnings: string[] = []
  for (const name of await tableNames(context, table)) {
    const { partitions } = await admin.ring(name)
    const total: TableVerdict = {
      table: name,
      partitions: partitions.length,
      compared: 0,
      rows: 0,
      tombstones: 0,
      siblings: 0,
      divergent: 0,
      examples: [],
    }
    items.push(total)
    const progress = new Progress(output.terminal.error, `verify ${name}`, 'partitions', partitions.length)
    await concurrently(partitions, WIDTH, async ({ id }) => {
      try {
        add(total, await admin.verify(name, id))
      } catch (error) {
        warnings.push(
          `${name}, partition ${id} could not be compared: ${error instanceof Error ? error.message : String(error)}`,
        )
      }
      progress.done = progress.done + 1
    })
    progress.end()
  }
  const divergent = items.reduce((sum, item) => sum + item.divergent, 0)
  output.answer({
    kind: 'verify',
    items,
    partial: warnings.length > 0,
    warnings:
      warnings.length > 5
        ? [...warnings.slice(0, 5), `… and ${warnings.length - 5} partitions more`]
        : warnings,
    columns: [
      { name: 'TABLE', value: item => item.table },
      { name: 'PARTITIONS', value: item => `${item.compared}/${item.partitions}` },
      { name: 'ROWS', value: item => item.rows },
      { name: 'DELETED', value: item => item.tombstones },
      { name: 'WITH SIBLINGS', value: item => item.siblings },
      {
        name: 'DIVERGENT',
        value: item => item.divergent,
        paint: (text, item, style) => (item.divergent > 0 ? style.red(text) : style.green(text)),
      },
      { name: 'FOR EXAMPLE', value: item => item.examples[0] ?? '' },
    ],
    footer:
      divergent > 0
        ? `${count(divergent, 'row')} differ between replicas; next: quorate repair`
        : warnings.length > 0
          ? 'no difference in what could be compared'
          : 'every replica holds the same cells',
  })
  if (divergent > 0) return exitCodes.unhealthy
  return warnings.length > 0 ? exitCodes.partial : exitCodes.ok
}

function add(total: TableVerdict, verdict: VerdictDocument): void {
  total.compared++
  total.rows += verdict.rows
  total.tombstones += verdict.tombstones
  total.siblings += verdict.siblings
  total.divergent += verdict.divergent
  for (const example of verdict.examples)
    if (total.examples.length < EXAMPLES_MAX) total.examples.push(example)
}

type Exchange = RepairDocument['exchanges'][number] & { table: string; node: string }

export async function repair(context: CommandContext, table: string | undefined): Promise<ExitCode> {
  const { access, output } = context
  const names = await tableNames(context, table)
  const nodes = await access.nodes()
  const items: Exchange[] = []
  const warnings: string[] = []
  const progress = new Progress(output.terminal.error, 'repair', 'sweeps', names.length * nodes.length)
  for (const name of names) {
    for (const { id, admin } of nodes) {
      try {
        const { exchanges } = await admin.repair(name)
        items.push(...exchanges.map(exchange => ({ table: name, node: id, ...exchange })))
      } catch (error) {
        if (error instanceof CommandError && error.exitCode === exitCodes.unauthorised) throw error
        warnings.push(`${id}: ${error instanceof Error ? error.message : String(error)}`)
      }
      progress.done = progress.done + 1
    }
  }
  progress.end()
  const repaired = items.reduce((sum, item) => sum + item.repaired, 0)
  const incomplete = items.filter(item => !item.complete)
  const partial = warnings.length > 0 || incomplete.length > 0
  output.answer({
    kind: 'repair',
    items,
    warnings,
    partial,
    columns: [
      { name: 'TABLE', value: item => item.table },
      { name: 'NODE', value: item => item.node },
      { name: 'PEER', value: item => item.peer },
      { name: 'PARTITIONS', value: item => item.partitions },
      { name: 'DIFFERING', value: item => item.differing },
      {
        name: 'ROWS REPAIRED',
        value: item => item.repaired,
        paint: (text, item, style) => (item.repaired > 0 ? style.yellow(text) : text),
      },
      {
        name: 'RESULT',
        value: item => (item.complete ? 'equal' : 'not finished'),
        paint: (text, item, style) => (item.complete ? style.green(text) : style.red(text)),
      },
    ],
    footer: `${wholeNumber(repaired)} rows repaired${partial ? '; some pairs are not finished: quorate status, then again' : '; every pair of replicas is equal'}`,
  })
  return partial ? exitCodes.partial : exitCodes.ok
}
