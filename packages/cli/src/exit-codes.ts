/** Exit codes of the command: the same everywhere, listed by `quorate exit-codes`. */

export const exitCodes = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  unreachable: 3,
  unauthorised: 4,
  notFound: 5,
  conflict: 6,
  noQuorum: 7,
  outcomeUnknown: 8,
  partial: 9,
  unhealthy: 10,
  planHasChanges: 11,
  storeDamaged: 70,
  storeFailed: 74,
  assertion: 86,
  taskFailed: 123,
  timedOut: 124,
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'done',
  unexpected: 'an unexpected error',
  usage: 'wrong usage, or a configuration that cannot work',
  unreachable: 'no node could be reached',
  unauthorised: 'not authorised',
  notFound: 'no such row, table or thing',
  conflict: 'precondition failed, or a conflict that the caller must settle',
  noQuorum: 'no quorum, or nobody leads: nothing was done',
  outcomeUnknown: 'outcome unknown: the write may or may not have happened',
  partial: 'a partial answer, or some lines failed',
  unhealthy: 'unhealthy, or findings',
  planHasChanges: 'the plan has changes',
  storeDamaged: 'server: the store is damaged; start it again with --rebuild',
  storeFailed: 'server: the disk failed or is full',
  assertion: 'server: an internal check failed',
  taskFailed: 'a task failed',
  timedOut: 'timed out',
  interrupted: 'interrupted (Ctrl-C)',
}
