/**
 * The `Disk` port on `node:fs`: one directory, append-only files.
 *
 * `sync` is fdatasync, which on Linux also makes a changed size durable; there files are opened O_DSYNC as
 * well, and an append and its sync are one call instead of two. The first sync of a file syncs the
 * directory too, so that its name is there after a power cut. Writes that the system takes only in
 * part go on where they stopped. No space left, and a quota reached, are the error kind `full`;
 * everything else is `io`.
 */

import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import {
  assert,
  compareStrings,
  type Disk,
  DiskError,
  type DiskErrorKind,
  type DiskFile,
} from '@quorate/core'
import { makeDirectory } from './make-directory.ts'

/** Linux makes such a write durable before it returns, as a sync after it would; others promise less. */
const WRITE_THROUGH = process.platform === 'linux' ? constants.O_DSYNC : 0
const APPEND = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | WRITE_THROUGH
const OWNER_ONLY = 0o600

export class NodeDisk implements Disk {
  readonly #directory: string

  /** Makes the directory when it is missing. */
  static async open(directory: string): Promise<NodeDisk> {
    await attempt(`making ${directory}`, () => makeDirectory(directory))
    return new NodeDisk(directory)
  }

  private constructor(directory: string) {
    this.#directory = directory
  }

  async open(name: string): Promise<DiskFile> {
    const path = this.#path(name)
    return attempt(`opening ${path}`, async () => {
      const handle = await open(path, APPEND, OWNER_ONLY)
      const { size } = await handle.stat()
      return new NodeFile(handle, path, this.#directory, size)
    })
  }

  read(name: string): Promise<Uint8Array> {
    const path = this.#path(name)
    return attempt(`reading ${path}`, async () => {
      const content = await readFile(path)
      return new Uint8Array(content.buffer, content.byteOffset, content.length)
    })
  }

  list(): Promise<string[]> {
    return attempt(`listing ${this.#directory}`, async () => {
      const entries = await readdir(this.#directory, { withFileTypes: true })
      const files = entries.filter(entry => entry.isFile() && isName(entry.name))
      return files.map(entry => entry.name).sort(compareStrings)
    })
  }

  async remove(name: string): Promise<void> {
    const path = this.#path(name)
    await attempt(`removing ${path}`, () => unlink(path))
  }

  #path(name: string): string {
    assert(isName(name), 'a file name is plain: letters, digits, dot, dash, underscore', name)
    return join(this.#directory, name)
  }
}

class NodeFile implements DiskFile {
  readonly #handle: FileHandle
  readonly #path: string
  readonly #directory: string
  #size: number
  #named = false
  #usable = true
  /** Operations of one file run one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(handle: FileHandle, path: string, directory: string, size: number) {
    this.#handle = handle
    this.#path = path
    this.#directory = directory
    this.#size = size
  }

  size(): number {
    return this.#size
  }

  append(bytes: Uint8Array): Promise<void> {
    this.#size += bytes.length
    return this.#next('appending to', async () => {
      let at = 0
      while (at < bytes.length) {
        const { bytesWritten } = await this.#handle.write(bytes, at, bytes.length - at)
        at += bytesWritten
      }
    })
  }

  sync(): Promise<void> {
    return this.#next('syncing', async () => {
      // The first sync is also for what stood here before this handle, and for the name.
      if (this.#named && WRITE_THROUGH !== 0) return
      await this.#handle.datasync()
      if (this.#named) return
      const directory = await open(this.#directory, constants.O_RDONLY)
      try {
        await directory.sync()
      } finally {
        await directory.close()
      }
      this.#named = true
    })
  }

  close(): Promise<void> {
    const closed = this.#last.then(() => attempt(`closing ${this.#path}`, () => this.#handle.close()))
    this.#usable = false
    return closed
  }

  #next(what: string, run: () => Promise<void>): Promise<void> {
    const result = this.#last.then(async () => {
      assert(this.#usable, 'a file is not used after a failed append or sync, or after close', this.#path)
      try {
        await attempt(`${what} ${this.#path}`, run)
      } catch (error) {
        this.#usable = false
        throw error
      }
    })
    // The caller has the error; the order of operations goes on.
    this.#last = result.catch(() => {})
    return result
  }
}

function isName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(name)
}

const KINDS: ReadonlyMap<unknown, DiskErrorKind> = new Map([
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
  ['ENOENT', 'not-found'],
])

async function attempt<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new DiskError(KINDS.get(code) ?? 'io', `${what} failed: ${reason}`, { cause })
  }
}
