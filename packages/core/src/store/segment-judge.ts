/**
 * Reads a segment and says where its records end and why.
 *
 * A power cut can hurt only what was appended and not yet synced. Since one group is written at a
 * time, each with a sync of its own, that is at most the *last record of the last segment* (with the
 * segment's header when it is the first record). So a bad record is a **torn tail**, which nobody was
 * told about and which may be dropped, only when all of this holds:
 *
 *  1. it is in the last segment, and reaches the end of the file;
 *  2. no valid record follows it anywhere in the file;
 *  3. it shows the mark of a write cut short: the file ends before the record does, or a sector holds
 *     zeros where the record had none.
 *
 * Everything else is **damage**. A segment that a later one closed ends exactly where the later
 * header says; what follows is ignored, and every record before must be whole. A last segment with no
 * valid record at all is **void**: its header and first record were one write that did not finish, so
 * it closes nothing and its number is used again.
 *
 * Reference: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018), on
 * why crash and corruption must be disentangled before a log is cut. Here without their second
 * on-disk marker: the counts of zero and lone pieces take its place. A sector that held one set bit and
 * is zero now may be lost or flipped; it is called damage, since that loses nothing silently.
 */

import { crc32c } from '../base/crc32c.ts'
import type { Incarnation } from '../base/ids.ts'
import {
  countPieces,
  isZero,
  lostPieces,
  mayStartRecord,
  RECORD_HEADER_BYTES,
  RECORD_TRAILER_BYTES,
  readRecordHeader,
  recordBinding,
  SECTOR_BYTES,
  SEGMENT_HEADER_BYTES,
} from './segment-format.ts'

/** One valid record: it stands at `[at, end)`, its payload at `[from, to)`. */
export interface RecordSpan {
  readonly at: number
  readonly from: number
  readonly to: number
  readonly end: number
}

export type SegmentEnd =
  | { readonly kind: 'clean'; readonly validEnd: number }
  | { readonly kind: 'torn'; readonly validEnd: number; readonly why: string }
  | { readonly kind: 'damaged'; readonly at: number; readonly why: string }

export interface SegmentReading {
  readonly records: readonly RecordSpan[]
  readonly end: SegmentEnd
}

export interface SegmentPlace {
  readonly incarnation: Incarnation
  readonly number: number
}

/** Reads the records of a segment whose header is readable. `closedAt`: the end its successor names; undefined for the last segment. */
export function readSegment(
  bytes: Uint8Array,
  place: SegmentPlace,
  closedAt: number | undefined,
): SegmentReading {
  const records: RecordSpan[] = []
  const limit = closedAt ?? bytes.length
  if (limit > bytes.length) {
    const why = `the next segment says ${limit} bytes are valid and the file has ${bytes.length}`
    return { records, end: { kind: 'damaged', at: bytes.length, why } }
  }
  let at = SEGMENT_HEADER_BYTES
  while (at < limit) {
    const record = readRecord(bytes, at, place)
    if (record === undefined || record.end > limit) break
    records.push(record)
    at = record.end
  }
  if (at === limit) return { records, end: { kind: 'clean', validEnd: at } }
  if (closedAt === undefined) return { records, end: judgeTail(bytes, at, place) }
  const why = `a record of a closed segment is bad (valid records end at ${at}, not at ${closedAt})`
  return { records, end: { kind: 'damaged', at, why } }
}

function readRecord(bytes: Uint8Array, at: number, place: SegmentPlace): RecordSpan | undefined {
  const binding = recordBinding(place.incarnation, place.number, at)
  const header = readRecordHeader(bytes, at, binding)
  if (header === undefined) return undefined
  const from = at + RECORD_HEADER_BYTES
  const to = from + header.payloadBytes
  const end = to + RECORD_TRAILER_BYTES
  if (end > bytes.length || crc32c(bytes, from, end, binding) !== header.payloadCrc) return undefined
  return { at, from, to, end }
}

function judgeTail(bytes: Uint8Array, at: number, place: SegmentPlace): SegmentEnd {
  const follower = findRecord(bytes, at + 1, place)
  if (follower !== undefined) {
    return { kind: 'damaged', at, why: `a bad record is followed by a valid one at offset ${follower.at}` }
  }
  const torn = (why: string): SegmentEnd => ({ kind: 'torn', validEnd: at, why })
  const header = readRecordHeader(bytes, at, recordBinding(place.incarnation, place.number, at))
  if (header === undefined) {
    if (at + RECORD_HEADER_BYTES > bytes.length) return torn('the file ends inside a record header')
    if (lostHeaderSector(bytes, at)) return torn('a sector under a record header is all zero')
    return { kind: 'damaged', at, why: 'a record header fails its checksum and shows no torn write' }
  }
  const from = at + RECORD_HEADER_BYTES
  const to = from + header.payloadBytes + RECORD_TRAILER_BYTES
  if (to > bytes.length) return torn(`the file ends ${to - bytes.length} bytes before the record does`)
  if (to < bytes.length) {
    return { kind: 'damaged', at, why: 'a record fails its checksum and is not the last one' }
  }
  if (lostPieces(header.pieces, countPieces(bytes, from, to, from))) {
    return torn('a sector of the record is all zero')
  }
  return { kind: 'damaged', at, why: 'a record fails its checksum and shows no torn write' }
}

/** Whether a sector that holds part of the record header at `at` has only zeros from `at` on. */
function lostHeaderSector(bytes: Uint8Array, at: number): boolean {
  let from = at
  while (from < at + RECORD_HEADER_BYTES) {
    const to = Math.min(from - (from % SECTOR_BYTES) + SECTOR_BYTES, bytes.length)
    if (isZero(bytes, from, to)) return true
    from = to
  }
  return false
}

function findRecord(bytes: Uint8Array, from: number, place: SegmentPlace): RecordSpan | undefined {
  for (let at = from; at + RECORD_HEADER_BYTES <= bytes.length; at++) {
    if (!mayStartRecord(bytes, at)) continue
    const record = readRecord(bytes, at, place)
    if (record !== undefined) return record
  }
  return undefined
}

/**
 * For the last segment of a log when its header does not read: undefined when the file is what an
 * unfinished first write leaves behind, otherwise why it is damage.
 */
export function damageOfUnreadableLast(bytes: Uint8Array, place: SegmentPlace): string | undefined {
  const follower = findRecord(bytes, 0, place)
  if (follower !== undefined) return `the header is unreadable and a valid record follows at ${follower.at}`
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined
  if (isZero(bytes, 0, Math.min(SECTOR_BYTES, bytes.length))) return undefined
  return 'the segment header fails its checksum and shows no torn write'
}
