/** What was discarded, with its values: shown, counted, put back. */

import type { AdminClient, LedgerDocument, LedgerFilters } from '../admin-client.ts'
import type { CommandContext } from '../command-context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { valueText } from '../output/json-value.ts'
import type { Column } from '../output/output.ts'
import { count, duration } from '../output/words.ts'

type LedgerItem = LedgerDocument['entries'][number] & { nodes: string[] }

const ledgerColumns: readonly Column<LedgerItem>[] = [
  { name: 'AT', value: item => item.at },
  { name: 'TABLE', value: item => item.table },
  {
    name: 'KEY',
    value: ({ key, sort, field }) => [key, sort, field].filter(part => part !== null).join(' / '),
  },
  { name: 'REASON', value: item => item.reason, paint: (text, _, style) => style.yellow(text) },
  { name: 'DOT', value: item => item.dot },
  { name: 'RECORDED ON', value: item => item.nodes.join(' ') },
  { name: 'VALUE', value: item => (item.value === null ? '(a delete)' : valueText(item.value)) },
  {
    name: 'LOST TO',
    value: ({ winner }) =>
      winner === null ? '' : winner.value === null ? '(a delete)' : valueText(winner.value),
  },
  { name: 'RESTORED', value: item => (item.restored ? 'yes' : '') },
  { name: 'ID', value: item => item.id },
]

export interface LedgerOptions {
  readonly sinceMs: number | undefined
  readonly limit: number
  readonly reason: string | undefined
  readonly key: unknown
  /** How many for each table and hour, and not which. */
  readonly count: boolean
}

function filtersOf(table: string | undefined, { sinceMs, reason, key }: LedgerOptions): LedgerFilters {
  const since = sinceMs === undefined ? undefined : Date.now() - sinceMs
  return { table, since, reason, key: key === undefined ? undefined : JSON.stringify(key) }
}

/** What all nodes say; those that do not answer are named. */
async function askAll<T>(
  { access }: CommandContext,
  ask: (admin: AdminClient) => Promise<T>,
): Promise<{ found: { id: string; told: T }[]; warnings: string[] }> {
  const found: { id: string; told: T }[] = []
  const warnings: string[] = []
  for (const { id, admin } of await access.nodes()) {
    try {
      found.push({ id, told: await ask(admin) })
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code !== 'UNREACHABLE') throw error
      warnings.push(`${id} does not answer: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { found, warnings }
}

/** Entries of all nodes; several replicas record the same discarded write, which shows once. */
export async function ledger(
  context: CommandContext,
  table: string | undefined,
  options: LedgerOptions,
): Promise<ExitCode> {
  const filters = filtersOf(table, options)
  if (options.count) return countEntries(context, filters)
  const { found, warnings } = await askAll(context, admin =>
    admin.ledger({ ...filters, limit: options.limit }),
  )
  const byDot = new Map<string, LedgerItem>()
  let dropped = 0
  for (const { id, told } of found) {
    dropped += told.dropped
    for (const entry of told.entries) {
      const known = byDot.get(entry.dot)
      if (known === undefined) byDot.set(entry.dot, { ...entry, nodes: [id] })
      else known.nodes.push(id)
    }
  }
  const partial = warnings.length > 0
  if (dropped > 0) warnings.push(`${dropped} older entries have been dropped because a ledger was full`)
  const items = [...byDot.values()]
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .slice(-options.limit)
  context.output.answer({
    kind: 'ledger',
    items,
    columns: ledgerColumns,
    warnings,
    partial,
    footer:
      items.length === 0
        ? `nothing was discarded${options.sinceMs === undefined ? '' : ` in the last ${duration(options.sinceMs)}`}`
        : `${count(items.length, 'discarded write')}; their values are kept here`,
  })
  return partial ? exitCodes.partial : exitCodes.ok
}

interface LedgerCount {
  readonly table: string
  /** When it began: 2026-11-23T15:00Z. */
  readonly hour: string
  readonly reason: string
  entries: number
}

/** Each discarded write once, however many nodes have a copy of its entry. */
async function countEntries(context: CommandContext, filters: LedgerFilters): Promise<ExitCode> {
  const { found, warnings } = await askAll(context, admin => admin.ledgerIds(filters))
  const seen = new Set<string>()
  const counts = new Map<string, LedgerCount>()
  for (const { id: node, told } of found) {
    if (told.more)
      warnings.push(`${node} has more entries than were counted: narrow it with --since or --reason`)
    for (const [id, table, at, reason] of told.entries) {
      if (seen.has(id)) continue
      seen.add(id)
      const hour = `${at.slice(0, 'YYYY-MM-DDTHH'.length)}:00Z`
      const name = `${hour} ${table} ${reason}`
      const known = counts.get(name) ?? { table, hour, reason, entries: 0 }
      known.entries++
      counts.set(name, known)
    }
  }
  const partial = warnings.length > 0
  context.output.answer({
    kind: 'ledger-counts',
    items: [...counts.keys()].sort().map(name => counts.get(name)!),
    columns: [
      { name: 'HOUR', value: item => item.hour },
      { name: 'TABLE', value: item => item.table },
      { name: 'REASON', value: item => item.reason },
      { name: 'DISCARDED', value: item => item.entries },
    ],
    warnings,
    partial,
    footer: `${count(seen.size, 'discarded write')}${seen.size === 0 ? '' : '; quorate ledger shows them'}`,
  })
  return partial ? exitCodes.partial : exitCodes.ok
}

/** Asks each node that has the entry until one has restored it. */
export async function restore(
  { access, output }: CommandContext,
  id: string,
  force: boolean,
): Promise<ExitCode> {
  let missing: unknown
  for (const { id: node, admin } of await access.nodes()) {
    try {
      const { table, key } = await admin.restore(id, force)
      output.answer({
        kind: 'restored',
        items: [{ id, table, key, node }],
        columns: [
          { name: 'TABLE', value: item => item.table },
          { name: 'KEY', value: item => item.key },
          { name: 'RESTORED BY', value: item => item.node },
        ],
        warnings: [],
        partial: false,
      })
      return exitCodes.ok
    } catch (error) {
      // Entries are kept by the nodes that discarded: another one may have it.
      if (!(error instanceof Error && 'code' in error && error.code === 'NOT_FOUND')) throw error
      missing = error
    }
  }
  throw missing
}
