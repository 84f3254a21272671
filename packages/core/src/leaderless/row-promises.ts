/**
 * What a replica of a consensus table has promised for a row: to accept nothing under an older ballot.
 *
 * A ballot is a dot: the stamp of the proposer's clock, and the incarnation of its store. What is accepted stands in the
 * row's cell under the ballot as its dot, so an accepted cell is a promise, too; a promise of its own is kept only while
 * nothing is accepted under it.
 *
 * Invariant: a promise is durable before it is told, and is there until something under it or under a later one is accepted.
 */

import { bytesToString, stringToBytes, stringToU64, u64ToString } from '../base/bytes.ts'
import type { ByteString, Incarnation, Stamp } from '../base/ids.ts'
import { type Cell, compareDots, type Dot } from '../cells/cell.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store } from '../store/store-face.ts'

export const promiseKey = (row: ByteString): ByteString => (keyspaces.promise + row) as ByteString

/** Undefined: none that is not accepted. */
export function promisedFor(store: Pick<Store, 'get'>, row: ByteString): Dot | undefined {
  const stored = store.get(promiseKey(row))
  if (stored === undefined || stored === DAMAGED) return undefined
  const text = bytesToString(stored)
  return { stamp: stringToU64(text, 0) as Stamp, actor: text.slice(8) as string as Incarnation }
}

export const promiseOf = (row: ByteString, { stamp, actor }: Dot): TableWrite => ({
  key: promiseKey(row),
  value: stringToBytes(u64ToString(stamp) + actor),
})

/** The ballot under which the value in a cell was accepted. */
export const ballotOf = (cell: Cell | undefined): Dot | undefined => cell?.values[0]

/** Undefined is older than anything. */
export function isOlder(a: Dot | undefined, b: Dot | undefined): boolean {
  if (a === undefined || b === undefined) return a === undefined && b !== undefined
  return compareDots(a, b) < 0
}
