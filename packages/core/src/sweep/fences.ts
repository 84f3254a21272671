/**
 * Collection fences: what this node refuses so that a collected tombstone cannot be overtaken from behind.
 *
 * Per partition two durable stamps. `fence`: writes and hints read from a store at or before it are
 * refused when new (their sender still has the row and sends it again, freshly read). `watermark`: the
 * cut of the last collection; *nothing* read at or before it is merged any more, hints included.
 * Invariant: watermark <= fence. See `sweep/SPEC.md`.
 */

import { prefixEnd, u32ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, Stamp, TableId } from '../base/ids.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import type { ReplicaWriteKind } from '../wire/messages.ts'

interface Fence {
  readonly fence: Stamp
  readonly watermark: Stamp
}

const none: Fence = { fence: 0 as Stamp, watermark: 0 as Stamp }

export class Fences {
  readonly #store: Store
  readonly #fences = new Map<ByteString, Fence>()
  /** Cells refused since the start of the process. */
  refused = 0

  constructor(store: Store) {
    this.#store = store
    for (const [key, value] of store.scan(keyspaces.fence as ByteString, prefixEnd(keyspaces.fence))) {
      if (value === DAMAGED) continue
      const reader = new ByteReader(value)
      this.#fences.set(key, { fence: reader.stamp(), watermark: reader.stamp() })
    }
  }

  /** Throws FENCED when a write read at `asOf` may not be merged here any more. */
  check(table: TableId, partition: Partition, kind: ReplicaWriteKind | 'store-hint', asOf: Stamp): void {
    if (this.#fences.size === 0) return
    const fence = this.#fences.get(fenceKey(table, partition)) ?? none
    const bound = kind === 'hint' ? fence.watermark : fence.fence
    if (asOf <= bound) {
      this.refused++
      throw new QuorateError(
        'FENCED',
        'this cell was read before a collection of tombstones; read it again and resend',
        {
          data: { asOf, bound },
        },
      )
    }
  }

  raise(table: TableId, partition: Partition, cut: Stamp): Position {
    const key = fenceKey(table, partition)
    const before = this.#fences.get(key) ?? none
    if (cut <= before.fence) return this.#store.positionOf(key)
    const fence = { ...before, fence: cut }
    const position = this.#store.commit([encodeFence(key, fence)])
    this.#fences.set(key, fence)
    return position
  }

  /** To be committed in the same batch as the removals it covers. */
  watermark(table: TableId, partition: Partition, cut: Stamp): TableWrite {
    const key = fenceKey(table, partition)
    const before = this.#fences.get(key) ?? none
    const watermark = Math.max(before.watermark, cut) as Stamp
    return this.#set(key, { watermark, fence: Math.max(before.fence, watermark) as Stamp })
  }

  of(table: TableId, partition: Partition): Fence {
    return this.#fences.get(fenceKey(table, partition)) ?? none
  }

  #set(key: ByteString, fence: Fence): TableWrite {
    this.#fences.set(key, fence)
    return encodeFence(key, fence)
  }
}

function encodeFence(key: ByteString, fence: Fence): TableWrite {
  const writer = new ByteWriter(16)
  writer.stamp(fence.fence)
  writer.stamp(fence.watermark)
  return { key, value: writer.take() }
}

/** Keyed by the partition's range, which outlives map versions that leave it alone. */
function fenceKey(table: TableId, partition: Partition): ByteString {
  return (keyspaces.fence +
    u32ToString(table) +
    u32ToString(partition.start) +
    u32ToString(partition.end - 1)) as ByteString
}
