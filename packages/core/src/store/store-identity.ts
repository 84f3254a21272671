/**
 * Whose directory this is.
 *
 * A new store gets eight random bytes, written to the table first and to every segment header after.
 * A table without that record beside a log that is there is half of two directories, or a table that
 * was lost; starting over on it would mint the same names again, so it is refused.
 */

import { QuorateError } from '../base/errors.ts'
import type { Incarnation } from '../base/ids.ts'
import { randomByteString } from '../base/prng.ts'
import type { Disk } from '../ports/disk.ts'
import type { Random } from '../ports/random.ts'
import type { Table } from '../ports/table.ts'
import { segmentNumber } from './segment-format.ts'
import { damaged, foreign, isDiskFull } from './store-errors.ts'
import {
  readStoreRecord,
  STORE_RECORD_KEY,
  STORE_RECORD_VERSION,
  type StoreRecord,
  writeStoreRecord,
} from './store-record.ts'

export async function openIdentity(world: {
  readonly disk: Disk
  readonly table: Table
  readonly random: Random
}): Promise<StoreRecord> {
  const stored = world.table.get(STORE_RECORD_KEY)
  if (stored !== undefined) {
    const record = readStoreRecord(stored)
    if (record === undefined) throw damaged('table', 0, 'the record of the store itself fails its checksum')
    if (record.version === STORE_RECORD_VERSION) return record
    throw new QuorateError(
      'STORE_DAMAGED',
      `the table has format ${record.version}; this program reads ${STORE_RECORD_VERSION}`,
    )
  }
  const segment = (await world.disk.list()).find(name => segmentNumber(name) !== undefined)
  if (segment !== undefined) throw foreign(segment)
  const record: StoreRecord = {
    version: STORE_RECORD_VERSION,
    incarnation: randomByteString(world.random, 8) as Incarnation,
    firstSegment: 1,
    creating: true,
    draining: false,
  }
  try {
    await world.table.write([writeStoreRecord(record)])
  } catch (error) {
    if (!isDiskFull(error)) throw error
    throw new QuorateError('STORE_FULL', 'the disk is full: a new store needs room', { cause: error })
  }
  return record
}
