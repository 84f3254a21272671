/** status, health, ring, explain: what is where, and why. */

import { isQuorateError } from '@quorate/client'
import type { RingDocument } from '../admin-client.ts'
import type { CommandContext } from '../command-context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { explainLines, type RouteTaken } from '../output/explain-text.ts'
import { valueText } from '../output/json-value.ts'
import { ledLines, ledTables } from '../output/led-text.ts'
import { tableLines } from '../output/output.ts'
import { overdueProofs } from '../output/proof-text.ts'
import { ringLines, shareColumns } from '../output/ring-text.ts'
import { gatherStatus, nodeColumns, statusHeadline } from '../output/status-text.ts'
import { healthChecks, healthExit, statusExit } from './health.ts'
import { keyOf } from './rows.ts'

export async function status({ access, output }: CommandContext): Promise<ExitCode> {
  const found = await gatherStatus(await access.nodes())
  const unreachable = found.items.filter(item => item.state === 'unreachable')
  output.answer({
    kind: 'status',
    items: found.items,
    columns: nodeColumns,
    partial: unreachable.length > 0,
    warnings: [
      ...unreachable.map(item => `${item.node} could not be asked: ${item.problem ?? 'unknown reason'}`),
      ...overdueProofs(found.documents, Date.now()),
    ],
    drawing: style => [
      statusHeadline(found, style),
      '',
      ...tableLines(nodeColumns, found.items, style),
      ...ledLines(ledTables(found.documents), style),
    ],
  })
  return statusExit(found)
}

export async function health({ access, output }: CommandContext): Promise<ExitCode> {
  const found = await gatherStatus(await access.nodes())
  const checks = healthChecks(found, Date.now())
  output.answer({
    kind: 'health',
    items: checks,
    partial: found.items.some(item => item.state === 'unreachable'),
    columns: [
      {
        name: 'CHECK',
        value: check => check.check,
      },
      {
        name: 'RESULT',
        value: check => check.result,
        paint: (text, check, style) =>
          check.result === 'ok'
            ? style.green(text)
            : check.result === 'note' || check.result === 'unknown'
              ? style.yellow(text)
              : style.red(text),
      },
      { name: 'DETAIL', value: check => check.detail },
    ],
  })
  return healthExit(checks)
}

export async function ring({ access, output }: CommandContext, table: string | undefined): Promise<ExitCode> {
  const admin = await access.admin()
  const names = table === undefined ? (await admin.tables()).tables.map(t => String(t.name)) : [table]
  const rings: RingDocument[] = []
  for (const name of names) rings.push(await admin.ring(name))
  const items = rings.flatMap(({ table: name, partitions }) =>
    partitions.map(partition => ({ table: name, ...partition })),
  )
  output.answer({
    kind: 'ring',
    items,
    columns: shareColumns,
    warnings:
      items.length === 0 ? ['there is no table yet, so there is no ring to show; quorate table create'] : [],
    drawing: style => rings.flatMap(found => ringLines(found, style)),
  })
  return exitCodes.ok
}

export async function explain(
  { access, output }: CommandContext,
  table: string,
  key: string,
  sort: string | undefined,
): Promise<ExitCode> {
  const found = await (await access.admin()).explain(table, key, sort)
  const taken = await readNow(access, table, key, sort)
  output.answer({
    kind: 'explanation',
    items: [{ ...found, read: taken }],
    columns: [
      { name: 'TABLE', value: item => item.table },
      { name: 'TOKEN', value: item => item.token },
      { name: 'PARTITION', value: item => item.partition.id },
      { name: 'HOMES', value: item => item.homes.join(' ') },
      { name: 'VALUES', value: item => item.merged.values.map(valueText).join(' | ') },
      { name: 'ROUTE', value: item => item.read.route.join(' ') },
      { name: 'WHY', value: item => item.why.join('; ') },
    ],
    drawing: style => explainLines(found, sort === undefined ? key : `${key} / ${sort}`, style, taken),
  })
  return exitCodes.ok
}

/** Why a read fails is an answer too. */
async function readNow(
  access: CommandContext['access'],
  table: string,
  key: string,
  sort: string | undefined,
): Promise<RouteTaken> {
  try {
    const { client, partition, sort: sortField } = await access.table(table)
    const { receipt } = await client.get(
      keyOf(sort === undefined ? [key] : [key, sort], partition, sortField),
    )
    const { route, guarantee } = receipt
    return { route, answered: receipt.answered.map(({ node }) => node), guarantee, problem: null }
  } catch (error) {
    if (!isQuorateError(error)) throw error
    return { route: [], answered: [], guarantee: null, problem: `${error.code}: ${error.message}` }
  }
}
