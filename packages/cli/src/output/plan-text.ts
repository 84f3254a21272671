/** A plan as people read it: what changes, what moves where, what it costs, what it survives. */

import type { PlanDocument } from '@quorate/server'
import { autoText } from './auto-text.ts'
import { type Column, tableLines } from './output.ts'
import type { Style } from './style.ts'
import { bytes, count, duration, wholeNumber } from './words.ts'

type TableItem = PlanDocument['tables'][number]
type NodeItem = PlanDocument['nodes'][number] & { readonly state: string }

/** The columns of a pipe: one line per plan. */
export const planColumns: readonly Column<PlanDocument>[] = [
  { name: 'PLAN', value: plan => plan.id },
  { name: 'CHANGES', value: plan => plan.changes.join('; ') },
  { name: 'PARTITIONS', value: plan => plan.moves },
  { name: 'ROWS', value: plan => plan.rows },
  { name: 'BYTES', value: plan => plan.bytes },
  { name: 'SECONDS', value: plan => plan.seconds },
  { name: 'PROBLEMS', value: plan => plan.problems.map(problemText).join('; ') },
]

const change = (before: number | string, after: number | string): string =>
  before === after ? String(before) : `${before} → ${after}`

const tableColumns: readonly Column<TableItem>[] = [
  { name: 'TABLE', value: item => item.table, paint: (text, _, style) => style.bold(text) },
  { name: 'BY', value: item => item.partitioning },
  { name: 'MOVES', value: item => item.moves.length },
  { name: 'SPLITS', value: item => item.splits.length },
  { name: 'MERGES', value: item => item.merges.length },
  { name: 'BYTES', value: item => bytes(item.bytes) },
  {
    name: 'FULLEST / MEAN',
    value: item => change(item.balanceBefore.toFixed(2), item.balanceAfter.toFixed(2)),
  },
  {
    name: 'IN TOO FEW ZONES',
    value: item => change(item.narrowBefore, item.narrowAfter),
    paint: (text, item, style) => (item.narrowAfter > item.narrowBefore ? style.yellow(text) : text),
  },
]

const nodeColumns: readonly Column<NodeItem>[] = [
  { name: 'NODE', value: item => item.node, paint: (text, _, style) => style.bold(text) },
  { name: 'ZONE', value: item => item.zone },
  { name: 'THEN', value: item => item.state },
  { name: 'PARTITIONS', value: item => change(item.partitionsBefore, item.partitionsAfter) },
  { name: 'IN', value: item => bytes(item.incomingBytes) },
  { name: 'OUT', value: item => bytes(item.outgoingBytes) },
  { name: 'FREE', value: item => (item.freeBytes === null ? 'not known' : bytes(item.freeBytes)) },
]

export const problemText = ({ subject, message }: PlanDocument['problems'][number]): string =>
  `${subject}: ${message}`

const SHOWN_MAX = 10

function bulleted(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  const more = lines.length - SHOWN_MAX
  return [
    '',
    title,
    ...lines.slice(0, SHOWN_MAX).map(line => `  ${line}`),
    ...(more > 0 ? [`  … and ${more} more (--json has all)`] : []),
  ]
}

/** What it moves, in one line. */
export function planCost(plan: PlanDocument): string {
  if (plan.isEmpty) return 'nothing would change'
  const cuts = plan.tables.reduce((sum, table) => sum + table.splits.length, 0)
  const joins = plan.tables.reduce((sum, table) => sum + table.merges.length, 0)
  const parts = [
    `${count(plan.moves, 'partition')} ${plan.moves === 1 ? 'moves' : 'move'}`,
    ...(cuts > 0 ? [count(cuts, 'split')] : []),
    ...(joins > 0 ? [count(joins, 'merge')] : []),
    `${count(plan.rows, 'row')}, ${bytes(plan.bytes)}`,
    `about ${duration(plan.seconds * 1000).replace('.0 s', ' s')}`,
  ]
  return parts.join(', ')
}

/** Where to go from a plan; undefined when there is nothing to go to. */
export function planNext(plan: PlanDocument): string | undefined {
  if (plan.problems.length > 0) return 'quorate cluster clear   (and stage what can be done)'
  return plan.isEmpty ? undefined : `quorate cluster commit ${plan.id}`
}

export function planLines(plan: PlanDocument, style: Style): string[] {
  const stateOf = (node: string): string => plan.members.find(({ id }) => id === node)?.state ?? 'removed'
  const tables = plan.tables.filter(
    table => table.moves.length + table.splits.length + table.merges.length > 0,
  )
  const still = plan.tables.length - tables.length
  const nodes = plan.nodes.map(node => ({ ...node, state: stateOf(node.node) }))
  const next = planNext(plan)
  const balancing = autoText(plan.auto)
  return [
    `${style.bold(`plan ${plan.id}`)}  ${planCost(plan)}`,
    ...(plan.changes.length === 0 ? ['  nothing is staged'] : plan.changes.map(text => `  ${text}`)),
    ...(tables.length === 0 ? [] : ['', ...tableLines(tableColumns, tables, style)]),
    ...(still === 0
      ? []
      : [
          '',
          style.dim(
            `${count(still, 'table')} ${still === 1 ? 'stays' : 'stay'} as ${still === 1 ? 'it is' : 'they are'}`,
          ),
        ]),
    '',
    ...tableLines(nodeColumns, nodes, style),
    ...leaderLines(plan.leaders),
    ...bulleted('survives', plan.survives),
    ...bulleted(style.yellow('warnings'), plan.warnings),
    ...bulleted(style.red('it cannot be carried out'), plan.problems.map(problemText)),
    ...(balancing === undefined ? [] : ['', style.dim(balancing)]),
    ...(next === undefined ? [] : ['', `next: ${style.bold(next)}`]),
  ]
}

/** Who leads how much, when hand-overs would spread it. */
function leaderLines(leaders: PlanDocument['leaders']): string[] {
  const [note] = leaderNotes(leaders)
  if (note === undefined) return []
  const figures = leaders.loads.map(({ node, before, after }) => `${node} ${change(before, after)}`)
  return ['', `leaders   ${figures.join(', ')}`, `  ${note}`]
}

export function leaderNotes({ moves }: PlanDocument['leaders']): string[] {
  if (moves.length === 0) return []
  return [
    `${count(moves.length, 'hand-over')} would spread the leaders, each in milliseconds and with nothing lost: quorate cluster spread-leaders`,
  ]
}

/** After something was staged: what all that is staged comes to. */
export function shortPlan(plan: PlanDocument, style: Style): string[] {
  const [problem] = plan.problems
  return [
    `  staged now: ${plan.changes.join('; ')}`,
    `  ${planCost(plan)}`,
    ...(problem === undefined
      ? []
      : [
          style.red(
            `  it cannot be carried out: ${problemText(problem)}${plan.problems.length > 1 ? ` (and ${wholeNumber(plan.problems.length - 1)} more)` : ''}`,
          ),
        ]),
    `  next: ${style.bold(problem === undefined && !plan.isEmpty ? `quorate cluster plan, then quorate cluster commit ${plan.id}` : 'quorate cluster plan, or quorate cluster clear')}`,
  ]
}
