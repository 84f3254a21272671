import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { exitCodes } from '../exit-codes.ts'
import { Output, type OutputFormat } from '../output/output.ts'
import { makeStyle } from '../output/style.ts'
import { buildProgram } from '../program.ts'
import { type MovementOptions, planMovement } from './plan-movement.ts'

const directory = mkdtempSync(join(tmpdir(), 'quorate-plan-'))
afterAll(() => rmSync(directory, { recursive: true }))

const defaults: MovementOptions = { nodes: 10, remove: 0, n: 3, tokens: 16, partitions: 1024 }

async function run(options: Partial<MovementOptions>, format: OutputFormat = 'json') {
  const written = { out: '', error: '' }
  const side = (name: 'out' | 'error') => ({
    isTerminal: false,
    style: makeStyle(false),
    columns: 80,
    write: (text: string): void => {
      written[name] += text
    },
  })
  const output = new Output({ out: side('out'), error: side('error') }, format)
  const exitCode = await planMovement(output, { ...defaults, ...options })
  return { exitCode, ...written }
}

const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

describe('plan movement', () => {
  it('sets the partitioners side by side: modulo moves nearly everything', async () => {
    const { exitCode, out } = await run({ add: 1 })
    expect(exitCode).toBe(exitCodes.ok)
    const document = JSON.parse(out)
    expect(document.kind).toBe('movement')
    const moved = Object.fromEntries(
      document.items.map((item: { partitioner: string; firstMoved: number }) => [
        item.partitioner,
        item.firstMoved,
      ]),
    )
    expect(Object.keys(moved)).toEqual([
      'ring (16 allocated tokens)',
      'ring (256 random tokens)',
      'ring (1 random token)',
      'fixed',
      'modulo',
    ])
    expect(moved.modulo).toBeGreaterThan(0.9)
    expect(moved.fixed).toBeLessThan(0.12)
    expect(document.items[2].dead).toEqual({ node: 'n01', survivors: 1, greatestShare: 1 })
  })

  it('speaks in a table and in TSV, with one line for each partitioner', async () => {
    for (const format of ['table', 'tsv'] as const) {
      const { out } = await run({ nodes: 5, zones: 5, randomTokens: true }, format)
      const lines = out.trimEnd().split('\n')
      expect(lines).toHaveLength(5)
      expect(lines[0]).toMatch(/^PARTITIONER\s+KEYS MOVED\s+THEORY/)
      expect(lines.at(-1)).toMatch(/^modulo\s+8\d\.\d %\s+83\.3 %/)
    }
  })

  it('counts the keys of a file, says where zones overrule weights, and can remove', async () => {
    const keys = file('keys.txt', Array.from({ length: 5000 }, (_, i) => `FR-${i}`).join('\r\n'))
    const { out, error } = await run({ nodes: 6, remove: 1, keys, n: 2 }, 'table')
    expect(out).toContain('fixed')
    expect(error).toContain('5,000 keys')
    expect(error).toContain('1 node fewer')
    const uneven = await run({ nodes: 5, add: 1, zones: 4, n: 4 }, 'table')
    expect(uneven.error).toContain('but may hold at most')
    const coarse = await run({ nodes: 20, partitions: 64 })
    expect(JSON.parse(coarse.out).warnings).toEqual([
      expect.stringContaining('modulo: 64 buckets are too few for the figure of theory'),
    ])
  })

  it.each([
    [{ nodes: 0 }, '--nodes is at least 1'],
    [{ nodes: 1_000_000 }, '--nodes is at most'],
    [{ add: 1_000_000 }, '--add is at most'],
    [{ add: 0 }, 'change nothing'],
    [{ n: 0 }, '--n is at least 1'],
    [{ n: 11 }, '--n is at most 10'],
    [{ zones: 0 }, '--zones is at least 1'],
    [{ tokens: 0 }, '--tokens is at least 1'],
    [{ partitions: 0 }, '--partitions is at least 1'],
    [{ nodes: 500, partitions: 65_536 }, '--partitions 65536 are too many'],
    [{ nodes: 500, tokens: 1024 }, '--tokens 1024 are too many'],
    [{ remove: 8 }, '--remove 8 leaves 2 nodes'],
    [{ remove: 11 }, '--remove 11 is more than'],
    [{ keys: join(directory, 'missing') }, '--keys: '],
    [{ keys: file('empty.txt', '\n\n') }, 'holds no keys'],
  ])('%j is refused: %s', async (options, message) => {
    const failure = await run(options).catch((error: unknown) => error)
    expect(failure).toMatchObject({ exitCode: exitCodes.usage, message: expect.stringContaining(message) })
  })

  it.each(['-1', 'ten', '1.5', ''])('--nodes %j is refused, naming the flag', async text => {
    const program = buildProgram({ exitCode: 0 })
    await expect(
      program.parseAsync(['node', 'quorate', 'plan', 'movement', `--nodes=${text}`]),
    ).rejects.toThrow('--nodes is a whole number')
  })
})
