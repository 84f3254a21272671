/**
 * The bytes of one group commit while it forms.
 *
 * Batches are encoded straight into one growing buffer that is used again for a later group; in front
 * of them is room for a segment header and the record header (and behind them for its last byte), whose contents are known only when the
 * group is written. So a group costs one append and no copy.
 *
 *   batch   0xB1 | write count u32 | writes
 *   write   1 | key length u16 | key | value length u32 | value        (put)
 *           2 | key length u16 | key                                   (remove)
 */

import { assert } from '../base/assert.ts'
import type { ByteString } from '../base/ids.ts'
import type { TableWrite } from '../ports/table.ts'
import { RECORD_HEADER_BYTES, RECORD_TRAILER_BYTES, SEGMENT_HEADER_BYTES } from './segment-format.ts'

const BATCH = 0xb1
const PUT = 1
const REMOVE = 2

/** First byte of the first batch. */
export const GROUP_PAYLOAD_AT = SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES
const SIZE_FIRST = 64 * 1024
/** A buffer that grew past this for one large group is given back rather than kept. */
const SIZE_KEPT = 8 * 1024 * 1024

export class GroupBuffer {
  bytes = new Uint8Array(SIZE_FIRST)
  /** End of what is written. */
  end = GROUP_PAYLOAD_AT

  get payloadBytes(): number {
    return this.end - GROUP_PAYLOAD_AT
  }

  reset(): void {
    this.end = GROUP_PAYLOAD_AT
    if (this.bytes.length > SIZE_KEPT) this.bytes = new Uint8Array(SIZE_FIRST)
  }

  /** Appends one batch. An impossible key leaves the buffer as it was and throws. */
  add(batch: readonly TableWrite[]): void {
    let size = 5
    for (const write of batch) size += 7 + write.key.length + (write.value?.length ?? 0)
    this.#reserve(size)
    const bytes = this.bytes
    let at = this.end
    bytes[at] = BATCH
    at = putU32(bytes, at + 1, batch.length)
    for (const { key, value } of batch) {
      bytes[at] = value === undefined ? REMOVE : PUT
      const length = key.length
      assert(length > 0 && length <= 0xffff, 'a key has 1 … 65535 bytes', length)
      bytes[at + 1] = length
      bytes[at + 2] = length >>> 8
      at += 3
      let seen = 0
      for (let i = 0; i < length; i++) {
        const code = key.charCodeAt(i)
        seen |= code
        bytes[at + i] = code
      }
      assert(seen < 256, 'a key is a byte string')
      at += length
      if (value === undefined) continue
      at = putU32(bytes, at, value.length)
      bytes.set(value, at)
      at += value.length
    }
    this.end = at
  }

  /** Takes over the payload of a record read from the log. */
  addPayload(payload: Uint8Array): void {
    this.#reserve(payload.length)
    this.bytes.set(payload, this.end)
    this.end += payload.length
  }

  #reserve(more: number): void {
    const needed = this.end + more + RECORD_TRAILER_BYTES
    if (needed <= this.bytes.length) return
    let size = this.bytes.length
    while (size < needed) size *= 2
    const grown = new Uint8Array(size)
    grown.set(this.bytes.subarray(0, this.end))
    this.bytes = grown
  }
}

function putU32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
  return at + 4
}

/**
 * The batches of a record's payload. Values are copies. A payload that passed its checksum and does
 * not parse was written by a program that is wrong: that is an assertion, not damage.
 */
export function decodeBatches(payload: Uint8Array): TableWrite[][] {
  const batches: TableWrite[][] = []
  const length = payload.length
  let at = 0
  const take = (count: number): number => {
    const from = at
    at += count
    assert(at <= length, 'a log record ends inside a batch', { at, length })
    return from
  }
  const takeU32 = (): number => {
    const from = take(4)
    return (
      (payload[from]! |
        (payload[from + 1]! << 8) |
        (payload[from + 2]! << 16) |
        (payload[from + 3]! << 24)) >>>
      0
    )
  }
  while (at < length) {
    assert(payload[take(1)] === BATCH, 'a log record holds batches')
    const count = takeU32()
    const batch: TableWrite[] = []
    for (let i = 0; i < count; i++) {
      const operation = payload[take(1)]
      assert(operation === PUT || operation === REMOVE, 'a write puts or removes', operation)
      const from = take(2)
      const keyBytes = payload[from]! | (payload[from + 1]! << 8)
      const keyFrom = take(keyBytes)
      let key = ''
      for (let j = keyFrom; j < at; j++) key += String.fromCharCode(payload[j]!)
      if (operation === REMOVE) {
        batch.push({ key: key as ByteString, value: undefined })
        continue
      }
      const valueBytes = takeU32()
      const valueFrom = take(valueBytes)
      batch.push({ key: key as ByteString, value: payload.slice(valueFrom, at) })
    }
    batches.push(batch)
  }
  return batches
}
