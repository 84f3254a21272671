/** What the store says when it cannot go on, in words an operator can act on. */

import { stringToHex } from '../base/bytes.ts'
import { describeError, QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { DiskError } from '../ports/disk.ts'
import type { Position } from './store-face.ts'

const REBUILD =
  'Nothing was changed. Start this node with an empty data directory and let it rebuild from its replicas; keep the old directory until that is done.'

export function damaged(file: string, offset: number, why: string): QuorateError {
  return new QuorateError('STORE_DAMAGED', `${file} is damaged at offset ${offset}: ${why}. ${REBUILD}`, {
    data: { file, offset, why },
  })
}

export function logMissing(file: string, why: string): QuorateError {
  return new QuorateError(
    'STORE_DAMAGED',
    `${file} is missing: ${why}. Check that the log directory is the one that belongs to this table. ${REBUILD}`,
    { data: { file, offset: 0, why } },
  )
}

export function foreign(file: string): QuorateError {
  const why = 'it carries the identity of another store'
  return new QuorateError(
    'STORE_DAMAGED',
    `${file} belongs to the data directory of another store. Check the paths of this node: log and table must be the pair that was created together.`,
    { data: { file, offset: 0, why } },
  )
}

/** A value that no replica can give back: an acceptor's promise, a clock bound, an identity. */
export function promiseDamaged(key: ByteString): QuorateError {
  const hex = stringToHex(key)
  const why = 'a value that this node promised to keep fails its checksum'
  return new QuorateError('STORE_DAMAGED', `table is damaged at key ${hex}: ${why}. ${REBUILD}`, {
    data: { file: 'table', key: hex, why },
  })
}

export function failed(what: string, acknowledged: Position, cause: unknown): QuorateError {
  return new QuorateError(
    'STORE_FAILED',
    `${what} failed (${describeError(cause)}). Nothing after position ${acknowledged} was acknowledged. The process must stop; what it holds in memory is not on disk. On the next start the log is replayed.`,
    { outcome: 'unknown', data: { acknowledged }, cause },
  )
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof DiskError && error.kind === 'full'
}

export function isNotFound(error: unknown): boolean {
  return error instanceof DiskError && error.kind === 'not-found'
}
