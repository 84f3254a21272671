/**
 * What a log segment looks like on disk.
 *
 * Problem: a reader must tell a record that was never finished (harmless: nobody was told) from a
 * record that was finished and has rotted since (an acknowledged write is gone), and must never take
 * bytes left over from another file, or another place in this file, for a record.
 *
 * Mechanism: a segment is a header and records, back to back. Every record checksum continues from a
 * *binding*: the CRC of (incarnation, segment number, file offset). A record states its own length and
 * how many of its *pieces* are all zero; a piece is what a 512-byte sector of the file holds of the
 * record's payload. A power cut that loses a sector leaves a zero piece the record never had. A flipped
 * bit does so only where a piece had that one bit and no other, so those *lone* pieces are counted too.
 * The record header starts and ends with a byte of several bits, so that a sector that holds any part
 * of it is never zero by nature nor by one flip; a byte like that also ends the record, for the sake of
 * its last, perhaps very short, piece.
 *
 *   segment header   magic 8 | version u32 | incarnation 8 | number u64 | previous valid end u64 | empty before u32 | crc u32
 *   record header    'R' | payload length u32 | zero pieces u32 | lone pieces u32 | payload crc u32 | header crc u32 | 'Q'
 *   record           header | payload | 'Q', the last byte counted with the payload by its checksum and pieces
 *
 * Integers are little-endian.
 *
 * Invariants: a record validates only at the offset, in the segment and in the store it was written to.
 */

import { assert } from '../base/assert.ts'
import { writeByteString } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import type { Incarnation } from '../base/ids.ts'

export const SEGMENT_HEADER_BYTES = 44
export const RECORD_HEADER_BYTES = 22
export const RECORD_TRAILER_BYTES = 1
/** The unit a disk writes whole or not at all. Smaller than most disks' own, so never too coarse. */
export const SECTOR_BYTES = 512
export const SEGMENT_VERSION = 2

const MAGIC = 'QUORWAL\n'
const RECORD_START = 0x52
const RECORD_END = 0x51

export interface SegmentHeader {
  readonly version: number
  readonly incarnation: Incarnation
  readonly number: number
  /** Where the records of segment `number - 1` end; bytes after it are the rest of a write nobody was told of. */
  readonly previousEnd: number
  /** So many segments right before this one hold nothing that counts, and may be missing or unreadable. */
  readonly emptyBefore: number
}

export interface RecordHeader {
  readonly payloadBytes: number
  readonly pieces: Pieces
  readonly payloadCrc: number
}

export function segmentName(number: number): string {
  return `wal-${String(number).padStart(16, '0')}.log`
}

/** The number in a segment's file name, or undefined for any other file. */
export function segmentNumber(name: string): number | undefined {
  const match = /^wal-(\d{16})\.log$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

function writeU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value
  target[at + 1] = value >>> 8
  target[at + 2] = value >>> 16
  target[at + 3] = value >>> 24
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

function writeU64(target: Uint8Array, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a u64 field takes a non-negative safe integer', value)
  writeU32(target, at, value >>> 0)
  writeU32(target, at + 4, Math.floor(value / 0x1_0000_0000))
}

function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 4) * 0x1_0000_0000 + readU32(bytes, at)
}

export function writeSegmentHeader(target: Uint8Array, at: number, header: SegmentHeader): void {
  assert(header.incarnation.length === 8, 'an incarnation has eight bytes')
  writeByteString(target, at, MAGIC)
  writeU32(target, at + 8, header.version)
  writeByteString(target, at + 12, header.incarnation)
  writeU64(target, at + 20, header.number)
  writeU64(target, at + 28, header.previousEnd)
  writeU32(target, at + 36, header.emptyBefore)
  writeU32(target, at + 40, crc32c(target, at, at + 40))
}

/** The header at the start of `bytes`, or undefined when it is short, foreign or fails its checksum. */
export function readSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined
  for (let i = 0; i < MAGIC.length; i++) if (bytes[i] !== MAGIC.charCodeAt(i)) return undefined
  if (readU32(bytes, 40) !== crc32c(bytes, 0, 40)) return undefined
  return {
    version: readU32(bytes, 8),
    incarnation: String.fromCharCode(...bytes.subarray(12, 20)) as Incarnation,
    number: readU64(bytes, 20),
    previousEnd: readU64(bytes, 28),
    emptyBefore: readU32(bytes, 36),
  }
}

const bindingBytes = new Uint8Array(24)

/** CRC every checksum of the record at `offset` continues from. */
export function recordBinding(incarnation: Incarnation, segment: number, offset: number): number {
  writeByteString(bindingBytes, 0, incarnation)
  writeU64(bindingBytes, 8, segment)
  writeU64(bindingBytes, 16, offset)
  return crc32c(bindingBytes)
}

/**
 * Completes the record whose payload is `bytes[at + RECORD_HEADER_BYTES, payloadEnd)` and which will
 * stand at file offset `offset`. Returns its end, one past the payload's.
 */
export function sealRecord(
  bytes: Uint8Array,
  at: number,
  payloadEnd: number,
  binding: number,
  offset: number,
): number {
  const payload = at + RECORD_HEADER_BYTES
  const end = payloadEnd + RECORD_TRAILER_BYTES
  bytes[payloadEnd] = RECORD_END
  bytes[at] = RECORD_START
  writeU32(bytes, at + 1, payloadEnd - payload)
  const pieces = countPieces(bytes, payload, end, offset + RECORD_HEADER_BYTES)
  writeU32(bytes, at + 5, pieces.zero)
  writeU32(bytes, at + 9, pieces.lone)
  writeU32(bytes, at + 13, crc32c(bytes, payload, end, binding))
  writeU32(bytes, at + 17, crc32c(bytes, at, at + 17, binding))
  bytes[at + 21] = RECORD_END
  return end
}

/** The record header at `at`, or undefined when it is cut short or fails its checksum. */
export function readRecordHeader(bytes: Uint8Array, at: number, binding: number): RecordHeader | undefined {
  if (!mayStartRecord(bytes, at)) return undefined
  if (readU32(bytes, at + 17) !== crc32c(bytes, at, at + 17, binding)) return undefined
  return {
    payloadBytes: readU32(bytes, at + 1),
    pieces: { zero: readU32(bytes, at + 5), lone: readU32(bytes, at + 9) },
    payloadCrc: readU32(bytes, at + 13),
  }
}

/** A cheap first look, for the search at every offset. */
export function mayStartRecord(bytes: Uint8Array, at: number): boolean {
  return (
    at + RECORD_HEADER_BYTES <= bytes.length && bytes[at] === RECORD_START && bytes[at + 21] === RECORD_END
  )
}

export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false
  return true
}

/** Pieces that are zero throughout, and pieces with a single bit set. */
export interface Pieces {
  readonly zero: number
  readonly lone: number
}

/** Counts the pieces of `bytes[from, to)`, which stands at file offset `offset`. */
export function countPieces(bytes: Uint8Array, from: number, to: number, offset: number): Pieces {
  let zero = 0
  let lone = 0
  let at = from
  let left = SECTOR_BYTES - (offset % SECTOR_BYTES)
  while (at < to) {
    const end = Math.min(at + left, to)
    let bits = 0
    for (let i = at; i < end && bits < 2; i++) {
      const byte = bytes[i]!
      if (byte !== 0) bits += (byte & (byte - 1)) === 0 ? 1 : 2
    }
    if (bits === 0) zero++
    else if (bits === 1) lone++
    at = end
    left = SECTOR_BYTES
  }
  return { zero, lone }
}

/** Whether sectors were lost from a record written with the pieces `was`. What one flipped bit explains as well does not count. */
export function lostPieces(was: Pieces, is: Pieces): boolean {
  const oneFlip = is.zero === was.zero + 1 && is.lone === was.lone - 1
  return is.zero > was.zero && !oneFlip
}
