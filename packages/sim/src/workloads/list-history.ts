/** What clients did to rows that are lists, in real time: appends, each with a tag of its own, and reads. */

import type { Receipt } from '@quorate/client/pure'

export interface ListAppend {
  readonly row: string
  readonly client: string
  /** In which it was done, if in one. */
  readonly session: string | undefined
  readonly tag: string
  readonly beganMs: number
  /** Infinity: nobody was ever told. */
  readonly endedMs: number
  /** `refused`: its condition did not hold, and nothing was done. */
  readonly outcome: 'ok' | 'refused' | 'not-applied' | 'unknown'
  readonly receipt: Receipt | undefined
}

export interface ListRead {
  readonly row: string
  readonly client: string
  /** In which it was done, if in one. */
  readonly session: string | undefined
  readonly beganMs: number
  readonly endedMs: number
  readonly found: readonly string[]
  readonly receipt: Receipt | undefined
  /** By the leader under its lease, or a refused condition, which is a read by the leader. */
  readonly byLeader: boolean
}

export class ListHistory {
  readonly appends: ListAppend[] = []
  readonly reads: ListRead[] = []

  rows(): string[] {
    return [...new Set([...this.appends, ...this.reads].map(({ row }) => row))].sort()
  }

  get operations(): number {
    return this.appends.length + this.reads.length
  }
}

/** Tags in what a cut entry held: a row, or the steps that were to change one. */
export function tagsOf(document: unknown): string[] {
  const { l, update } = document as {
    l?: string[]
    update?: { path: string[]; items?: { value: string }[] }[]
  }
  const steps = update?.find(({ path }) => path[0] === 'l')?.items ?? []
  return [...(l ?? []), ...steps.map(({ value }) => value)]
}
