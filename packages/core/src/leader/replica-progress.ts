/** How far a replica has carried out its log, as its store keeps it. */

import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'

export interface Progress {
  /** The last entry whose effect is in the rows. */
  readonly carriedOut: number
  /** Of a replica that was filled: rows are of one moment from this entry on. */
  readonly wholeFrom: number
  /** Rows of another replica are still coming. */
  readonly isLoading: boolean
}

export function encodeProgress({ carriedOut, wholeFrom, isLoading }: Progress): Uint8Array {
  const writer = new ByteWriter(16)
  writer.varint(carriedOut)
  writer.varint(wholeFrom)
  writer.u8(isLoading ? 1 : 0)
  return writer.take()
}

export function decodeProgress(stored: Uint8Array | undefined): Progress {
  if (stored === undefined) return { carriedOut: 0, wholeFrom: 0, isLoading: false }
  const reader = new ByteReader(stored)
  return { carriedOut: reader.varint(), wholeFrom: reader.varint(), isLoading: reader.u8() === 1 }
}
