/** lag, cluster move-leader, cluster elect: who leads, how far the others are behind, and changing it. */

import type { ElectionPlan, MovedLeader } from '../admin-client.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError, usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { confirmByName } from '../output/confirm.ts'
import { followerText } from '../output/led-text.ts'
import type { Column } from '../output/output.ts'
import { count } from '../output/words.ts'

interface LagItem {
  readonly table: string
  readonly partition: number
  readonly leader: string
  readonly epoch: number
  readonly inSync: readonly string[]
  readonly entries: number
  /** Of each follower, in words. */
  readonly followers: readonly string[]
}

const columns: readonly Column<LagItem>[] = [
  { name: 'TABLE', value: item => item.table },
  { name: 'PARTITION', value: item => item.partition },
  { name: 'LEADER', value: item => item.leader, paint: (text, _, style) => style.bold(text) },
  { name: 'EPOCH', value: item => item.epoch },
  { name: 'ENTRIES', value: item => item.entries },
  { name: 'FOLLOWERS', value: item => item.followers.join('; ') },
]

export async function lag(
  { access, output }: CommandContext,
  table: string | undefined,
  onlyBehind: boolean,
): Promise<ExitCode> {
  const db = await access.database()
  const all = await db.tables()
  const led = all.filter(
    ({ name, replication }) => replication.kind === 'single-leader' && (table ?? name) === name,
  )
  if (table !== undefined && led.length === 0)
    throw new CommandError(
      all.some(({ name }) => name === table) ? exitCodes.usage : exitCodes.notFound,
      all.some(({ name }) => name === table)
        ? `"${table}" is leaderless: nobody leads, and nobody is behind`
        : `there is no table "${table}"`,
      { next: 'quorate table list' },
    )
  const items: LagItem[] = []
  const warnings: string[] = []
  for (const { name } of led) await lagOf(access, name, items, warnings)
  const isUp = ({ followers }: LagItem): boolean => followers.every(text => text.endsWith('is up to date'))
  const behind = items.filter(item => !isUp(item)).length
  output.answer({
    kind: 'lag',
    items: onlyBehind ? items.filter(item => !isUp(item)) : items,
    columns,
    warnings,
    partial: warnings.length > 0,
    footer:
      led.length === 0
        ? 'no table has leaders'
        : `${count(items.length, 'partition')} with a leader; ${behind === 0 ? 'all followers are up to date' : `of ${behind} a follower is behind (--behind shows these)`}`,
  })
  return warnings.length > 0 ? exitCodes.partial : exitCodes.ok
}

/** What each node says of the partitions that it leads. */
async function lagOf(
  access: CommandContext['access'],
  table: string,
  items: LagItem[],
  warnings: string[],
): Promise<void> {
  const led = new Map<number, LagItem>()
  const seen = new Set<number>()
  for (const { id, admin } of await access.nodes()) {
    try {
      for (const { partition, state, lead, end, followers } of (await admin.leaders(table)).partitions) {
        seen.add(partition)
        if (state !== 'leads' || lead === null) continue
        const { epoch, inSync } = lead
        const texts = followers.map(({ isFilled, ...one }) =>
          followerText({ ...one, filling: isFilled ? 0 : 1 }),
        )
        led.set(partition, {
          table,
          partition,
          leader: id,
          epoch,
          inSync,
          entries: end.position,
          followers: texts,
        })
      }
    } catch (error) {
      warnings.push(`${id} does not answer: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  items.push(...[...led.values()].sort((a, b) => a.partition - b.partition))
  const without = [...seen].filter(partition => !led.has(partition)).sort((a, b) => a - b)
  if (without.length > 0)
    warnings.push(
      `nobody leads ${count(without.length, 'partition')} of "${table}" now (${without.join(', ')}); an election takes about a second; when it stays so: quorate cluster elect ${table}`,
    )
}

export async function moveLeader(
  { access, output }: CommandContext,
  table: string,
  partition: number,
  to: string,
): Promise<ExitCode> {
  const moved = await (await access.admin()).moveLeader(table, partition, to)
  output.answer({
    kind: 'leader',
    items: [moved],
    columns: [
      { name: 'PARTITION', value: item => item.partition },
      { name: 'FROM', value: item => item.from },
      { name: 'TO', value: item => item.to },
      { name: 'EPOCH', value: item => item.epoch },
      { name: 'TOOK', value: item => `${item.tookMs} ms` },
    ],
  })
  return exitCodes.ok
}

interface SpreadItem extends Omit<MovedLeader, 'epoch' | 'tookMs'> {
  readonly table: string
  readonly epoch: number | null
  readonly tookMs: number | null
}

/** Hand-overs one after another; one that is refused is named, and the others go on. */
export async function spreadLeaders({ access, output }: CommandContext, dryRun: boolean): Promise<ExitCode> {
  const admin = await access.admin()
  const { moves, loads } = await admin.leaderSpread()
  const items: SpreadItem[] = []
  const warnings: string[] = []
  for (const move of moves) {
    const { table, partition, to } = move
    if (dryRun) {
      items.push({ ...move, epoch: null, tookMs: null })
      continue
    }
    try {
      items.push({ ...(await admin.moveLeader(table, partition, to)), table })
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      warnings.push(`partition ${partition} of "${table}" to ${to}: ${error.message}`)
    }
  }
  const figures = loads.map(({ node, before, after }) => `${node} ${dryRun ? before : after}`).join(', ')
  output.answer({
    kind: 'leaders',
    items,
    columns: [
      { name: 'TABLE', value: item => item.table },
      { name: 'PARTITION', value: item => item.partition },
      { name: 'FROM', value: item => item.from },
      { name: 'TO', value: item => item.to },
      ...(dryRun ? [] : [{ name: 'TOOK', value: (item: SpreadItem) => `${item.tookMs} ms` }]),
    ],
    warnings,
    partial: warnings.length > 0,
    footer:
      loads.length === 0
        ? 'no table has leaders'
        : moves.length === 0
          ? `leaders are spread: ${figures}`
          : dryRun
            ? `leaders now: ${figures}; nothing has changed. quorate cluster spread-leaders`
            : warnings.length > 0
              ? 'not all were handed over'
              : `leaders now: ${figures}`,
  })
  return warnings.length > 0 ? exitCodes.partial : exitCodes.ok
}

const lost = ({ entriesKnown }: ElectionPlan['items'][number]): string =>
  entriesKnown === 0 ? 'perhaps some' : `at least ${count(entriesKnown, 'entry', 'entries')}`

const electionColumns: readonly Column<ElectionPlan['items'][number]>[] = [
  { name: 'PARTITION', value: item => item.partition },
  { name: 'TO', value: item => item.to },
  { name: 'LOST', value: lost },
  { name: 'WHAT IT MEANS', value: item => item.words },
]

/** On a terminal the footer names it. */
const planColumn = (id: string) => ({ name: 'PLAN', value: () => id })

const electedColumns: readonly Column<ElectionPlan['items'][number]>[] = [
  { name: 'PARTITION', value: item => item.partition },
  { name: 'LEADER', value: item => item.to },
  { name: 'LOST', value: lost },
  {
    name: 'GIVEN UP',
    value: ({ loss: { after, onlyOn } }) =>
      `what only ${onlyOn.join(', ')} had behind ${after.epoch}/${after.position}: it goes to the ledger when it returns`,
  },
]

/** Shows which unclean elections are needed and what each may lose; with `--commit` the plan is carried out. */
export async function elect(
  { access, output }: CommandContext,
  table: string,
  options: { readonly commit?: string; readonly yes?: boolean },
): Promise<ExitCode> {
  const admin = await access.admin()
  if (options.commit === undefined) {
    const plan = await admin.electionPlan(table)
    output.answer({
      kind: 'election',
      items: plan.items,
      columns: output.format === 'table' ? electionColumns : [...electionColumns, planColumn(plan.id)],
      fields: { plan: plan.items.length === 0 ? null : plan.id },
      warnings: plan.others.map(({ partition, why }) => `partition ${partition}: ${why}`),
      footer:
        plan.items.length === 0
          ? `every partition of ${table} has a leader, or will have one by a clean election`
          : `plan ${plan.id}; nothing has changed. quorate cluster elect ${table} --commit ${plan.id}`,
    })
    return plan.items.length === 0 ? exitCodes.ok : exitCodes.planHasChanges
  }
  if (!/^u-[0-9a-f]{12}$/.test(options.commit))
    throw usageError(`"${options.commit}" is no plan of an election; quorate cluster elect ${table} shows it`)
  const meaning = 'What the plan says may be lost is given up'
  await confirmByName(output.terminal, { name: table, meaning, yes: options.yes === true })
  const plan = await admin.elect(table, options.commit)
  output.answer({
    kind: 'election',
    items: plan.items,
    columns: electedColumns,
    footer: `${count(plan.items.length, 'leader')} elected; what returning replicas had alone: quorate ledger ${table}`,
  })
  return exitCodes.ok
}
