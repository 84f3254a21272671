/** Why a node did not start, as one readable message with the next command and an exit code. */

import { CommandError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

interface StartProblem extends Error {
  readonly code: string
  readonly data: Readonly<Record<string, unknown>>
}

export function startFailure(error: unknown, where: { id?: string; data?: string } = {}): unknown {
  if (!(error instanceof Error) || error.name !== 'QuorateError') return systemFailure(error, where)
  const { code, data, message } = error as StartProblem
  const id = where.id ?? 'ID'
  switch (code) {
    case 'STORE_DAMAGED':
      return new CommandError(exitCodes.storeDamaged, message, {
        done: 'Nothing was changed. The other replicas still hold what this node acknowledged.',
        next: `quorate start --id ${id} … --rebuild   (moves ${where.data ?? 'the directory'} aside; the node is filled from its replicas)`,
        cause: error.cause,
      })
    case 'STORE_FAILED':
    case 'STORE_FULL':
      return new CommandError(exitCodes.storeFailed, message, {
        done: 'The node did not start; nothing was acknowledged.',
        next: 'df -h, make room or replace the disk, then start the node again',
        cause: error.cause,
      })
    case 'BAD_REQUEST':
      return new CommandError(exitCodes.usage, message, { next: nextFor(data), cause: error.cause })
    default:
      return error
  }
}

function nextFor(data: Readonly<Record<string, unknown>>): string | undefined {
  if (data.systemCode === 'EADDRINUSE')
    return `ss -ltnp | grep ${String(data.bind).split(':').at(-1)}   (who has it), or choose another --${String(data.field)}`
  if (data.owner !== undefined)
    return `quorate start --id ${String(data.owner)} …, or another --data directory`
  if (data.process !== undefined) return `kill ${String(data.process)}, or another --data directory`
  if (data.directory !== undefined) return 'another --data directory: one that can be made and written'
  if (data.field !== undefined) return 'quorate start --help'
  return undefined
}

function systemFailure(error: unknown, where: { data?: string }): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  const full: ExitCode = exitCodes.storeFailed
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS')
    return new CommandError(
      full,
      `the data directory ${where.data ?? ''} cannot be written: ${(error as Error).message}`,
      {
        done: 'The node did not start; nothing was acknowledged.',
        next: 'df -h, make room, then start the node again',
      },
    )
  if (code === 'EACCES' || code === 'EPERM')
    return new CommandError(exitCodes.usage, `no permission: ${(error as Error).message}`, {
      next: `ls -ld ${where.data ?? ''}`,
    })
  return error
}

/** The cluster does not take the node: what it said, and what to do. Undefined for other errors. */
export function refusal(error: unknown, where: { id: string; data: string }): CommandError | undefined {
  if (!(error instanceof Error) || error.name !== 'QuorateError') return undefined
  const { code, data, message } = error as StartProblem
  const refused = (next: string): CommandError =>
    new CommandError(exitCodes.conflict, message, {
      done: 'The node has ended; the cluster is as it was.',
      next,
    })
  switch (code) {
    case 'CONFLICT':
      return refused(
        message.includes('empty data directory')
          ? `mv ${where.data} ${where.data}.old, then quorate start --id ${where.id} … --join HOST:PORT   (it comes back as a new, empty member)`
          : 'quorate cluster status   (the ids and addresses that are taken), then start it with others',
      )
    case 'WRONG_CLUSTER':
      return refused(
        `--join an address of cluster ${String(data.asked ?? '')}, or leave --cluster out to join cluster ${String(data.cluster ?? '')}`,
      )
    case 'BAD_REQUEST':
      return refused(
        data.field === 'zone' || message.includes('zone:')
          ? 'quorate start … --zone with one of these, or with --new-zone'
          : 'quorate start --help',
      )
    default:
      return undefined
  }
}
