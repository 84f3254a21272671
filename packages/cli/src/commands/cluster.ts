/** cluster status, the changes that are staged, plan, commit, clear, history. */

import type { PlanDocument } from '@quorate/server'
import type { CommandContext } from '../command-context.ts'
import { AdvisedError, isKnown } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { autoText } from '../output/auto-text.ts'
import { confirmByName } from '../output/confirm.ts'
import { leaderNotes, planColumns, planLines, shortPlan } from '../output/plan-text.ts'
import { taskColumns, taskItems } from '../output/task-text.ts'
import { count } from '../output/words.ts'
import { watchTask } from './watch-task.ts'

/** A failed request says what was not done, and where to look. */
async function advising<T>(done: string, next: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!isKnown(error)) throw error
    if (error.outcome === 'unknown')
      throw new AdvisedError(error, 'outcome unknown: it may have been done', 'quorate cluster status')
    throw new AdvisedError(error, done, next)
  }
}

export async function clusterStatus({ access, output }: CommandContext): Promise<ExitCode> {
  const { members, cluster, staged, changes, fresh, auto } = await (await access.admin()).cluster()
  const { task } = changes
  const joiners = members.filter(({ state }) => state === 'staged').map(({ id }) => id)
  const notes = [
    `cluster ${cluster}, ${count(members.length, 'member')}`,
    ...(joiners.length === 0 ? [] : [`waiting to join: ${joiners.join(', ')}; next: quorate cluster plan`]),
    ...(staged.length === 0 ? [] : [`staged: ${staged.join('; ')}; next: quorate cluster plan`]),
    ...(task === undefined ? [] : [`task ${task.id} is ${task.state}; quorate task show`]),
    ...(auto?.isOn === true ? [autoText(auto)] : []),
  ]
  output.answer({
    kind: 'cluster',
    items: members,
    warnings: fresh ? [] : ['the registers cannot be read now: this is what one node knew'],
    columns: [
      { name: 'NODE', value: item => item.id, paint: (text, _, style) => style.bold(text) },
      {
        name: 'STATE',
        value: item => item.state,
        paint: (text, item, style) => (item.state === 'active' ? style.green(text) : style.yellow(text)),
      },
      { name: 'ZONE', value: item => item.zone },
      { name: 'WEIGHT', value: item => item.weight },
      { name: 'DATA', value: item => item.address },
      { name: 'ADMIN', value: item => item.http },
      {
        name: 'HEARD',
        value: item => (item.suspected ? 'suspected down' : 'yes'),
        paint: (text, item, style) => (item.suspected ? style.red(text) : text),
      },
    ],
    footer: notes.join('\n'),
  })
  return exitCodes.ok
}

/** Where to look when a change was refused. */
function nextOf({ kind, node, table }: Change): string {
  if (kind === 'join')
    return `quorate start --id ${String(node)} … --join ADDRESS, which asks to be let in; then quorate cluster plan`
  return typeof table === 'string' ? `quorate ring ${table}` : 'quorate cluster status'
}

export type Change = Readonly<Record<string, unknown>> & { readonly kind: string }

export async function stage({ access, output }: CommandContext, change: Change): Promise<ExitCode> {
  const admin = await access.admin()
  const staged = await advising('Nothing was staged.', nextOf(change), () => admin.stage(change))
  const plan = await admin.plan().catch((error: unknown) => {
    // It is staged whether its plan can be shown now or not.
    if (isKnown(error)) return undefined
    throw error
  })
  const { error } = output.terminal
  output.answer({
    kind: 'staged',
    items: [{ ...staged, plan: plan === undefined ? null : summaryOf(plan) }],
    columns: [
      { name: 'STAGED', value: item => item.words },
      { name: 'PLAN', value: item => item.plan?.id },
      { name: 'PARTITIONS', value: item => item.plan?.moves },
      { name: 'BYTES', value: item => item.plan?.bytes },
    ],
    drawing: style => [`staged: ${style.bold(staged.words)}`],
  })
  if (output.format !== 'table') return exitCodes.ok
  const lines = plan === undefined ? ['  next: quorate cluster plan'] : shortPlan(plan, error.style)
  error.write(`${lines.join('\n')}\n`)
  return exitCodes.ok
}

const summaryOf = ({ id, changes, moves, rows, bytes, seconds, isEmpty, problems }: PlanDocument) => ({
  id,
  changes,
  moves,
  rows,
  bytes,
  seconds,
  isEmpty,
  problems,
})

export async function clear({ access, output }: CommandContext): Promise<ExitCode> {
  const { cleared } = await (await access.admin()).clear()
  output.answer({
    kind: 'cleared',
    items: cleared.map(words => ({ words })),
    columns: [{ name: 'CLEARED', value: item => item.words }],
    footer: cleared.length === 0 ? 'nothing was staged' : `${count(cleared.length, 'change')} forgotten`,
  })
  return exitCodes.ok
}

export async function showPlan({ access, output }: CommandContext): Promise<ExitCode> {
  const plan = await (await access.admin()).plan()
  output.answer({
    kind: 'plan',
    items: [plan],
    columns: planColumns,
    warnings: output.format === 'table' ? [] : [...plan.warnings, ...leaderNotes(plan.leaders)],
    drawing: style => planLines(plan, style),
  })
  if (plan.problems.length > 0) return exitCodes.conflict
  return plan.isEmpty ? exitCodes.ok : exitCodes.planHasChanges
}

export interface CommitOptions {
  readonly limit?: number
  readonly detach?: boolean
}

export async function commit(context: CommandContext, id: string, options: CommitOptions): Promise<ExitCode> {
  const admin = await context.access.admin()
  await advising('Nothing was changed.', 'quorate cluster plan', () => admin.commit(id, options.limit))
  if (options.detach !== true) return watchTask(context, id)
  context.output.answer({
    kind: 'tasks',
    items: [{ id, state: 'running' }],
    columns: [
      { name: 'TASK', value: item => item.id },
      { name: 'STATE', value: item => item.state },
    ],
    footer: `next: quorate task wait ${id}`,
  })
  return exitCodes.ok
}

export async function history({ access, output }: CommandContext): Promise<ExitCode> {
  const { history: past } = await (await access.admin()).cluster()
  const items = taskItems({ view: undefined, history: past, version: 0 })
  output.answer({
    kind: 'history',
    items,
    columns: [...taskColumns, { name: 'BACK', value: item => item.undo.join('; ') }],
    footer: items.length === 0 ? 'nothing has been changed yet' : count(items.length, 'change'),
  })
  return exitCodes.ok
}

export async function giveUp(
  { access, output }: CommandContext,
  node: string,
  options: { readonly yes?: boolean },
): Promise<ExitCode> {
  await confirmByName(output.terminal, {
    name: node,
    meaning: `${node} is removed for good, at once: what only it had is lost, and it may not come back with its store`,
    yes: options.yes === true,
  })
  const admin = await access.admin()
  const { members } = await advising('Nobody was given up.', 'quorate cluster status', () =>
    admin.giveUp(node),
  )
  output.answer({
    kind: 'given-up',
    items: [{ node, members }],
    columns: [
      { name: 'GIVEN UP', value: item => item.node },
      { name: 'MEMBERS', value: item => item.members.join(' ') },
    ],
    footer: 'next: quorate cluster rebalance, then quorate cluster plan: its peers make up for its copies',
  })
  return exitCodes.ok
}
