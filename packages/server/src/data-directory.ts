/**
 * One data directory belongs to one node and one process.
 *
 * `node.json` names the node it was made for: another node's directory is refused. `lock` holds the
 * process id of the owner; a lock whose process is gone is taken over.
 */

import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isQuorateError, QuorateError } from '@quorate/core'
import { makeDirectory } from './adapters/make-directory.ts'

export class DataDirectory {
  readonly path: string
  readonly log: string
  readonly table: string
  readonly token: string
  readonly #lock: string

  private constructor(path: string, token: string) {
    this.path = path
    this.log = join(path, 'log')
    this.table = join(path, 'table')
    this.#lock = join(path, 'lock')
    this.token = token
  }

  static async open(path: string, node: string): Promise<DataDirectory> {
    await usable(path, 'made', () => makeDirectory(path, 0o700))
    return usable(path, 'used', async () => {
      await refuseForeign(path, node)
      const directory = new DataDirectory(path, await adminToken(path))
      await directory.#take()
      return directory
    })
  }

  async #take(): Promise<void> {
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        const handle = await open(this.#lock, 'wx', 0o600)
        await handle.writeFile(String(process.pid))
        await handle.close()
        return
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
        const owner = Number(await readFile(this.#lock, 'utf8').catch(() => '0'))
        if (owner > 0 && owner !== process.pid && isRunning(owner)) {
          throw new QuorateError(
            'BAD_REQUEST',
            `the data directory ${this.path} is in use by process ${owner}`,
            { data: { process: owner } },
          )
        }
        await rm(this.#lock, { force: true })
      }
    }
    throw new QuorateError('BAD_REQUEST', `the data directory ${this.path} cannot be locked`)
  }

  async release(): Promise<void> {
    await rm(this.#lock, { force: true })
  }

  /** Moves a damaged store aside, whole, so that the node can be rebuilt from its replicas. Returns where it went. */
  static async setAside(path: string): Promise<string> {
    const target = `${path}.damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`
    await rename(path, target)
    return target
  }
}

/** A directory that was chosen wrongly is the operator's to change; a full disk is another matter. */
async function usable<T>(path: string, what: 'made' | 'used', run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (isQuorateError(cause) || ['ENOSPC', 'EDQUOT', 'EROFS'].includes(code ?? '')) throw cause
    throw new QuorateError('BAD_REQUEST', `the data directory ${path} cannot be ${what}: ${message}`, {
      cause,
      data: { field: 'data', directory: path },
    })
  }
}

async function refuseForeign(path: string, node: string): Promise<void> {
  const file = join(path, 'node.json')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    await writeFile(file, `${JSON.stringify({ node })}\n`, { mode: 0o600 })
    return
  }
  let owner: unknown
  try {
    owner = (JSON.parse(text) as { node?: unknown }).node
  } catch (cause) {
    throw new QuorateError('STORE_DAMAGED', `${file} is not readable: the data directory is damaged`, {
      cause,
    })
  }
  if (owner !== node) {
    throw new QuorateError(
      'BAD_REQUEST',
      `the data directory ${path} belongs to node "${String(owner)}", not to "${node}"`,
      {
        data: { owner: String(owner), node },
      },
    )
  }
}

/** Whoever can read this file may change the node's state over the admin interface. */
async function adminToken(path: string): Promise<string> {
  const file = join(path, 'admin-token')
  const found = await readFile(file, 'utf8').catch(() => '')
  if (found.trim() !== '') return found.trim()
  const token = randomBytes(24).toString('base64url')
  await writeFile(file, `${token}\n`, { mode: 0o600 })
  return token
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
