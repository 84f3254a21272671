/** Chance for production: the seeded generator, seeded by the operating system. */

import { randomBytes, randomInt } from 'node:crypto'
import { type Random, SeededRandom } from '@quorate/core'

/** Straight from the operating system: for keys. */
export const secretRandom: Random = { uint32: () => randomInt(0, 2 ** 32) }

export function nodeRandom(): Random {
  return new SeededRandom(randomBytes(4).readUInt32LE())
}
