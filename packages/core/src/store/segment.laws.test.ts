/** The record codec and the judge, without a disk. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ByteString, Incarnation } from '../base/ids.ts'
import { decodeBatches, GROUP_PAYLOAD_AT, GroupBuffer } from './group-buffer.ts'
import { openValue, sealValue } from './sealed-value.ts'
import {
  RECORD_HEADER_BYTES,
  readSegmentHeader,
  recordBinding,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION,
  sealRecord,
  segmentName,
  segmentNumber,
  writeSegmentHeader,
} from './segment-format.ts'
import { readSegment } from './segment-judge.ts'

const incarnation = 'incarnat' as Incarnation
const place = { incarnation, number: 7 }

const key = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map(codes => String.fromCharCode(...codes) as ByteString)
const value = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.integer({ min: 0, max: 3000 }).map(length => new Uint8Array(length)),
  // Sparse: sectors with no bit or with one bit set.
  fc.tuple(fc.integer({ min: 1, max: 3000 }), fc.nat(), fc.nat(7)).map(([length, where, bit]) => {
    const bytes = new Uint8Array(length)
    bytes[where % length] = 1 << bit
    return bytes
  }),
)
const batch = fc.array(fc.record({ key, value: fc.option(value, { nil: undefined }) }), { maxLength: 6 })
const groups = fc.array(fc.array(batch, { maxLength: 4 }), { minLength: 1, maxLength: 5 })

const bitCount = (byte: number): number => [...byte.toString(2)].filter(digit => digit === '1').length

/** A segment with one record per group, as the log writer lays it out. */
function segmentOf(records: readonly (readonly { key: ByteString; value: Uint8Array | undefined }[][])[]) {
  const header = new Uint8Array(SEGMENT_HEADER_BYTES)
  writeSegmentHeader(header, 0, {
    version: SEGMENT_VERSION,
    incarnation,
    number: 7,
    previousEnd: 123,
    emptyBefore: 2,
  })
  const ends = [SEGMENT_HEADER_BYTES]
  let bytes = header
  for (const batches of records) {
    const group = new GroupBuffer()
    for (const each of batches) group.add(each)
    const at = GROUP_PAYLOAD_AT - RECORD_HEADER_BYTES
    const end = sealRecord(
      group.bytes,
      at,
      group.end,
      recordBinding(incarnation, 7, bytes.length),
      bytes.length,
    )
    const grown = new Uint8Array(bytes.length + end - at)
    grown.set(bytes)
    grown.set(group.bytes.subarray(at, end), bytes.length)
    bytes = grown
    ends.push(bytes.length)
  }
  return { bytes, ends, last: ends.at(-2)! }
}

describe('a segment', () => {
  test('gives back what was written', () => {
    fc.assert(
      fc.property(groups, records => {
        const { bytes } = segmentOf(records)
        expect(readSegmentHeader(bytes)).toEqual({
          version: SEGMENT_VERSION,
          incarnation,
          number: 7,
          previousEnd: 123,
          emptyBefore: 2,
        })
        const reading = readSegment(bytes, place, undefined)
        expect(reading.end).toEqual({ kind: 'clean', validEnd: bytes.length })
        expect(reading.records.map(({ from, to }) => decodeBatches(bytes.subarray(from, to)))).toEqual(
          records,
        )
      }),
      { numRuns: 150 },
    )
  })

  test('cut anywhere in its last record is torn there, never damaged', () => {
    fc.assert(
      fc.property(groups, fc.nat(), (records, where) => {
        const { bytes, last } = segmentOf(records)
        const cut = last + 1 + (where % (bytes.length - last - 1))
        const { end } = readSegment(bytes.subarray(0, cut), place, undefined)
        expect(end).toMatchObject({ kind: 'torn', validEnd: last })
      }),
      { numRuns: 300 },
    )
  })

  test('with sectors of its last record lost is torn, unless they were zero anyway', () => {
    fc.assert(
      fc.property(groups, fc.nat(), (records, where) => {
        const { bytes, last } = segmentOf(records)
        const sector = Math.floor((last + (where % (bytes.length - last))) / 512)
        const torn = bytes.slice()
        torn.fill(0, Math.max(last, sector * 512), Math.min(bytes.length, (sector + 1) * 512))
        const { end } = readSegment(torn, place, undefined)
        const flips = torn.reduce((count, byte, i) => count + bitCount(byte ^ bytes[i]!), 0)
        // A sector with one bit set that is zero now might as well have rotted: then the answer is damage.
        if (flips === 0) expect(end.kind).toBe('clean')
        else if (flips === 1) expect(end.kind).toBe('damaged')
        else expect(end).toMatchObject({ kind: 'torn', validEnd: last })
      }),
      { numRuns: 300 },
    )
  })

  test('with any one bit of a record flipped is damaged, whatever its contents', () => {
    fc.assert(
      fc.property(groups, fc.nat(), fc.nat(7), (records, where, bit) => {
        const { bytes } = segmentOf(records)
        const at = SEGMENT_HEADER_BYTES + (where % (bytes.length - SEGMENT_HEADER_BYTES))
        const flipped = bytes.slice()
        flipped[at]! ^= 1 << bit
        const { end } = readSegment(flipped, place, undefined)
        expect(end.kind).toBe('damaged')
      }),
      { numRuns: 500 },
    )
  })

  test('closed by its successor is valid exactly up to the end that names', () => {
    const { bytes, ends } = segmentOf([[[]], [[{ key: 'rk' as ByteString, value: Uint8Array.of(1) }]], [[]]])
    for (let closedAt = SEGMENT_HEADER_BYTES; closedAt <= bytes.length + 1; closedAt++) {
      const { end } = readSegment(bytes, place, closedAt)
      expect(end.kind).toBe(ends.includes(closedAt) ? 'clean' : 'damaged')
    }
  })

  test('of another store, another number or shifted by a byte has no valid record', () => {
    const { bytes } = segmentOf([[[]]])
    const other = { incarnation: 'other in' as Incarnation, number: 7 }
    expect(readSegment(bytes, other, undefined).records).toEqual([])
    expect(readSegment(bytes, { incarnation, number: 8 }, undefined).records).toEqual([])
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes.subarray(0, SEGMENT_HEADER_BYTES))
    shifted.set(bytes.subarray(SEGMENT_HEADER_BYTES), SEGMENT_HEADER_BYTES + 1)
    expect(readSegment(shifted, place, undefined).records).toEqual([])
  })
})

test('names of segments', () => {
  expect(segmentName(42)).toBe('wal-0000000000000042.log')
  expect(segmentNumber(segmentName(42))).toBe(42)
  for (const name of ['wal-42.log', 'wal-0000000000000042.log~', 'data.mdb']) {
    expect(segmentNumber(name)).toBeUndefined()
  }
})

test('a sealed value opens under its own key only, and not with any bit flipped', () => {
  fc.assert(
    fc.property(key, key, fc.uint8Array({ maxLength: 200 }), fc.nat(), (name, other, bytes, where) => {
      const sealed = sealValue(name, bytes)
      expect(openValue(name, sealed)).toEqual(bytes)
      if (other !== name) expect(openValue(other, sealed)).toBeUndefined()
      const bit = where % (sealed.length * 8)
      sealed[bit >> 3]! ^= 1 << (bit & 7)
      expect(openValue(name, sealed)).toBeUndefined()
    }),
  )
})
