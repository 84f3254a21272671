/**
 * Values as they stand in the table: the bytes, then a CRC-32C that continues from the CRC of the key.
 * A value that rotted, or that a misdirected write put under another key, does not open.
 */

import { crc32c, crc32cOfString } from '../base/crc32c.ts'
import type { ByteString } from '../base/ids.ts'
import type { Slab } from '../base/slab.ts'

const CRC_BYTES = 4

/** `slab`: where many sealed values that are soon done with may share room. */
export function sealValue(key: ByteString, value: Uint8Array, slab?: Slab): Uint8Array {
  const length = value.length
  const sealed = slab?.allocate(length + CRC_BYTES) ?? new Uint8Array(length + CRC_BYTES)
  sealed.set(value)
  const crc = crc32c(value, 0, length, crc32cOfString(key))
  sealed[length] = crc
  sealed[length + 1] = crc >>> 8
  sealed[length + 2] = crc >>> 16
  sealed[length + 3] = crc >>> 24
  return sealed
}

/** The value without its checksum, or undefined when the checksum does not fit key and bytes. */
export function openValue(key: ByteString, sealed: Uint8Array): Uint8Array | undefined {
  const length = sealed.length - CRC_BYTES
  if (length < 0) return undefined
  const stored =
    (sealed[length]! |
      (sealed[length + 1]! << 8) |
      (sealed[length + 2]! << 16) |
      (sealed[length + 3]! << 24)) >>>
    0
  if (crc32c(sealed, 0, length, crc32cOfString(key)) !== stored) return undefined
  return sealed.subarray(0, length)
}
