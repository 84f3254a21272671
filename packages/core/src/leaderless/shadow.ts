/**
 * Shadow rule: what a live table would have kept under another conflict rule, measured without changing an answer.
 *
 * Under `lww` a put without a context replaces whatever its coordinator holds, and counts as having seen it; often nobody
 * had. Under `siblings` both would stand. This counts such writes where they are coordinated, each once, by the hour of
 * this node's clock; in memory, since the process began. What lost to a write that is known not to have seen it is in the
 * ledger besides.
 */

import type { OperationId, TableId } from '../base/ids.ts'
import { contextHas } from '../causality/context.ts'
import type { Cell, CellValue } from '../cells/cell.ts'
import type { WriteOperation } from '../cells/conflict-rule.ts'
import type { Clock } from '../ports/clock.ts'

export interface ShadowHour {
  /** Milliseconds since 1970, when it began. */
  readonly fromMs: number
  writes: number
  /** Writes that took the place of a value which their writer had not said to have seen. */
  overwriting: number
}

const HOUR_MS = 3_600_000
const HOURS_KEPT = 48

export class ShadowCounts {
  readonly #clock: Clock
  readonly #hours = new Map<TableId, ShadowHour[]>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(table: TableId, base: Cell, write: WriteOperation): void {
    const hour = this.#hour(table)
    hour.writes++
    if (overwritten(base, write).length > 0) hour.overwriting++
  }

  /** Oldest first; hours without writes are left out. */
  of(table: TableId): readonly ShadowHour[] {
    return this.#hours.get(table) ?? []
  }

  #hour(table: TableId): ShadowHour {
    const fromMs = Math.floor(this.#clock.wallMs() / HOUR_MS) * HOUR_MS
    const hours = this.#hours.get(table) ?? []
    const last = hours.at(-1)
    if (last?.fromMs === fromMs) return last
    const now = { fromMs, writes: 0, overwriting: 0 }
    this.#hours.set(table, [...hours, now].slice(-HOURS_KEPT))
    return now
  }
}

/** Values that would stand beside the write under `siblings`. A delete without a context deletes what is there. */
export function overwritten(
  base: Cell,
  { operation, value, seen, after }: WriteOperation,
): readonly CellValue[] {
  if (value === undefined && seen === undefined) return []
  const isSeen = (one: CellValue): boolean =>
    one.operation === operation ||
    contextHas(seen?.context ?? [], one.actor, one.stamp) ||
    contextHas(after ?? [], one.actor, one.stamp) ||
    (seen?.operations ?? none).includes(one.operation)
  return base.values.filter(one => one.value !== undefined && !isSeen(one))
}

const none: readonly OperationId[] = []
