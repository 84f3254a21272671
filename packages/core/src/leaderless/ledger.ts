/**
 * The ledger: everything a conflict rule discarded, with its value. An entry is written in the same batch
 * as the state that no longer holds the value, so there is no moment in which it is in neither. The key is
 * the dot: several replicas that drop the same write record it once each, and readers count dots.
 */

import {
  hexToString,
  prefixEnd,
  stringToHex,
  stringToU32,
  stringToU64,
  u32ToString,
  u64ToString,
} from '../base/bytes.ts'
import type { ByteString, NodeId, Stamp, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Cell, CellValue } from '../cells/cell.ts'
import { type Document, decodeDocument, encodeDocument } from '../cells/document.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'

export const LEDGER_REASONS = [
  'concurrent-loser',
  'expired-hint',
  /** From the end of a log that a newer leader does not have: nobody was told that it was done … */
  'cut-unacknowledged',
  /** … or somebody may have been. */
  'cut-possibly-acknowledged',
] as const
export type LedgerReason = (typeof LEDGER_REASONS)[number]

export interface LedgerEntry {
  readonly table: TableId
  readonly rowKey: ByteString
  /** Name of the discarded write. */
  readonly dot: { readonly actor: string; readonly stamp: Stamp }
  readonly operation: string
  /** Encoded document; undefined for a discarded delete. */
  readonly value: Uint8Array | undefined
  readonly reason: LedgerReason
  readonly node: NodeId
  /** Names the entry, on whichever node a copy of it is. */
  readonly id: string
  /** `value` is a statement that its log shipped, not a row. */
  readonly isStatement: boolean
  readonly restored: boolean
  /** What it lost to, as it was then; undefined: that was not one write, or is not known. */
  readonly winner: LedgerWinner | undefined
}

export interface LedgerWinner {
  readonly stamp: Stamp
  readonly operation: string
  /** Encoded document; undefined for a delete. */
  readonly value: Uint8Array | undefined
}

export interface EntryOptions {
  readonly isStatement?: boolean
  readonly winner?: CellValue | undefined
}

const winnerDocument = ({ stamp, operation, value }: CellValue): Document => ({
  stamp,
  operation: stringToHex(operation),
  value: value ?? null,
})

/** Two values, what was lost and what it lost to; row key, operation and reason, in text. */
const ENTRY_BYTES_MAX = 2 * limits.valueBytesMax + 8 * 1024

/** Of a full ledger at once: to count it takes a look at every entry. */
const DROPPED_SHARE = 0.01

export class Ledger {
  readonly #store: Store
  readonly #self: NodeId
  #count = 0
  /** Entries dropped because the ledger was full. */
  dropped = 0
  /** Entries written since the start of the process. */
  recorded = 0

  constructor(store: Store, self: NodeId) {
    this.#store = store
    this.#self = self
    this.#count = this.#stored()
  }

  #stored(): number {
    let count = 0
    for (const _ of this.#store.scan(keyspaces.ledger as ByteString, prefixEnd(keyspaces.ledger))) count++
    return count
  }

  /** Entries on this node. */
  get count(): number {
    return this.#count
  }

  /** The writes to add to the batch that discards. */
  entries(
    table: TableId,
    rowKey: ByteString,
    discarded: readonly CellValue[],
    reason: LedgerReason,
    { isStatement = false, winner }: EntryOptions = {},
  ): TableWrite[] {
    const writes: TableWrite[] = []
    for (const loser of discarded) {
      const key = (keyspaces.ledger +
        u32ToString(table) +
        u64ToString(loser.stamp) +
        loser.actor) as ByteString
      if (this.#store.get(key) !== undefined) continue
      this.#count++
      this.recorded++
      writes.push({
        key,
        value: encodeDocument(
          {
            rowKey: stringToHex(rowKey),
            operation: stringToHex(loser.operation),
            value: loser.value ?? null,
            reason,
            ...(isStatement ? { isStatement } : {}),
            ...(winner === undefined ? {} : { winner: winnerDocument(winner) }),
          },
          'ledger entry',
          ENTRY_BYTES_MAX,
        ),
      })
    }
    if (this.#count > limits.ledgerEntriesMax) {
      // Batches that a full store refused were counted, too: only what is really there is a reason to drop.
      this.#count = this.#stored()
      if (this.#count > limits.ledgerEntriesMax) this.#count -= this.#dropOldest(writes)
    }
    return writes
  }

  #dropOldest(writes: TableWrite[]): number {
    const range = { limit: Math.ceil(limits.ledgerEntriesMax * DROPPED_SHARE) }
    const oldest = [...this.#store.scan(keyspaces.ledger as ByteString, prefixEnd(keyspaces.ledger), range)]
    for (const [key] of oldest) writes.push({ key, value: undefined })
    this.dropped += oldest.length
    return oldest.length
  }

  /** The entry of this name, if it is on this node. */
  find(id: string): LedgerEntry | undefined {
    const key = keyOfId(id)
    const stored = key === undefined ? undefined : this.#store.get(key)
    return stored === undefined || stored === DAMAGED ? undefined : decodeEntry(key!, stored, this.#self)
  }

  /** It has been applied once more, and will not be again. The position to wait for. */
  markRestored(id: string): Position {
    const key = keyOfId(id)!
    const document = decodeDocument(this.#store.get(key) as Uint8Array) as Record<string, Document>
    const value = encodeDocument({ ...document, restored: true }, 'ledger entry', ENTRY_BYTES_MAX)
    return this.#store.commit([{ key, value }])
  }

  /** Entries of one table (or all), oldest first, from `since` on. */
  *list(table: TableId | undefined, since: Stamp, limit: number): Generator<LedgerEntry> {
    const prefix = keyspaces.ledger + (table === undefined ? '' : u32ToString(table))
    const from = (table === undefined ? prefix : prefix + u64ToString(since)) as ByteString
    let left = limit
    for (const [key, value] of this.#store.scan(from, prefixEnd(prefix))) {
      if (left <= 0) return
      if (value === DAMAGED) continue
      const entry = decodeEntry(key, value, this.#self)
      if (entry.dot.stamp < since) continue
      left--
      yield entry
    }
  }
}

/** What a rule has kept where it keeps one value. */
export const winnerOf = ({ values }: Cell): CellValue | undefined =>
  values.length === 1 ? values[0] : undefined

function decodeEntry(key: ByteString, bytes: Uint8Array, node: NodeId): LedgerEntry {
  const document = decodeDocument(bytes) as {
    rowKey: string
    operation: string
    value: Uint8Array | null
    reason: LedgerReason
    isStatement?: boolean
    restored?: boolean
    winner?: { stamp: Stamp; operation: string; value: Uint8Array | null }
  }
  const { winner } = document
  return {
    table: keyTable(key),
    rowKey: hexToString(document.rowKey),
    dot: { actor: stringToHex(key.slice(13)), stamp: keyStamp(key) },
    operation: document.operation,
    value: document.value ?? undefined,
    reason: document.reason,
    node,
    id: stringToHex(key.slice(1)),
    isStatement: document.isStatement === true,
    restored: document.restored === true,
    winner: winner === undefined ? undefined : { ...winner, value: winner.value ?? undefined },
  }
}

const keyTable = (key: ByteString): TableId => stringToU32(key, 1) as TableId
const keyStamp = (key: ByteString): Stamp => stringToU64(key, 5) as Stamp

/** Table, stamp and incarnation, in hexadecimal digits. */
const ID_DIGITS = 40

function keyOfId(id: string): ByteString | undefined {
  if (id.length !== ID_DIGITS || !/^[0-9a-f]+$/.test(id)) return undefined
  return (keyspaces.ledger + hexToString(id)) as ByteString
}
