/** task ls, show, wait, pause, resume, cancel. */

import type { CommandContext } from '../command-context.ts'
import { AdvisedError, CommandError, isKnown } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { tableLines } from '../output/output.ts'
import { partitionColumns, taskColumns, taskHeadline, taskItems } from '../output/task-text.ts'
import { lookOnce, watchTask } from './watch-task.ts'

export async function listTasks(context: CommandContext): Promise<ExitCode> {
  const items = taskItems(await lookOnce(context))
  context.output.answer({
    kind: 'tasks',
    items,
    columns: taskColumns,
    footer: items.length === 0 ? 'no task yet; quorate cluster plan' : '',
  })
  return exitCodes.ok
}

/** Every partition that is on its way; of a task that is over, what became of it. */
export async function showTask(context: CommandContext, id: string | undefined): Promise<ExitCode> {
  const found = await lookOnce(context)
  const { view } = found
  if (view !== undefined && (id === undefined || id === view.task.id)) {
    context.output.answer({
      kind: 'task',
      items: [view],
      columns: [
        { name: 'TASK', value: item => item.task.id },
        { name: 'STATE', value: item => item.task.state },
        { name: 'DONE', value: item => item.done },
        { name: 'PARTITIONS', value: item => item.task.moves },
        { name: 'RECEIVED BYTES', value: item => item.receivedBytes },
        { name: 'BYTES', value: item => item.task.bytes },
      ],
      drawing: style => [
        ...taskHeadline(view, style),
        ...(view.partitions.length === 0
          ? []
          : ['', ...tableLines(partitionColumns, view.partitions, style)]),
      ],
    })
    return exitCodes.ok
  }
  const items = taskItems(found)
  const past = id === undefined ? items.at(-1) : items.find(item => item.id === id)
  if (past === undefined) throw noTask(id)
  context.output.answer({
    kind: 'tasks',
    items: [past],
    columns: taskColumns,
    footer: past.undo.length === 0 ? '' : `back: ${past.undo.join('; ')}`,
  })
  return exitCodes.ok
}

const noTask = (id: string | undefined): CommandError =>
  new CommandError(exitCodes.notFound, id === undefined ? 'no task runs' : `there is no task ${id}`, {
    next: 'quorate task ls',
  })

export async function waitForTask(context: CommandContext, id: string | undefined): Promise<ExitCode> {
  const named = id ?? (await lookOnce(context)).view?.task.id
  if (named === undefined) throw noTask(undefined)
  return watchTask(context, named)
}

const MEANS = {
  pause: 'nothing is moved until it goes on; partitions in between stay readable and writable',
  resume: 'it goes on where it was',
  cancel:
    'what has not been switched is rolled back, what has been switched is finished; rows are lost in neither case',
} as const

export async function changeTask(
  context: CommandContext,
  verb: keyof typeof MEANS,
  id: string | undefined,
): Promise<ExitCode> {
  const document = await (await context.access.admin()).changeTask(verb, id).catch((error: unknown) => {
    if (!isKnown(error)) throw error
    throw new AdvisedError(error, 'Nothing was changed.', 'quorate task ls')
  })
  const { task } = document
  context.output.answer({
    kind: 'tasks',
    items: task === null ? [] : [{ id: task.id, state: task.state }],
    columns: [
      { name: 'TASK', value: item => item.id },
      { name: 'STATE', value: item => item.state },
    ],
    footer: `${MEANS[verb]}\nnext: quorate task wait ${task?.id ?? ''}`.trimEnd(),
  })
  return exitCodes.ok
}
