/**
 * The `Table` port on LMDB.
 *
 * LMDB is a copy-on-write B+ tree in one memory-mapped file: a batch is one transaction, and a power
 * cut leaves the tree before it or after it. `overlappingSync` is off, because with it a commit is
 * reported before it is on disk. Keys and values are plain bytes; the package's encoders, compression
 * and caches are not used.
 *
 * Reference: Chu, "MDB: A Memory-Mapped Database and Backend for OpenLDAP" (2011).
 */

import { statfs } from 'node:fs/promises'
import { constants } from 'node:os'
import {
  type ByteString,
  DiskError,
  type ScanOptions,
  type Table,
  type TableWrite,
  writeByteString,
} from '@quorate/core'
import { open, type RootDatabase } from 'lmdb'
import { makeDirectory } from './make-directory.ts'

const MAP_FULL = -30792
/** Less room than this, and a write that was cut short is taken for a full disk. */
const FREE_BYTES_MIN = 8 * 1024 * 1024

export interface LmdbTableOptions {
  /** Fixed size of the map in bytes; left out, it grows as needed. For tests of a full table. */
  readonly mapBytes?: number
}

/** Left to itself the engine begins a walk elsewhere. */
const FIRST_KEY = '\0' as ByteString

/** Straight into the engine's own buffer. It takes a RangeError for "too long for what is left of it". */
const keyEncoder = {
  writeKey(key: ByteString, target: Buffer, start: number): number {
    if (start + key.length > target.length) throw new RangeError('the key does not fit the buffer')
    return writeByteString(target, start, key)
  },
  readKey(source: Buffer, start: number, end: number): ByteString {
    return source.toString('latin1', start, end) as ByteString
  },
}

export class LmdbTable implements Table {
  readonly #database: RootDatabase<Buffer, ByteString>
  readonly #directory: string

  static async open(directory: string, options: LmdbTableOptions = {}): Promise<LmdbTable> {
    await makeDirectory(directory)
    const database = open<Buffer, ByteString>({
      path: directory,
      noSubdir: false,
      encoding: 'binary',
      keyEncoder,
      overlappingSync: false,
      ...(options.mapBytes === undefined ? {} : { mapSize: options.mapBytes }),
    })
    return new LmdbTable(database, directory)
  }

  private constructor(database: RootDatabase<Buffer, ByteString>, directory: string) {
    this.#directory = directory
    this.#database = database
  }

  get(key: ByteString): Uint8Array | undefined {
    const value = this.#database.get(key)
    return value === undefined ? undefined : plain(value)
  }

  *scan(
    from: ByteString,
    to: ByteString | undefined,
    options: ScanOptions = {},
  ): IterableIterator<[ByteString, Uint8Array]> {
    if (to !== undefined && to <= from) return
    if (options.limit !== undefined && options.limit <= 0) return
    const range = this.#database.getRange({
      ...(options.limit === undefined ? {} : { limit: options.limit }),
      ...(options.reverse === true ? downwards(from, to) : upwards(from, to)),
    })
    for (const { key, value } of range) yield [key, plain(value)]
  }

  async write(batch: readonly TableWrite[]): Promise<void> {
    const database = this.#database
    try {
      await database.transaction(() => {
        for (const { key, value } of batch) {
          if (value === undefined) database.removeSync(key)
          else database.putSync(key, Buffer.from(value.buffer, value.byteOffset, value.length))
        }
      })
    } catch (cause) {
      const root = await commitError(cause)
      const full = await this.#isFull(root)
      const reason = root instanceof Error ? root.message : String(root)
      throw new DiskError(full ? 'full' : 'io', `writing the table failed: ${reason}`, { cause: root })
    }
  }

  /**
   * LMDB says "input/output error" when the system took only part of a write, which is how a file
   * system fills up most of the time; the free space tells the two apart.
   */
  async #isFull(cause: unknown): Promise<boolean> {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === MAP_FULL || code === constants.errno.ENOSPC || code === constants.errno.EDQUOT) return true
    if (code !== constants.errno.EIO) return false
    const { bavail, bsize } = await statfs(this.#directory)
    return bavail * bsize < FREE_BYTES_MIN
  }

  async close(): Promise<void> {
    await this.#database.close()
  }
}

/**
 * When a commit fails the package also rejects a promise of its own that nobody can hold. The failure
 * itself arrives through `write`; this recognises the echo for the process's handler of unhandled
 * rejections, which would otherwise stop a node whose disk is merely full.
 */
export function isLmdbEcho(reason: unknown): boolean {
  return reason instanceof Error && 'commitError' in reason
}

/** A `Buffer`'s `slice` is a view where a `Uint8Array`'s is a copy, so no buffer may leave this file as bytes. */
function plain(value: Buffer): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.length)
}

/** The package rejects each write with a general error that holds the promise of the real one. */
async function commitError(cause: unknown): Promise<unknown> {
  if (!(cause instanceof Error) || !('commitError' in cause)) return cause
  try {
    await cause.commitError
    return cause
  } catch (root) {
    return root
  }
}

function upwards(from: ByteString, to: ByteString | undefined): { start: ByteString; end?: ByteString } {
  return {
    start: from === '' ? FIRST_KEY : from,
    ...(to === undefined ? {} : { end: to }),
  }
}

function downwards(from: ByteString, to: ByteString | undefined) {
  return {
    reverse: true,
    ...(to === undefined ? {} : { start: to, exclusiveStart: true }),
    end: from === '' ? FIRST_KEY : from,
    inclusiveEnd: true,
  }
}
