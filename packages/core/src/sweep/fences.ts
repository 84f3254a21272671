/**
 * Collection fences: what this node refuses so that a collected tombstone cannot be overtaken from behind.
 *
 * Per range of keys two durable stamps. `fence`: writes and hints read from a store at or before it are
 * refused when new (their sender still has the row and sends it again, freshly read). `watermark`: the
 * cut of the last collection; *nothing* read at or before it is merged any more, hints included.
 * A range is that of the partition as it was at the collection; partitions split and merge, the ranges stay,
 * and for a key the highest stamps of all ranges around it count.
 * Invariant: watermark <= fence. See `sweep/SPEC.md`.
 */

import { prefixEnd, u32ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import type { TableWrite } from '../ports/table.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Position, type Store } from '../store/store-face.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import type { ReplicaWriteKind } from '../wire/messages.ts'

export interface KeyRange {
  readonly from: ByteString
  readonly to: ByteString
}

interface Fence {
  readonly fence: Stamp
  readonly watermark: Stamp
}

interface FencedRange extends KeyRange, Fence {}

/** What holds from a key up to the next step. */
interface Step extends Fence {
  readonly from: ByteString
}

const none: Fence = { fence: 0 as Stamp, watermark: 0 as Stamp }

export class Fences {
  readonly #store: Store
  readonly #ranges = new Map<ByteString, FencedRange>()
  /** Ascending; the first is that of all keys before any range. */
  readonly #steps: Step[] = [{ from: '' as ByteString, ...none }]
  /** Cells refused since the start of the process. */
  refused = 0

  constructor(store: Store) {
    this.#store = store
    for (const [key, value] of store.scan(keyspaces.fence as ByteString, prefixEnd(keyspaces.fence))) {
      if (value === DAMAGED) continue
      const range = decodeFence(value)
      this.#ranges.set(key, range)
      this.#raiseSteps(range)
    }
  }

  /** Every step of the range to no less than this. */
  #raiseSteps({ from, to, fence, watermark }: FencedRange): void {
    const [first, end] = [this.#stepAt(from), this.#stepAt(to)]
    for (let at = first; at < end; at++) {
      const step = this.#steps[at]!
      if (step.fence >= fence && step.watermark >= watermark) continue
      this.#steps[at] = {
        from: step.from,
        fence: Math.max(step.fence, fence) as Stamp,
        watermark: Math.max(step.watermark, watermark) as Stamp,
      }
    }
  }

  /** Index of the step that begins at the key, which is made when there is none. */
  #stepAt(key: ByteString): number {
    const at = this.#find(key)
    const step = this.#steps[at]!
    if (step.from === key) return at
    this.#steps.splice(at + 1, 0, { ...step, from: key })
    // The one before it may have been found first by a caller: it has not moved.
    return at + 1
  }

  /** Index of the step that holds for a key. */
  #find(key: ByteString): number {
    let low = 0
    let high = this.#steps.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#steps[middle]!.from <= key) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Throws FENCED when a write of this row that was read at `asOf` may not be merged here any more. */
  check(key: ByteString, kind: ReplicaWriteKind | 'store-hint', asOf: Stamp): void {
    if (this.#ranges.size === 0) return
    const fence = this.at(key)
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

  /** What holds for a key. */
  at(key: ByteString): Fence {
    return this.#steps[this.#find(key)]!
  }

  raise(range: KeyRange, cut: Stamp): Position {
    const key = fenceKey(range)
    const before = this.#ranges.get(key) ?? none
    if (cut <= before.fence) return this.#store.positionOf(key)
    const write = encodeFence(key, range, { ...before, fence: cut })
    const position = this.#store.commit([write])
    this.#set(key, range, { ...before, fence: cut })
    return position
  }

  /** To be committed in the same batch as the removals it covers. */
  watermark(range: KeyRange, cut: Stamp): TableWrite {
    const key = fenceKey(range)
    const before = this.#ranges.get(key) ?? none
    const watermark = Math.max(before.watermark, cut) as Stamp
    const fence = { watermark, fence: Math.max(before.fence, watermark) as Stamp }
    this.#set(key, range, fence)
    return encodeFence(key, range, fence)
  }

  #set(key: ByteString, { from, to }: KeyRange, { fence, watermark }: Fence): void {
    const range = { from, to, fence, watermark }
    this.#ranges.set(key, range)
    this.#raiseSteps(range)
  }
}

const KEY_BYTES_MAX = 2 * limits.keyBytesMax + 16

function encodeFence(key: ByteString, range: KeyRange, fence: Fence): TableWrite {
  const writer = new ByteWriter(64)
  writer.stamp(fence.fence)
  writer.stamp(fence.watermark)
  writer.byteString(range.from)
  writer.byteString(range.to)
  return { key, value: writer.take() }
}

function decodeFence(bytes: Uint8Array): FencedRange {
  const reader = new ByteReader(bytes)
  const [fence, watermark] = [reader.stamp(), reader.stamp()]
  return { fence, watermark, from: reader.byteString(KEY_BYTES_MAX), to: reader.byteString(KEY_BYTES_MAX) }
}

/** Bounds may be longer than a key of the store may be: their hash names them. */
function fenceKey({ from, to }: KeyRange): ByteString {
  const bounds = `${from}\0\0${to}`
  const [a, b] = [murmur3OfString(bounds, 1), murmur3OfString(bounds, 2)]
  return (keyspaces.fence + from.slice(1, 5) + u32ToString(a) + u32ToString(b)) as ByteString
}
