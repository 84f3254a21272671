/** A plan in words: what a person must see before committing it. */

import type { PlanDocument } from '@quorate/server'
import { expect, it } from 'vitest'
import { planCost, planLines, planNext, shortPlan } from './plan-text.ts'
import { makeStyle } from './style.ts'

const plain = makeStyle(false)
const growth: PlanDocument = {
  id: 'p-0123456789ab',
  changes: ['n4 joins'],
  isEmpty: false,
  moves: 1,
  rows: 120,
  bytes: 20_480,
  seconds: 2,
  members: [
    { id: 'n1', zone: 'a', state: 'active', weight: 1 },
    { id: 'n4', zone: 'b', state: 'active', weight: 2 },
  ],
  tables: [
    {
      table: 'carts',
      partitioning: 'ring',
      splits: ['17'],
      merges: [],
      moves: [{ first: '17', from: ['n1'], to: ['n4'], rows: 120, bytes: 20_480 }],
      bytes: 20_480,
      balanceBefore: 2,
      balanceAfter: 1.1,
      narrowBefore: 1,
      narrowAfter: 0,
    },
    {
      table: 'still',
      partitioning: 'range',
      splits: [],
      merges: [],
      moves: [],
      bytes: 0,
      balanceBefore: 1,
      balanceAfter: 1,
      narrowBefore: 0,
      narrowAfter: 0,
    },
  ],
  nodes: [
    {
      node: 'n1',
      zone: 'a',
      partitionsBefore: 9,
      partitionsAfter: 8,
      incomingBytes: 0,
      outgoingBytes: 20_480,
      freeBytes: 1_048_576,
    },
    {
      node: 'n4',
      zone: 'b',
      partitionsBefore: 0,
      partitionsAfter: 1,
      incomingBytes: 20_480,
      outgoingBytes: 0,
      freeBytes: null,
    },
  ],
  problems: [],
  warnings: ['"carts" is loved'],
  survives: ['"carts": any one node may fail'],
  leaders: {
    loads: [
      { node: 'n1', before: 2, after: 1 },
      { node: 'n2', before: 0, after: 1 },
    ],
    moves: [{ table: 'posts', partition: 1, from: 'n1', to: 'n2' }],
  },
  auto: null,
}

it('shows what changes, what moves where, what it survives, and the next command', () => {
  expect(planLines(growth, plain)).toEqual([
    'plan p-0123456789ab  1 partition moves, 1 split, 120 rows, 20 KiB, about 2 s',
    '  n4 joins',
    '',
    'TABLE  BY    MOVES  SPLITS  MERGES  BYTES   FULLEST / MEAN  IN TOO FEW ZONES',
    'carts  ring      1       1       0  20 KiB  2.00 → 1.10     1 → 0',
    '',
    '1 table stays as it is',
    '',
    'NODE  ZONE  THEN    PARTITIONS  IN      OUT     FREE',
    'n1    a     active  9 → 8       0 B     20 KiB  1.0 MiB',
    'n4    b     active  0 → 1       20 KiB  0 B     not known',
    '',
    'leaders   n1 2 → 1, n2 0 → 1',
    '  1 hand-over would spread the leaders, each in milliseconds and with nothing lost: quorate cluster spread-leaders',
    '',
    'survives',
    '  "carts": any one node may fail',
    '',
    'warnings',
    '  "carts" is loved',
    '',
    'next: quorate cluster commit p-0123456789ab',
  ])
})

it('a plan that cannot be carried out says why, and does not offer to commit it', () => {
  const refused = {
    ...growth,
    problems: Array.from({ length: 12 }, (_, i) => ({ subject: 'n4', message: `reason ${i}` })),
  }
  const lines = planLines(refused, plain)
  expect(lines).toContain('it cannot be carried out')
  expect(lines).toContain('  n4: reason 0')
  expect(lines).toContain('  … and 2 more (--json has all)')
  expect(planNext(refused)).toContain('quorate cluster clear')
  expect(lines.join()).not.toContain('cluster commit')
  expect(shortPlan(refused, plain)).toEqual([
    '  staged now: n4 joins',
    '  1 partition moves, 1 split, 120 rows, 20 KiB, about 2 s',
    '  it cannot be carried out: n4: reason 0 (and 11 more)',
    '  next: quorate cluster plan, or quorate cluster clear',
  ])
})

it('a plan of nothing leads nowhere', () => {
  const nothing = { ...growth, isEmpty: true, changes: [] }
  expect(planCost(nothing)).toBe('nothing would change')
  expect(planNext(nothing)).toBeUndefined()
  expect(planLines(nothing, plain)[1]).toBe('  nothing is staged')
})
