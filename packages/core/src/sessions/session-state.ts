/**
 * What a session has seen, as a value: the predicates that its guarantees rest on (Terry, Demers, Petersen, Spreitzer,
 * Theimer, Welch, "Session Guarantees for Weakly Consistent Replicated Data", 1994).
 *
 * Of tables with leaders: per partition the greatest (epoch, position) seen. Of leaderless tables a single stamp would
 * not do (a replica may have a later write and lack an earlier one of another coordinator), so: per row the context that
 * was seen, exactly. A reader may be shown a row when what it is shown covers that context.
 *
 * Causes. A write in a session is stored with all its session knows (`CellValue.causes`), and whoever reads the value in
 * a session knows the same from then on: so an answer is never seen without the question, whichever partitions they are
 * in. It is all, not the nearest causes as in COPS (Lloyd et al., 2011): there replicas hold a write back until its causes
 * are there, and nearness is enough; here readers demand them, and would not know of a cause's causes.
 *
 * Bounds. Rows past a limit are *settled*, the oldest first (sessions/SPEC.md): made sure to be on a write quorum of
 * their homes; then the row is forgotten and its table marked. From then on this session, and whoever reads what it
 * writes, reads that table at a quorum of homes.
 *
 * Invariants: led sorted by (table, partition), rows by key, settled ascending, all distinct; no empty context. Merge is
 * commutative, associative and idempotent.
 */

import type { ByteString, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Context, contextMax, mergeContexts } from '../causality/context.ts'
import { readContext, writeContext } from '../cells/cell-codec.ts'
import { rowTable } from '../partitioning/row-key.ts'
import type { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'

/** Of one partition of a table with leaders. */
export interface LedEntry {
  readonly table: number
  readonly partition: number
  readonly epoch: number
  readonly position: number
}

/** Of one row of a leaderless table, by its key in the store, which names the table too. */
export interface RowEntry {
  readonly key: ByteString
  readonly context: Context
}

export interface SessionState {
  readonly led: readonly LedEntry[]
  readonly rows: readonly RowEntry[]
  /** Leaderless tables of which rows have been forgotten, which are on a write quorum of homes. */
  readonly settled: readonly number[]
}

export const emptySession: SessionState = { led: [], rows: [], settled: [] }

const compareKeys = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
const compareLed = (a: LedEntry, b: LedEntry): number => a.table - b.table || a.partition - b.partition
const isLater = (a: LedEntry, b: LedEntry): boolean =>
  a.epoch > b.epoch || (a.epoch === b.epoch && a.position > b.position)

export function mergeSessions(a: SessionState, b: SessionState): SessionState {
  if (b === emptySession) return a
  if (a === emptySession) return b
  return {
    led: union(a.led, b.led, compareLed, (x, y) => (isLater(y, x) ? y : x)),
    rows: union(
      a.rows,
      b.rows,
      (x, y) => compareKeys(x.key, y.key),
      (x, y) => ({ key: x.key, context: mergeContexts(x.context, y.context) }),
    ),
    settled: union(
      a.settled,
      b.settled,
      (x, y) => x - y,
      x => x,
    ),
  }
}

/** Of two sorted lists. */
function union<T>(
  a: readonly T[],
  b: readonly T[],
  compare: (x: T, y: T) => number,
  join: (x: T, y: T) => T,
): readonly T[] {
  if (b.length === 0) return a
  if (a.length === 0) return b
  const out: T[] = []
  let j = 0
  for (const item of a) {
    while (j < b.length && compare(b[j]!, item) < 0) out.push(b[j++]!)
    out.push(j < b.length && compare(b[j]!, item) === 0 ? join(item, b[j++]!) : item)
  }
  while (j < b.length) out.push(b[j++]!)
  return out
}

/** The session after it has seen this much of a row. */
export function withRow(state: SessionState, key: ByteString, context: Context): SessionState {
  return context.length === 0 ? state : mergeSessions(state, { ...emptySession, rows: [{ key, context }] })
}

/** The session after it has seen this much of a partition with a leader. */
export function withLed(state: SessionState, entry: LedEntry): SessionState {
  return mergeSessions(state, { ...emptySession, led: [entry] })
}

export function ledEntryOf(state: SessionState, table: number, partition: number): LedEntry | undefined {
  return state.led.find(entry => entry.table === table && entry.partition === partition)
}

/** What must be seen of a row. */
export function contextOf(state: SessionState, key: ByteString): Context {
  return state.rows.find(row => row.key === key)?.context ?? []
}

export function isSettled(state: SessionState, table: TableId): boolean {
  return state.settled.includes(table)
}

/** The session once these rows are settled. Not for rows that are not: they would be forgotten. */
export function settle(state: SessionState, rows: readonly RowEntry[]): SessionState {
  const gone = new Set(rows.map(({ key }) => key))
  const tables = [...new Set(rows.map(({ key }) => rowTable(key) as number))].sort((a, b) => a - b)
  const left = { ...state, rows: state.rows.filter(({ key }) => !gone.has(key)) }
  return mergeSessions(left, { ...emptySession, settled: tables })
}

/** The rows seen longest ago that are too many for these bounds; none when all fit. */
export function excessRows(state: SessionState, rowsMax: number, bytesMax: number): readonly RowEntry[] {
  const oldest = [...state.rows].sort(
    (a, b) => contextMax(a.context) - contextMax(b.context) || compareKeys(a.key, b.key),
  )
  let left = oldest.length
  let bytes = encodeSession(state).length
  const out: RowEntry[] = []
  for (const row of oldest) {
    if (left <= rowsMax && bytes <= bytesMax) break
    out.push(row)
    left--
    bytes -= rowBytes(row)
  }
  return out
}

/** Would a token, or what is stored with a value, of this session be within these bounds? */
export function fits(state: SessionState, rowsMax: number, bytesMax: number): boolean {
  return state.rows.length <= rowsMax && encodeSession(state).length <= bytesMax
}

const rowBytes = ({ key, context }: RowEntry): number => {
  const intervals = context.reduce((sum, history) => sum + history.intervals.length / 2, 0)
  return key.length + context.length * 9 + intervals * 8
}

/** What `state` knows beside `row`: what a write of this row is caused by, as it is stored with its value. */
export function causesOf(state: SessionState, row: ByteString): Uint8Array | undefined {
  const causes = { ...state, rows: state.rows.filter(({ key }) => key !== row) }
  const isNone = causes.rows.length === 0 && causes.led.length === 0 && causes.settled.length === 0
  return isNone ? undefined : encodeSession(causes)
}

export function encodeSession(state: SessionState): Uint8Array {
  const writer = new ByteWriter()
  writer.varint(state.led.length)
  for (const { table, partition, epoch, position } of state.led) {
    writer.u32(table)
    writer.varint(partition)
    writer.varint(epoch)
    writer.varint(position)
  }
  writer.varint(state.rows.length)
  for (const { key, context } of state.rows) {
    writer.byteString(key)
    writeContext(writer, context)
  }
  writer.varint(state.settled.length)
  for (const table of state.settled) writer.u32(table)
  return writer.take()
}

const ROW_KEY_BYTES_MAX = 2 * limits.keyBytesMax + 16

/** Throws BAD_FRAME for anything that `encodeSession` does not give. */
export function readSession(reader: ByteReader): SessionState {
  const led: LedEntry[] = []
  for (let left = reader.count(limits.sessionLedMax, 7); left > 0; left--) {
    const entry = {
      table: reader.u32(),
      partition: reader.varint(),
      epoch: reader.varint(),
      position: reader.varint(),
    }
    if (led.length > 0 && compareLed(led.at(-1)!, entry) >= 0) reader.fail('partitions are not in order')
    led.push(entry)
  }
  const rows: RowEntry[] = []
  for (let left = reader.count(limits.sessionRowsMax, 12); left > 0; left--) {
    const key = reader.byteString(ROW_KEY_BYTES_MAX)
    if (key.length < 9) reader.fail('a row has no key')
    if (rows.length > 0 && rows.at(-1)!.key >= key) reader.fail('rows are not in order')
    const context = readContext(reader)
    if (context.length === 0) reader.fail('a row has no context')
    rows.push({ key, context })
  }
  const settled: number[] = []
  for (let left = reader.count(limits.tablesMax, 4); left > 0; left--) {
    const table = reader.u32()
    if (settled.length > 0 && settled.at(-1)! >= table) reader.fail('tables are not in order')
    settled.push(table)
  }
  return { led, rows, settled }
}
