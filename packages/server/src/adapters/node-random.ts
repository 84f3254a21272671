/** Chance for production: the seeded generator, seeded by the operating system. */

import { randomBytes } from 'node:crypto'
import { type Random, SeededRandom } from '@quorate/core'

export function nodeRandom(): Random {
  return new SeededRandom(randomBytes(4).readUInt32LE())
}
