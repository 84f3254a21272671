import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { splitPointsOfFile } from './split-sample.ts'

const scratch = mkdtempSync(join(tmpdir(), 'quorate-sample-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

function file(name: string, text: string): string {
  const path = join(scratch, name)
  writeFileSync(path, text)
  return path
}

const lines = (count: number): string =>
  Array.from({ length: count }, (_, i) => JSON.stringify({ id: (i * 7919) % count })).join('\n')

it('cuts the keys of a sample into equal parts, in their order', async () => {
  expect(await splitPointsOfFile(file('a.jsonl', lines(100)), 'id', 4)).toEqual([25, 50, 75])
  expect(await splitPointsOfFile(file('a.csv', 'id,x\nb,1\na,2\nd,3\nc,4\n'), 'id', 2)).toEqual(['c'])
  expect(await splitPointsOfFile(file('one.jsonl', '{"id": 1}\n{"id": 1}'), 'id')).toEqual([])
})

it('keeps a bounded part of a large file, and cuts it as evenly', async () => {
  const points = (await splitPointsOfFile(file('large.jsonl', lines(250_001)), 'id', 5)) as number[]
  expect(points).toHaveLength(4)
  for (const [at, point] of points.entries())
    expect(Math.abs(point - ((at + 1) * 250_001) / 5)).toBeLessThan(2_500)
})

it.each([
  ['{"id": 1}\nnot json', /line 2 of .*not JSON/],
  ['{"name": 1}', /line 1 of .*no field "id"/],
  ['', /holds no rows/],
])('says what is wrong with a sample: %j', async (text, message) => {
  await expect(splitPointsOfFile(file('bad.jsonl', text), 'id', 4)).rejects.toThrow(message)
})

it('refuses a file that is not there, and fewer than two ranges', async () => {
  await expect(splitPointsOfFile(join(scratch, 'none'), 'id', 4)).rejects.toThrow(/cannot be read/)
  await expect(splitPointsOfFile(file('b.jsonl', lines(9)), 'id', 1)).rejects.toThrow(/at least 2/)
})
