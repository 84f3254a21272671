/** How far a replica has carried out its log, as its store keeps it. */

import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'

export interface Progress {
  /** The last entry whose effect is in the rows. */
  readonly carriedOut: number
  /** Of a replica that was filled: rows are of one moment from this entry on, which this epoch wrote. */
  readonly wholeFrom: number
  readonly wholeEpoch: number
  /** Rows of another replica are still coming. */
  readonly isLoading: boolean
}

export function encodeProgress({ carriedOut, wholeFrom, wholeEpoch, isLoading }: Progress): Uint8Array {
  const writer = new ByteWriter(16)
  writer.varint(carriedOut)
  writer.varint(wholeFrom)
  writer.varint(wholeEpoch)
  writer.u8(isLoading ? 1 : 0)
  return writer.take()
}

export function decodeProgress(stored: Uint8Array | undefined): Progress {
  if (stored === undefined) return { carriedOut: 0, wholeFrom: 0, wholeEpoch: 0, isLoading: false }
  const reader = new ByteReader(stored)
  const [carriedOut, wholeFrom, wholeEpoch] = [reader.varint(), reader.varint(), reader.varint()]
  return { carriedOut, wholeFrom, wholeEpoch, isLoading: reader.u8() === 1 }
}
