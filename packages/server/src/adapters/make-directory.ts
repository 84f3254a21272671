/**
 * Makes a directory and the parents it lacks, one by one from the nearest that exists. `mkdir` with
 * `recursive` must not be used for what people name: on a file system in which nothing can be made, such
 * as /proc, Node's own tries for ever.
 */

import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** Rejects with the system's error, which names the directory that could not be made. */
export async function makeDirectory(path: string, mode = 0o777): Promise<void> {
  const missing: string[] = []
  let at = resolve(path)
  while (!(await isDirectory(at))) {
    missing.push(at)
    at = dirname(at)
  }
  for (const directory of missing.reverse()) {
    try {
      await mkdir(directory, { mode })
    } catch (error) {
      // Somebody else made it meanwhile, which is as good.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  throw Object.assign(new Error(`${path} is a file, not a directory`), { code: 'ENOTDIR', path })
}
