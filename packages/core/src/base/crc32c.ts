/**
 * CRC-32C (Castagnoli, as in iSCSI RFC 3720 and in most storage formats): catches every burst of up
 * to 32 bits. Table-driven, eight bytes a step.
 */

const TABLES = makeTables()

function makeTables(): Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256))
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    tables[0]![byte] = crc >>> 0
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let slice = 1; slice < 8; slice++) {
      const previous = tables[slice - 1]![byte]!
      tables[slice]![byte] = ((previous >>> 8) ^ tables[0]![previous & 255]!) >>> 0
    }
  }
  return tables
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

/** CRC of `bytes[from, to)`, continuing from `seed` (the CRC of what came before). */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length, seed = 0): number {
  let crc = ~seed
  let at = from
  for (; at + 8 <= to; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
    crc =
      T7[low & 255]! ^
      T6[(low >>> 8) & 255]! ^
      T5[(low >>> 16) & 255]! ^
      T4[low >>> 24]! ^
      T3[bytes[at + 4]!]! ^
      T2[bytes[at + 5]!]! ^
      T1[bytes[at + 6]!]! ^
      T0[bytes[at + 7]!]!
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[at]!) & 255]!
  return ~crc >>> 0
}

/** CRC of a byte string, continuing from `seed`. */
export function crc32cOfString(text: string, seed = 0): number {
  let crc = ~seed
  for (let i = 0; i < text.length; i++) crc = (crc >>> 8) ^ T0[(crc ^ text.charCodeAt(i)) & 255]!
  return ~crc >>> 0
}
