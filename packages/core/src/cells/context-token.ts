/**
 * Context tokens: what `get` hands out and `put` takes back. Opaque to clients; here the bytes of what
 * was seen, context and operations, with a hash of the row it was seen of, behind a format byte and a
 * checksum: a token that was cut, made up, or read from another row is refused (BAD_CONTEXT) and not
 * silently taken for the history of this one.
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
const ROW_SEED = 0x2545f491

export interface SeenOfRow extends Seen {
  /** Hash of the key of the row; of no meaning when nothing was seen. */
  readonly row: number
}

const rowHash = (key: ByteString): number => murmur3OfString(key, ROW_SEED)
const isNothing = (seen: Seen): boolean => seen.context.length === 0 && seen.operations.length === 0

export function encodeContextToken(seen: Seen, key: ByteString): Uint8Array {
  return encode({ ...seen, row: rowHash(key) })
}

function encode(seen: SeenOfRow): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(FORMAT)
  writer.u32(seen.row)
  writeContext(writer, seen.context)
  writeOperations(writer, seen.operations)
  const body = writer.take()
  writer.raw(body)
  writer.u32(crc32c(body))
  return writer.take()
}

const bad = (why: string): QuorateError =>
  new QuorateError('BAD_CONTEXT', `the context is not one that a read gave out: ${why}`)

export function decodeContextToken(token: Uint8Array): SeenOfRow {
  if (token.length < 10) throw bad('it is too short')
  const body = token.subarray(0, token.length - 4)
  if (new ByteReader(token, token.length - 4).u32() !== crc32c(body)) throw bad('its checksum does not match')
  try {
    const reader = new ByteReader(body)
    if (reader.u8() !== FORMAT) throw bad('its format is unknown')
    const row = reader.u32()
    const context = readContext(reader)
    const operations = readOperations(reader)
    reader.end()
    return { row, context, operations }
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error))
  }
}

/** Decodes a token for a write of the row with this key. */
export function decodeTokenOfRow(token: Uint8Array, key: ByteString): Seen {
  const seen = decodeContextToken(token)
  if (isNothing(seen) || seen.row === rowHash(key)) return seen
  throw new QuorateError('BAD_CONTEXT', 'the context was read from another row')
}

/** One token that has seen what each of several, all of one row, has. */
export function joinContextTokens(tokens: readonly Uint8Array[]): Uint8Array {
  const all = tokens.map(decodeContextToken).filter(seen => !isNothing(seen))
  const row = all[0]?.row ?? 0
  if (all.some(seen => seen.row !== row))
    throw new QuorateError('BAD_CONTEXT', 'the contexts were read from different rows')
  return encode({ ...all.reduce<Seen>(mergeSeen, nothingSeen), row })
}
