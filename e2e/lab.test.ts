/** `quorate lab`: no cluster, no network; a timeline for people, one document for programs. */

import { expect, it } from 'vitest'
import { quorate } from './harness.ts'

const STORIES = [
  'read-your-writes',
  'monotonic-reads',
  'cross-region-sync-tax',
  'answer-before-question',
  'statement-divergence',
  'github-2012',
  'github-2018',
  'split-brain',
  'unclean-election',
  'lww-lost-update',
  'clock-skew',
  'cart-union',
  'cart-or-set',
  'sibling-explosion',
  'zombie-tombstone',
]

it('lab list names the stories', async () => {
  const { code, stdout } = await quorate(['lab', 'list', '--json'])
  expect(code).toBe(0)
  const names = (JSON.parse(stdout).items as { name: string }[]).map(item => item.name)
  expect(names).toEqual(STORIES)
})

it.each(STORIES)('%s: every setting does as it is told, within 90 columns', async story => {
  const { code, stdout, stderr } = await quorate(['lab', 'run', story, '--seed', '11'])
  expect(code, stderr).toBe(0)
  const verdicts = stdout.match(/^ {2}(BROKEN|HOLDS|UNDECIDED) .*$/gm) ?? []
  expect(verdicts.length).toBeGreaterThanOrEqual(2)
  for (const verdict of verdicts) expect(verdict).toMatch(/^ {2}(BROKEN|HOLDS) \(as expected\)$/)
  for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(90)
})

it('lab run tells each setting, its verdict and what to choose, within 90 columns', async () => {
  const { code, stdout, stderr } = await quorate(['lab', 'run', 'read-your-writes', '--seed', '3'])
  expect(code, stderr).toBe(0)
  expect(stdout).toContain('setting w1-r1')
  expect(stdout).toMatch(/^ {2}00:00\.000 {2}Ann {2}writes comment/m)
  expect(stdout.match(/^ {2}(BROKEN|HOLDS) \(as expected\)$/gm)).toEqual([
    '  BROKEN (as expected)',
    '  HOLDS (as expected)',
    '  HOLDS (as expected)',
    '  HOLDS (as expected)',
  ])
  expect(stdout.trimEnd().split('\n').slice(-2).join(' ')).toContain('Choose w + r > n')
  expect(Math.max(...stdout.split('\n').map(line => line.length))).toBeLessThanOrEqual(90)
})

it('lab run --setting -o json is one document, and the same each time', async () => {
  const run = () => quorate(['lab', 'run', 'monotonic-reads', '--setting', 'any-replica', '-o', 'json'])
  const [first, second] = await Promise.all([run(), run()])
  expect(first.code, first.stderr).toBe(0)
  expect(second.stdout).toBe(first.stdout)
  expect(JSON.parse(first.stdout)).toMatchObject({
    kind: 'lab',
    scenario: 'monotonic-reads',
    seed: 1,
    items: [{ setting: 'any-replica', expected: 'broken', verdict: 'broken', asExpected: true }],
  })
})

it('a name that is not there is an error which lists those that are', async () => {
  const story = await quorate(['lab', 'run', 'no-such-story'])
  expect(story.code).toBe(5)
  expect(story.stderr).toContain('read-your-writes, monotonic-reads, cross-region-sync-tax')
  const setting = await quorate(['lab', 'run', 'monotonic-reads', '--setting', 'nothing'])
  expect(setting.code).toBe(5)
  expect(setting.stderr).toContain('any-replica, write-all, one-replica, quorum')
})
