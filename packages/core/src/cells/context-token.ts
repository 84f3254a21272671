/**
 * Context tokens: what `get` hands out and `put` takes back. Opaque to clients; here the bytes of what
 * was seen, context and operations, behind a format byte and a checksum, so that a token that was cut, mixed up or made up is
 * refused (BAD_CONTEXT) and not silently read as another history.
 */

import { crc32c } from '../base/crc32c.ts'
import { QuorateError } from '../base/errors.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { readContext, readOperations, writeContext, writeOperations } from './cell-codec.ts'
import type { Seen } from './superseded.ts'

const FORMAT = 2

export function encodeContextToken(seen: Seen): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(FORMAT)
  writeContext(writer, seen.context)
  writeOperations(writer, seen.operations)
  const body = writer.take()
  writer.raw(body)
  writer.u32(crc32c(body))
  return writer.take()
}

export function decodeContextToken(token: Uint8Array): Seen {
  const bad = (why: string): QuorateError =>
    new QuorateError('BAD_CONTEXT', `the context is not one that a read gave out: ${why}`)
  if (token.length < 6) throw bad('it is too short')
  const body = token.subarray(0, token.length - 4)
  if (new ByteReader(token, token.length - 4).u32() !== crc32c(body)) throw bad('its checksum does not match')
  try {
    const reader = new ByteReader(body)
    if (reader.u8() !== FORMAT) throw bad('its format is unknown')
    const context = readContext(reader)
    const operations = readOperations(reader)
    reader.end()
    return { context, operations }
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error))
  }
}
