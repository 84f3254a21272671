/** Messages between homes of rows that are agreed on (consensus/SPEC.md). */

import type { ByteString, Incarnation } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { message } from './messages.ts'
import * as s from './schema.ts'

const rowKey = s.byteString<ByteString>(2 * limits.keyBytesMax + 16)
const cell = s.bytes(limits.cellBytesMax)

const ballot = s.record({ actor: s.fixed<Incarnation>(8), stamp: s.stamp })

/** Consensus tables: promise to accept nothing older than the ballot, and say what is accepted. `higher`: refused, for this. */
export const rowPrepareMessage = message(
  'row-prepare',
  25,
  s.record({ table: s.u32, mapVersion: s.count, key: rowKey, ballot }),
  s.record({ higher: s.optional(ballot), cell: s.optional(cell) }),
)

/** Consensus tables: accept this, under the ballot that was promised and is its dot. */
export const rowAcceptMessage = message(
  'row-accept',
  26,
  s.record({ table: s.u32, mapVersion: s.count, key: rowKey, cell }),
  s.record({ higher: s.optional(ballot) }),
)
