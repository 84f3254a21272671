/** table create, list, show. */

import { advised } from '../advice.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Column } from '../output/output.ts'

export interface CreateOptions {
  readonly key: string
  readonly n?: number
  readonly r?: number | string
  readonly w?: number | string
  readonly sloppy?: boolean
  readonly readRepair?: 'async' | 'blocking'
  readonly conflict?: string
}

interface TableItem {
  readonly id: number
  readonly name: string
  readonly key: { readonly partition: string; readonly sort?: string | undefined }
  readonly partitioning: { readonly kind: string }
  readonly replication: {
    readonly kind: string
    readonly n: number
    readonly r: number
    readonly w: number
    readonly sloppy: boolean
    readonly readRepair: string
  }
  readonly conflict: { readonly kind: string }
}

const columns: readonly Column<TableItem>[] = [
  { name: 'TABLE', value: item => item.name, paint: (text, _, style) => style.bold(text) },
  {
    name: 'KEY',
    value: item =>
      item.key.sort === undefined ? item.key.partition : `${item.key.partition}, ${item.key.sort}`,
  },
  { name: 'PARTITIONING', value: item => item.partitioning.kind },
  {
    name: 'REPLICATION',
    value: item => `${item.replication.kind}${item.replication.sloppy ? ', sloppy' : ''}`,
  },
  { name: 'N', value: item => item.replication.n },
  { name: 'R', value: item => item.replication.r },
  { name: 'W', value: item => item.replication.w },
  { name: 'READ REPAIR', value: item => item.replication.readRepair },
  { name: 'CONFLICT', value: item => item.conflict.kind },
]

export async function createTable(
  { access, output, words }: CommandContext,
  name: string,
  options: CreateOptions,
): Promise<ExitCode> {
  const [partition = '', sort] = options.key.split(',').map(part => part.trim())
  const db = await access.database()
  const replication = {
    kind: 'leaderless',
    ...(options.n === undefined ? {} : { n: options.n }),
    // Words such as "quorum" are for the table's own check to understand.
    ...(options.r === undefined ? {} : { r: options.r as number }),
    ...(options.w === undefined ? {} : { w: options.w as number }),
    ...(options.sloppy === undefined ? {} : { sloppy: options.sloppy }),
    ...(options.readRepair === undefined ? {} : { readRepair: options.readRepair }),
  }
  const conflict = options.conflict === undefined ? {} : { conflict: { kind: options.conflict } }
  const made = await advised({ verb: 'create', table: name, words }, () =>
    db.createTable(name, { key: { partition, sort }, replication, ...conflict }),
  )
  output.answer({
    kind: 'tables',
    items: [made as TableItem],
    columns,
    footer: `table ${name} exists on all nodes that answer`,
  })
  return exitCodes.ok
}

export async function listTables(
  { access, output }: CommandContext,
  name: string | undefined,
): Promise<ExitCode> {
  const db = await access.database()
  const all = (await db.tables()) as readonly TableItem[]
  const items = name === undefined ? all : all.filter(table => table.name === name)
  if (name !== undefined && items.length === 0)
    throw new CommandError(exitCodes.notFound, `there is no table "${name}"`, { next: 'quorate table list' })
  output.answer({
    kind: 'tables',
    items,
    columns,
    footer: items.length === 0 ? 'no tables yet; quorate table create NAME --key id' : meaning(name, items),
  })
  return exitCodes.ok
}

function meaning(name: string | undefined, items: readonly TableItem[]): string {
  if (name === undefined) return `${items.length} tables`
  const { n, r, w } = items[0]!.replication
  return r + w > n
    ? `r + w = ${r + w} > n = ${n}: a read sees every write that was acknowledged by w homes`
    : `r + w = ${r + w} <= n = ${n}: a read may miss the latest acknowledged write`
}
