/** table create, list, show. */

import { presets } from '@quorate/client'
import { advised } from '../advice.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError, isKnown, usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { fieldsText } from '../output/fields-text.ts'
import type { Column } from '../output/output.ts'
import { type Measured, shadowLines } from '../output/shadow-text.ts'
import { presetNotes, presetsLike, type TableItem, type TableMap, tableText } from '../output/table-text.ts'
import { count } from '../output/words.ts'
import { splitPointsOfFile } from './split-sample.ts'
import { type CreateOptions, tableSettings } from './table-settings.ts'

const columns: readonly Column<TableItem>[] = [
  { name: 'TABLE', value: item => item.name, paint: (text, _, style) => style.bold(text) },
  {
    name: 'KEY',
    value: item =>
      item.key.sort === undefined ? item.key.partition : `${item.key.partition}, ${item.key.sort}`,
  },
  {
    name: 'PARTITIONING',
    value: ({ partitioning: { kind, partitions } }) =>
      partitions === undefined ? kind : `${kind} ${partitions}`,
  },
  {
    name: 'REPLICATION',
    value: item =>
      `${item.replication.kind}${item.replication.sloppy ? ', sloppy' : ''}${item.replication.ack === undefined ? '' : `, ack ${item.replication.ack}, ${item.replication.log} log`}`,
  },
  { name: 'N', value: item => item.replication.n },
  { name: 'R', value: item => item.replication.r ?? '-' },
  { name: 'W', value: item => item.replication.w ?? '-' },
  { name: 'READ REPAIR', value: item => item.replication.readRepair ?? '-' },
  { name: 'CONFLICT', value: item => item.conflict.kind },
  {
    name: 'FIELDS',
    value: ({ conflict: { fields } }) => (fields === undefined ? '-' : fieldsText(fields)),
  },
  { name: 'WRITE PARTS', value: item => item.hotKeys?.writeParts ?? '-' },
]

/** What a sample says, as if it had been given by hand. */
async function withSample(options: CreateOptions): Promise<CreateOptions> {
  const { splitSample, splitAt, ranges, key } = options
  if (splitSample === undefined) {
    if (ranges === undefined) return options
    throw usageError('--ranges goes with --split-sample', 'quorate table create --help')
  }
  if (splitAt !== undefined)
    throw usageError('give --split-at or --split-sample, not both', 'quorate table create --help')
  const field = key.split(',')[0]!.trim()
  return {
    ...options,
    splitAt: (await splitPointsOfFile(splitSample, field, ranges)) as CreateOptions['splitAt'] & {},
  }
}

export async function createTable(
  { access, output, words }: CommandContext,
  name: string,
  options: CreateOptions,
): Promise<ExitCode> {
  const settings = tableSettings(await withSample(options))
  const db = await access.database()
  const made = (await advised({ verb: 'create', table: name, words }, () =>
    db.createTable(name, settings),
  )) as TableItem
  const active = db.router.catalog.members.members.filter(({ state }) => state === 'active').length
  output.answer({
    kind: 'tables',
    items: [made],
    columns,
    warnings: [
      ...(made.partitioning.kind === 'modulo' ? [moduloWarning(active)] : []),
      ...(options.like === undefined ? [] : presets[options.like].notYet.map(text => `not yet: ${text}`)),
    ],
    footer: [
      `table ${name} exists on all nodes that answer`,
      ...(options.like === undefined
        ? []
        : presetNotes(options.like, made, output.terminal.error.style).filter(
            line => !line.includes('not yet:'),
          )),
    ].join('\n'),
  })
  return exitCodes.ok
}

const moduloWarning = (nodes: number): string =>
  `partitioned modulo the nodes: going from ${count(nodes, 'node')} to ${nodes + 1} moves ${nodes}/${nodes + 1} of the keys, ${Math.round((nodes / (nodes + 1)) * 100)} %; with --partitioning ring or fixed it would be 1/${nodes + 1}`

export async function listTables(
  { access, output }: CommandContext,
  name: string | undefined,
): Promise<ExitCode> {
  const db = await access.database()
  const all = (await db.tables()) as readonly TableItem[]
  if (name !== undefined) return showTable({ access, output }, name, all)
  output.answer({
    kind: 'tables',
    items: all,
    columns,
    footer:
      all.length === 0 ? 'no tables yet; quorate table create NAME --key id' : count(all.length, 'table'),
  })
  return exitCodes.ok
}

async function showTable(
  { access, output }: Pick<CommandContext, 'access' | 'output'>,
  name: string,
  all: readonly TableItem[],
): Promise<ExitCode> {
  const found = all.find(table => table.name === name)
  if (found === undefined)
    throw new CommandError(exitCodes.notFound, `there is no table "${name}"`, { next: 'quorate table list' })
  const map = await mapOf(access, name)
  const shadow = found.shadow === undefined ? undefined : await measured(access, name)
  output.answer({
    kind: 'tables',
    items: [{ ...found, like: presetsLike(found), map: map ?? null, measured: shadow ?? null }],
    columns,
    warnings: [
      ...(map === undefined ? ['no admin interface answers: its partitions are not shown'] : []),
      ...(shadow?.missing ?? []).map(id => `${id} does not answer: what it coordinated is not counted`),
    ],
    drawing: style => [...tableText(found, map, style), ...shadowLines(found, shadow, style)],
  })
  return exitCodes.ok
}

async function mapOf(access: CommandContext['access'], name: string): Promise<TableMap | undefined> {
  try {
    const { mapVersion, partitions } = await (await access.admin()).ring(name)
    const moving = partitions.filter(({ move }) => move !== null).length
    return { mapVersion, partitions: partitions.length, moving }
  } catch (error) {
    if (error instanceof CommandError || isKnown(error)) return undefined
    throw error
  }
}

/** What all nodes have coordinated, by the hour. */
async function measured(access: CommandContext['access'], table: string): Promise<Measured> {
  const hours = new Map<number, { fromMs: number; writes: number; overwriting: number }>()
  const missing: string[] = []
  for (const { id, admin } of await access.nodes()) {
    const found = await admin.shadow(table).catch(() => undefined)
    if (found === undefined) missing.push(id)
    for (const { fromMs, writes, overwriting } of found?.hours ?? []) {
      const hour = hours.get(fromMs) ?? { fromMs, writes: 0, overwriting: 0 }
      hour.writes += writes
      hour.overwriting += overwriting
      hours.set(fromMs, hour)
    }
  }
  return { hours: [...hours.values()].sort((a, b) => a.fromMs - b.fromMs), missing }
}

export async function alterTable(
  { access, output }: CommandContext,
  name: string,
  { shadow }: { readonly shadow: 'siblings' | 'none' },
): Promise<ExitCode> {
  const db = await access.database()
  const altered = (await db.alterTable(name, {
    shadow: shadow === 'none' ? undefined : shadow,
  })) as TableItem
  output.answer({
    kind: 'tables',
    items: [altered],
    columns,
    footer:
      altered.shadow === undefined
        ? `nothing of ${name} is measured any more`
        : `answers of ${name} stay as they are; what rule ${altered.shadow} would have kept is counted from now on: quorate table show ${name}`,
  })
  return exitCodes.ok
}
