/**
 * The session of commands that follow each other: its token in a file, read before and written after each.
 *
 * The file says what the session has seen, by the keys of rows, so only its owner may read it. It is replaced as a whole:
 * a command that is interrupted leaves the old one, which promises less and nothing wrong. It is left alone when the
 * call fails.
 */

import { readFile, rename, writeFile } from 'node:fs/promises'
import { isQuorateError, Session } from '@quorate/client'
import { CommandError } from '../command-error.ts'
import { exitCodes } from '../exit-codes.ts'

const OWNER_ONLY = 0o600

/** Runs `call` in the session of the file, or in none. */
export async function inSessionOf<T>(
  file: string | undefined,
  call: (session: Session | undefined) => Promise<T>,
): Promise<T> {
  if (file === undefined) return call(undefined)
  const session = await sessionOf(file)
  const result = await call(session)
  const next = `${file}.${process.pid}.new`
  try {
    await writeFile(next, `${session.token}\n`, { mode: OWNER_ONLY })
    await rename(next, file)
  } catch (cause) {
    throw new CommandError(
      exitCodes.unexpected,
      `the session could not be kept: ${(cause as Error).message}`,
      {
        done: 'The call itself has succeeded; the next one with this file does not know of it.',
      },
    )
  }
  return result
}

async function sessionOf(file: string): Promise<Session> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Session()
    throw new CommandError(exitCodes.usage, `the session file cannot be read: ${(error as Error).message}`, {
      done: 'Nothing was done.',
    })
  }
  try {
    return new Session(text.trim())
  } catch (error) {
    if (!isQuorateError(error)) throw error
    throw new CommandError(exitCodes.usage, `${file} holds no session: ${error.message}`, {
      done: 'Nothing was done.',
      next: `another name, or rm ${file}, begins a new session`,
    })
  }
}
