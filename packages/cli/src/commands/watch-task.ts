/**
 * Follows a task until it is over. The task does not need this command: it may be detached from at any time,
 * and nodes may come, go and be killed while it is watched.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { AdminClient } from '../admin-client.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { Progress } from '../output/progress.ts'
import {
  type MergedTask,
  mergeTasks,
  type TaskItem,
  type TaskView,
  taskColumns,
  taskItems,
  waitsText,
} from '../output/task-text.ts'
import { bytes } from '../output/words.ts'

const LOOK_MS = 400
const ANSWER_MS = 2_000
/** Looks in a row at which nobody answered, before this command gives up (the task does not). */
const SILENT_LOOKS_MAX = 75
/** Members are asked for again once in so many looks. */
const MEMBERS_LOOKS = 10

/** The nodes of a cluster, remembered, so that they can be asked when the first one is gone. */
export class TaskNodes {
  readonly #context: CommandContext
  readonly #addresses = new Set<string>()
  #looks = 0

  constructor(context: CommandContext) {
    this.#context = context
  }

  /** Undefined: nobody answers. */
  async look(): Promise<MergedTask | undefined> {
    if (this.#looks++ % MEMBERS_LOOKS === 0) await this.#learn()
    const asked = [...this.#addresses].map(address => new AdminClient(address).task(ANSWER_MS))
    const answers = await Promise.allSettled(asked)
    const documents = answers.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []))
    return documents.length === 0 ? undefined : mergeTasks(documents)
  }

  async #learn(): Promise<void> {
    if (this.#addresses.size === 0) {
      for (const { admin } of await this.#context.access.nodes())
        if (admin.address !== '') this.#addresses.add(admin.address)
      return
    }
    for (const address of this.#addresses) {
      try {
        for (const { http } of (await new AdminClient(address).cluster(ANSWER_MS)).members)
          if (http !== '') this.#addresses.add(http)
        return
      } catch {
        // The next one may know.
      }
    }
  }
}

export async function lookOnce(context: CommandContext): Promise<MergedTask> {
  const found = await new TaskNodes(context).look()
  if (found === undefined) throw new CommandError(exitCodes.unreachable, 'no node answers')
  return found
}

type Ending = TaskItem | 'detached' | 'silent' | 'unknown'

export async function watchTask(context: CommandContext, id: string): Promise<ExitCode> {
  const ending = await follow(context, id)
  if (ending === 'detached') {
    context.output.note(`detached; the task goes on. To wait for it: quorate task wait ${id}`)
    return exitCodes.interrupted
  }
  if (ending === 'silent')
    throw new CommandError(exitCodes.unreachable, `no node answers; the task ${id} is as they left it`, {
      next: `quorate status, then quorate task wait ${id}`,
    })
  if (ending === 'unknown')
    throw new CommandError(exitCodes.notFound, `there is no task ${id}`, { next: 'quorate task ls' })
  context.output.answer({
    kind: 'tasks',
    items: [ending],
    columns: taskColumns,
    footer: ending.undo.length === 0 ? '' : `back: ${ending.undo.join('; ')}`,
  })
  return ending.state === 'done' ? exitCodes.ok : exitCodes.taskFailed
}

async function follow(context: CommandContext, id: string): Promise<Ending> {
  const nodes = new TaskNodes(context)
  let detached = false
  const detach = (): void => {
    detached = true
  }
  process.once('SIGINT', detach)
  let progress: Progress | undefined
  let silent = 0
  try {
    while (!detached) {
      const found = await nodes.look()
      silent = found === undefined ? silent + 1 : 0
      if (silent > SILENT_LOOKS_MAX) return 'silent'
      if (found?.view?.task.id === id) {
        progress ??= new Progress(
          context.output.terminal.error,
          `task ${id}`,
          'partitions',
          found.view.task.moves,
        )
        progress.done = found.view.done
        progress.note = noteOf(found.view)
      } else if (found !== undefined) {
        return taskItems(found).find(item => item.id === id && item.endedMs !== null) ?? 'unknown'
      }
      await pause(LOOK_MS)
    }
    return 'detached'
  } finally {
    process.removeListener('SIGINT', detach)
    progress?.end()
  }
}

function noteOf(view: TaskView): string {
  const state = view.task.state === 'running' ? '' : `  ${view.task.state}`
  const waits = waitsText(view)
  return `${bytes(view.receivedBytes)} of about ${bytes(view.task.bytes)}${state}${waits === '' ? '' : `  ${waits}`}`
}
