/**
 * Bytes of a cell: what is stored, sent and digested. Canonical: equal cells have equal bytes, so
 * replicas can be compared by digest; the decoder refuses every other form.
 *
 * Layout: format (1) · actors: count, each 8 bytes and its intervals (count, from and length of each) ·
 * values: count, each actor index, stamp, operation (16 bytes), flags (1: a document follows,
 * 2: causes follow) ·
 * superseded operations: count, each 16 bytes.
 */

import { type ByteString, compareStrings, type Incarnation, type OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { murmur3OfString, murmur3x128 } from '../base/murmur3.ts'
import { type ActorHistory, contextHas } from '../causality/context.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { type Cell, type CellValue, compareDots, emptyCell } from './cell.ts'

const FORMAT = 2
const HAS_DOCUMENT = 1
const HAS_CAUSES = 2
export const INCARNATION_BYTES = 8
export const OPERATION_BYTES = 16

const writer = new ByteWriter(1024)

export function encodeCell(cell: Cell): Uint8Array {
  writeCell(writer, cell)
  return writer.take()
}

export function writeContext(out: ByteWriter, context: readonly ActorHistory[]): void {
  out.varint(context.length)
  for (const { actor, intervals } of context) {
    out.rawByteString(actor)
    out.varint(intervals.length / 2)
    for (let i = 0; i < intervals.length; i += 2) {
      out.stamp(intervals[i]!)
      out.varint(intervals[i + 1]! - intervals[i]!)
    }
  }
}

function writeCell(out: ByteWriter, cell: Cell): void {
  out.begin()
  out.u8(FORMAT)
  writeContext(out, cell.context)
  out.varint(cell.values.length)
  for (const value of cell.values) {
    out.varint(cell.context.findIndex(history => history.actor === value.actor))
    out.stamp(value.stamp)
    out.rawByteString(value.operation)
    out.u8((value.value === undefined ? 0 : HAS_DOCUMENT) + (value.causes === undefined ? 0 : HAS_CAUSES))
    if (value.value !== undefined) out.bytes(value.value)
    if (value.causes !== undefined) out.bytes(value.causes)
  }
  writeOperations(out, cell.superseded)
}

export function writeOperations(out: ByteWriter, operations: readonly OperationId[]): void {
  out.varint(operations.length)
  for (const operation of operations) out.rawByteString(operation)
}

export function readOperations(reader: ByteReader): readonly OperationId[] {
  const count = reader.count(limits.listLengthMax, OPERATION_BYTES)
  if (count === 0) return emptyCell.superseded
  const operations: OperationId[] = []
  for (let i = 0; i < count; i++) {
    const operation = reader.rawByteString(OPERATION_BYTES) as string as OperationId
    if (i > 0 && operations[i - 1]! >= operation) reader.fail('operations are not in order')
    operations.push(operation)
  }
  return operations
}

export function readContext(reader: ByteReader): ActorHistory[] {
  const context: ActorHistory[] = []
  const actors = reader.count(limits.listLengthMax, INCARNATION_BYTES + 9)
  for (let a = 0; a < actors; a++) {
    const actor = reader.rawByteString(INCARNATION_BYTES) as string as Incarnation
    if (a > 0 && compareStrings(context[a - 1]!.actor, actor) >= 0) reader.fail('actors are not in order')
    const count = reader.count(limits.listLengthMax, 8)
    if (count === 0) reader.fail('an actor has no interval')
    const intervals: number[] = []
    for (let i = 0; i < count; i++) {
      const from = reader.stamp()
      const to = from + reader.varint()
      if (!Number.isSafeInteger(to)) reader.fail('an interval ends past 2^53')
      if (i > 0 && from <= intervals[2 * i - 1]! + 1) reader.fail('intervals are not in order')
      intervals.push(from, to)
    }
    context.push({ actor, intervals })
  }
  return context
}

/**
 * Decodes and checks every invariant of `cell.ts`; throws BAD_FRAME. Values are views into `bytes`.
 * Accepts all that merging can make: bounds are held by coordinators, not here.
 */
export function decodeCell(bytes: Uint8Array): Cell {
  const reader = new ByteReader(bytes)
  if (reader.u8() !== FORMAT) reader.fail('unknown cell format')
  const context = readContext(reader)
  const count = reader.count(limits.listLengthMax, 1 + 7 + OPERATION_BYTES + 1)
  const values: CellValue[] = []
  for (let i = 0; i < count; i++) {
    const actor = context[reader.varint()]?.actor ?? reader.fail('a value names an actor that is not there')
    const stamp = reader.stamp()
    const operation = reader.rawByteString(OPERATION_BYTES) as string as OperationId
    const flags = reader.u8()
    if (flags > HAS_DOCUMENT + HAS_CAUSES) reader.fail('a value has an unknown flag')
    const document = (flags & HAS_DOCUMENT) === 0 ? undefined : reader.bytes(limits.valueBytesMax)
    const plain: CellValue = { actor, stamp, operation, value: document }
    const value =
      (flags & HAS_CAUSES) === 0 ? plain : { ...plain, causes: reader.bytes(limits.causesBytesMax) }
    if (i > 0 && compareDots(values[i - 1]!, value) >= 0) reader.fail('values are not in order')
    if (!contextHas(context, actor, stamp)) reader.fail('a value is outside its context')
    values.push(value)
  }
  const superseded = readOperations(reader)
  if (values.some(value => superseded.includes(value.operation))) reader.fail('a value is superseded')
  reader.end()
  return { context, values, superseded }
}

/** A 128-bit fingerprint in four lanes, added lane by lane in Merkle leaves. */
export type Digest = readonly [number, number, number, number]

const KEY_SEEDS = [0x9747b28c, 0x3c6ef372] as const

/** Fingerprint of a row: of its canonical bytes, in four lanes that start from hashes of its key. */
export function digestCell(key: ByteString, bytes: Uint8Array): Digest {
  const a = murmur3OfString(key, KEY_SEEDS[0])
  const b = murmur3OfString(key, KEY_SEEDS[1])
  return murmur3x128(bytes, a, b, a ^ 0x1b873593, b ^ 0x85ebca6b)
}

export const digestsEqual = (a: Digest, b: Digest): boolean =>
  a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3]

export function describeDigest(digest: Digest): string {
  return digest.map(lane => lane.toString(16).padStart(8, '0')).join('')
}
