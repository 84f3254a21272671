/**
 * What clients did and heard: the only thing most checkers look at.
 *
 * Every write carries a tag of its own, so that a value seen anywhere names the write it came from.
 * `seen` is what the writer knowingly replaced: the tags visible in the read whose context it gives, or
 * nothing. A write that gives no context to a rule that then asks its coordinator may have replaced
 * anything its coordinator had; its `seen` is undefined and checkers can hold less against it.
 */

import type { Receipt } from '@quorate/client/pure'
import type { SeenOfPart } from '@quorate/core'

export interface WriteRecord {
  readonly kind: 'write'
  readonly client: string
  readonly table: string
  readonly key: string
  /** undefined: a delete. */
  readonly tag: string | undefined
  readonly operation: string
  readonly strict: boolean
  readonly seen: ReadonlySet<string> | undefined
  readonly callMs: number
  returnMs: number | undefined
  /** `pending` at the end counts as unknown. */
  outcome: 'pending' | 'ok' | 'failed' | 'unknown'
  receipt: Receipt | undefined
  /** What the writer has seen, of each part of the row, once it is acknowledged; covers the write's own dots. */
  context: readonly SeenOfPart[] | undefined
  error: string | undefined
}

export interface ReadRecord {
  readonly kind: 'read'
  readonly client: string
  readonly table: string
  readonly key: string
  readonly tags: readonly string[]
  readonly callMs: number
  readonly returnMs: number
  readonly receipt: Receipt
}

export class History {
  readonly writes: WriteRecord[] = []
  readonly reads: ReadRecord[] = []
  readonly #tagCounts = new Map<string, number>()

  nextTag(prefix: string): string {
    const count = (this.#tagCounts.get(prefix) ?? 0) + 1
    this.#tagCounts.set(prefix, count)
    return `${prefix}.${count}`
  }

  get operations(): number {
    return this.writes.length + this.reads.length
  }

  /** Writes and reads per row, in order of their calls. */
  byRow(): Map<string, RowHistory> {
    const rows = new Map<string, RowHistory>()
    const of = (table: string, key: string): RowHistory => {
      const name = `${table}/${key}`
      let row = rows.get(name)
      if (row === undefined) {
        row = { table, key, writes: [], reads: [] }
        rows.set(name, row)
      }
      return row
    }
    for (const write of this.writes) of(write.table, write.key).writes.push(write)
    for (const read of this.reads) of(read.table, read.key).reads.push(read)
    return rows
  }
}

export interface RowHistory {
  readonly table: string
  readonly key: string
  readonly writes: WriteRecord[]
  readonly reads: ReadRecord[]
}

/** May it have taken effect? */
export const mayBeApplied = (write: WriteRecord): boolean => write.outcome !== 'failed'
