/**
 * Context tokens: what `get` hands out and `put` takes back. Opaque to clients; here the bytes of what
 * was seen, context and operations, with a hash of the row it was seen of, behind a format byte and a
 * checksum: a token that was cut, made up, or read from another row is refused (BAD_CONTEXT) and not
 * silently taken for the history of this one.
 *
 * Of a row whose writes are split, a token says what was seen of each part apart. One context for all would claim too
 * much: an interval of stamps covers what its actor wrote *to one part*, and the same actor may have written to another
 * part in between. So format 2 is a row that is one piece (or part 0 alone), format 3 a list of parts.
 */

import { crc32c } from '../base/crc32c.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { readContext, readOperations, writeContext, writeOperations } from './cell-codec.ts'
import { mergeSeen, nothingSeen, type Seen } from './superseded.ts'

const FORMAT = 2
const FORMAT_OF_PARTS = 3
const ROW_SEED = 0x2545f491

export interface SeenOfPart extends Seen {
  /** 0 in a row that is one piece. */
  readonly part: number
}

export interface SeenOfRow {
  /** Hash of the key of the row; of no meaning when nothing was seen. */
  readonly row: number
  /** Ascending, distinct, each with something seen. */
  readonly parts: readonly SeenOfPart[]
}

const rowHash = (key: ByteString): number => murmur3OfString(key, ROW_SEED)
const isNothing = (seen: Seen): boolean => seen.context.length === 0 && seen.operations.length === 0

/** `key`: of the whole row, also for what was seen of one part of it. */
export function encodeContextToken(seen: Seen, key: ByteString, part = 0): Uint8Array {
  return encodePartsToken([{ ...seen, part }], key)
}

/** What was seen of each part of the row with this key. */
export function encodePartsToken(parts: readonly SeenOfPart[], key: ByteString): Uint8Array {
  return encode({ row: rowHash(key), parts: parts.filter(part => !isNothing(part)) })
}

function encode({ row, parts }: SeenOfRow): Uint8Array {
  const writer = new ByteWriter()
  const isOnePiece = parts.every(({ part }) => part === 0)
  writer.u8(isOnePiece ? FORMAT : FORMAT_OF_PARTS)
  writer.u32(row)
  if (!isOnePiece) writer.u8(parts.length)
  for (const { part, context, operations } of isOnePiece && parts.length === 0 ? [nothingOfPart] : parts) {
    if (!isOnePiece) writer.u8(part)
    writeContext(writer, context)
    writeOperations(writer, operations)
  }
  const body = writer.take()
  writer.raw(body)
  writer.u32(crc32c(body))
  return writer.take()
}

const nothingOfPart: SeenOfPart = { part: 0, ...nothingSeen }

const bad = (why: string): QuorateError =>
  new QuorateError('BAD_CONTEXT', `the context is not one that a read gave out: ${why}`)

export function decodeContextToken(token: Uint8Array): SeenOfRow {
  if (token.length < 10) throw bad('it is too short')
  const body = token.subarray(0, token.length - 4)
  if (new ByteReader(token, token.length - 4).u32() !== crc32c(body)) throw bad('its checksum does not match')
  try {
    const reader = new ByteReader(body)
    const format = reader.u8()
    if (format !== FORMAT && format !== FORMAT_OF_PARTS) throw bad('its format is unknown')
    const row = reader.u32()
    const parts = format === FORMAT ? [readSeen(reader, 0)] : readParts(reader)
    reader.end()
    return { row, parts: parts.filter(part => !isNothing(part)) }
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error))
  }
}

function readSeen(reader: ByteReader, part: number): SeenOfPart {
  const context = readContext(reader)
  return { part, context, operations: readOperations(reader) }
}

function readParts(reader: ByteReader): SeenOfPart[] {
  const parts: SeenOfPart[] = []
  for (let left = reader.u8(); left > 0; left--) {
    const part = reader.u8()
    if (part <= (parts.at(-1)?.part ?? -1)) throw bad('its parts are out of order')
    parts.push(readSeen(reader, part))
  }
  return parts
}

/** What a token has seen of each part of the row with this key, which has so many. */
export function decodePartsOfRow(token: Uint8Array, key: ByteString, count: number): readonly SeenOfPart[] {
  const { row, parts } = decodeContextToken(token)
  if (parts.length === 0 || (row === rowHash(key) && parts.at(-1)!.part < count)) return parts
  throw new QuorateError('BAD_CONTEXT', 'the context was read from another row')
}

/** Decodes a token for a write of the row with this key, or of a part of it. */
export function decodeTokenOfRow(token: Uint8Array, key: ByteString, part = 0): Seen {
  const parts = decodePartsOfRow(token, key, part + 1)
  return parts.find(seen => seen.part === part) ?? nothingSeen
}

/** One token that has seen what each of several, all of one row, has. */
export function joinContextTokens(tokens: readonly Uint8Array[]): Uint8Array {
  const all = tokens.map(decodeContextToken).filter(seen => seen.parts.length > 0)
  const row = all[0]?.row ?? 0
  if (all.some(seen => seen.row !== row))
    throw new QuorateError('BAD_CONTEXT', 'the contexts were read from different rows')
  const joined = new Map<number, Seen>()
  for (const { part, ...seen } of all.flatMap(({ parts }) => parts))
    joined.set(part, mergeSeen(joined.get(part) ?? nothingSeen, seen))
  const parts = [...joined].map(([part, seen]) => ({ part, ...seen })).sort((a, b) => a.part - b.part)
  return encode({ row, parts })
}
