/**
 * Context tokens: what `get` hands out and `put` takes back. Opaque to clients; here the bytes of the
 * context behind a format byte and a checksum, so that a token that was cut, mixed up or made up is
 * refused (BAD_CONTEXT) and not silently read as another history.
 */

import { crc32c } from '../base/crc32c.ts'
import { QuorateError } from '../base/errors.ts'
import type { Context } from '../causality/context.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import { readContext, writeContext } from './cell-codec.ts'

const FORMAT = 1

export function encodeContextToken(context: Context): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(FORMAT)
  writeContext(writer, context)
  const body = writer.take()
  writer.raw(body)
  writer.u32(crc32c(body))
  return writer.take()
}

export function decodeContextToken(token: Uint8Array): Context {
  const bad = (why: string): QuorateError =>
    new QuorateError('BAD_CONTEXT', `the context is not one that a read gave out: ${why}`)
  if (token.length < 6) throw bad('it is too short')
  const body = token.subarray(0, token.length - 4)
  if (new ByteReader(token, token.length - 4).u32() !== crc32c(body)) throw bad('its checksum does not match')
  try {
    const reader = new ByteReader(body)
    if (reader.u8() !== FORMAT) throw bad('its format is unknown')
    const context = readContext(reader)
    reader.end()
    return context
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error))
  }
}
