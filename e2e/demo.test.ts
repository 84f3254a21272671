import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { quorate } from './harness.ts'

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
