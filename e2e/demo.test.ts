import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { BIN, quorate, until } from './harness.ts'

it('the demo kills a node in mid-import, loses nothing, and leaves nothing behind', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'quorate-demo-test-'))
  try {
    const { code, stdout, stderr } = await quorate(
      ['demo', '--exit', '--json', '--rows', '20000', '--http-port', '0', '--seed', '7'],
      { env: { TMPDIR: temporary }, timeoutMs: 240_000 },
    )
    const lines = stdout.trim().split('\n')
    const found = JSON.parse(lines.at(-1) ?? '') as Record<string, unknown>
    expect(found, stderr).toMatchObject({
      rows: 20_000,
      acknowledged: 20_000,
      missing: 0,
      divergentKeys: 0,
      hintsDrained: true,
      problems: [],
    })
    expect(found.killed).toMatch(/^n[123]$/)
    expect(found.hintsReplayed).toBeGreaterThan(0)
    expect(found.seconds).toBeGreaterThan(0)
    expect(lines).toHaveLength(1)
    expect(code).toBe(0)
    expect(readdirSync(temporary)).toEqual([])
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
})

it('--json without --exit is a usage error that says what to type', async () => {
  const { code, stderr } = await quorate(['demo', '--json'])
  expect(code).toBe(2)
  expect(stderr).toContain('quorate demo --exit --json')
})

it.each([
  'SIGTERM',
  'SIGKILL',
] as const)('a demo that gets %s leaves no process and no file', async signal => {
  const temporary = mkdtempSync(join(tmpdir(), 'quorate-demo-test-'))
  const child = spawn(process.execPath, [BIN, 'demo', '--rows', '3000', '--http-port', '0'], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  try {
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', chunk => {
        said += chunk
      })
    await until('the prompt is there', async () => said.includes('The cluster stays up'))
    const pids = [...said.matchAll(/pid (\d+)/g)].map(match => Number(match[1]))
    expect(pids).toHaveLength(3)
    const gone = new Promise(resolve => child.once('close', resolve))
    child.kill(signal)
    await gone
    await until('every node has ended', async () => !pids.some(isRunning))
    await until('nothing is left', async () => readdirSync(temporary).length === 0)
  } finally {
    child.kill('SIGKILL')
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5 })
  }
})

it('a directory that holds something is refused', async () => {
  const { code, stderr } = await quorate(['demo', '--exit', '--data', tmpdir(), '--http-port', '0'])
  expect(code).toBe(2)
  expect(stderr).toContain('is not empty')
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
