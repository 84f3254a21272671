/**
 * First byte of every key in the store: who owns it, and what a damaged value there means.
 *
 * Rows and what is derived from rows can be healed from replicas; everything else is a promise this
 * node made to others (acceptor states, clock bounds, identity): losing one silently is amnesia, so a
 * bad checksum there ends the store.
 */

import type { ByteString } from '../base/ids.ts'

export const keyspaces = {
  /** Acceptor states of registers. */
  acceptor: 'a',
  /** Damage marks: rows whose stored cell was bad and is not healed yet. */
  damage: 'd',
  /** Collection fences and watermarks per partition. */
  fence: 'f',
  /** Hints by target and row. */
  hint: 'h',
  /** Hints by target and age (newest first). */
  hintOrder: 'i',
  /** Logs of partitions that have a leader: a header and entries by position. */
  log: 'j',
  /** Ledger entries. */
  ledger: 'l',
  /** Identity, clock bound, genesis, configuration of the node. */
  meta: 'm',
  /** Ballots that replicas of consensus tables have promised, by row, while nothing is accepted under them. */
  promise: 'p',
  /** Rows: table, token, partition key, sort key. */
  row: 'r',
  /** The store's own record: incarnation and checkpoint position. Nobody else reads or writes it. */
  store: 's',
  /** What undoes entries of such logs, and how far each was carried out. */
  undo: 'u',
  /** Merkle leaf pages. */
  tree: 't',
} as const

const HEALABLE: ReadonlySet<string> = new Set([
  keyspaces.row,
  keyspaces.tree,
  keyspaces.ledger,
  keyspaces.hint,
  keyspaces.hintOrder,
])

export function healable(key: ByteString): boolean {
  return HEALABLE.has(key.charAt(0))
}
