/**
 * One ordered walk over memtable, frozen memtable and table.
 *
 * Newer layers hide older ones key by key; a tombstone hides without yielding. The walk is lazy, so a
 * short page of a long range reads little. It must not be interleaved with a commit: the memtable is
 * walked live, and the walk asserts that nothing was written under it.
 */

import { assert } from '../base/assert.ts'
import type { ByteString } from '../base/ids.ts'
import type { ScanOptions, Table } from '../ports/table.ts'
import { keyspaces } from './keyspace.ts'
import type { Memtable, MemtableEntry } from './memtable.ts'
import type { Damaged } from './store-face.ts'

export interface ScanLayers {
  readonly memtable: Memtable
  readonly frozen: Memtable | undefined
  readonly table: Table
  /** Opens a value of the table; throws when the damage cannot be healed. */
  open(key: ByteString, sealed: Uint8Array): Uint8Array | Damaged
}

type Row = [ByteString, Uint8Array | Damaged]

export function* mergedScan(
  layers: ScanLayers,
  from: ByteString,
  to: ByteString | undefined,
  options: ScanOptions,
): IterableIterator<Row> {
  const reverse = options.reverse ?? false
  const limit = options.limit ?? Number.POSITIVE_INFINITY
  if (limit <= 0 || (to !== undefined && to <= from)) return
  const { memtable } = layers
  const changes = memtable.changes
  const upper = memtable.entries(from, to, reverse)
  const middle = layers.frozen?.entries(from, to, reverse)
  const lower = layers.table.scan(from, to, { reverse })[Symbol.iterator]()
  let count = 0
  try {
    let a = next(upper)
    let b = next(middle)
    let c = next(lower)
    while (a !== undefined || b !== undefined || c !== undefined) {
      const key = first(a?.[0], b?.[0], c?.[0], reverse)
      const inTable = c !== undefined && c[0] === key ? c : undefined
      let entry: MemtableEntry | undefined
      if (b !== undefined && b[0] === key) {
        entry = b[1]
        b = next(middle)
      }
      if (a !== undefined && a[0] === key) {
        entry = a[1]
        a = next(upper)
      }
      if (inTable !== undefined) c = next(lower)
      const value = entry === undefined ? openRow(layers, inTable) : entry.value
      if (value === undefined) continue
      yield [key, value]
      assert(memtable.changes === changes, 'a scan must be finished before the next commit')
      if (++count >= limit) return
    }
  } finally {
    lower.return?.()
  }
}

function openRow(layers: ScanLayers, row: [ByteString, Uint8Array] | undefined): Row[1] | undefined {
  if (row === undefined || row[0].startsWith(keyspaces.store)) return undefined
  return layers.open(row[0], row[1])
}

function next<T>(iterator: Iterator<T> | undefined): T | undefined {
  if (iterator === undefined) return undefined
  const step = iterator.next()
  return step.done ? undefined : step.value
}

/** Of up to three keys the one the walk meets first. */
function first(
  a: ByteString | undefined,
  b: ByteString | undefined,
  c: ByteString | undefined,
  reverse: boolean,
): ByteString {
  let best = a
  if (b !== undefined && (best === undefined || (reverse ? b > best : b < best))) best = b
  if (c !== undefined && (best === undefined || (reverse ? c > best : c < best))) best = c
  assert(best !== undefined, 'a walk has a next key')
  return best
}
