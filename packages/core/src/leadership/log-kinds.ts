/** What an entry of a leader's log carries; `leader/log-body.ts` says what each means. */
export const LOG_KINDS = ['statement', 'physical', 'logical'] as const
export type LogKind = (typeof LOG_KINDS)[number]
