import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Session } from '@quorate/client/pure'
import { joinTokens } from '@quorate/core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { inSessionOf } from './session-file.ts'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quorate-session-'))
})
afterEach(() => rm(directory, { recursive: true }))

const token = joinTokens([new Uint8Array([1, 2, 3])])
const sees = (session: Session | undefined) => session!.run(async () => ({ session: token }))

it('a session goes on from command to command, for its owner only', async () => {
  const file = join(directory, 'session')
  await inSessionOf(file, sees)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  await inSessionOf(file, async session => {
    expect(session!.bytes).toEqual(token)
    return sees(session)
  })
  expect(await readdir(directory)).toEqual(['session'])
})

it('a call that fails leaves the file alone', async () => {
  const file = join(directory, 'session')
  await inSessionOf(file, sees)
  const before = await readFile(file, 'utf8')
  await expect(inSessionOf(file, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await readFile(file, 'utf8')).toBe(before)
})

it('a file that holds no token is refused before anything is done', async () => {
  const file = join(directory, 'session')
  await writeFile(file, 'hello, world\n')
  let called = false
  const call = async () => {
    called = true
  }
  await expect(inSessionOf(file, call)).rejects.toThrow(`${file} holds no session`)
  await expect(inSessionOf(directory, call)).rejects.toThrow('cannot be read')
  expect(called).toBe(false)
})

it('without a file there is no session', async () => {
  expect(await inSessionOf(undefined, async session => session)).toBeUndefined()
})
