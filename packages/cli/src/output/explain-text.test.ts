import type { Explanation } from '@quorate/server'
import { expect, it } from 'vitest'
import { explainLines, writtenAt } from './explain-text.ts'
import { makeStyle } from './style.ts'

const version = { dot: 'ab:1', at: '2026-11-22T19:03:01.190Z', counter: 0, operation: '0f0f' }

it('a date is read as one; the counter shows only where it tells writes apart', () => {
  expect(writtenAt(version)).toBe('2026-11-22 19:03:01.190 UTC')
  expect(writtenAt({ ...version, counter: 3 })).toBe(
    '2026-11-22 19:03:01.190 UTC (number 4 in its millisecond)',
  )
})

it('the context is there to be pasted, and only when there is something to replace', () => {
  const found = {
    table: 'carts',
    partitionKeyHash: 'x',
    token: 5,
    partition: { id: 0, start: 0, end: 10, mapVersion: 1, moving: undefined },
    homes: ['n1'],
    fallbacks: [],
    replicas: [
      {
        node: 'n1',
        role: 'home',
        state: 'has it',
        suspected: false,
        digest: 'd',
        versions: [version],
        hintsFor: [],
      },
    ],
    merged: { values: [{ id: 'c1', n: { $number: 'NaN' } }], conflict: false, context: 'AQEw==' },
    why: [],
  } as unknown as Explanation
  const text = explainLines(found, 'c1', makeStyle(false)).join('\n')
  expect(text).toContain('  context AQEw==\n')
  expect(text).toContain('answer  {"id":"c1","n":{"$number":"NaN"}}')
  expect(text).toContain('written 2026-11-22 19:03:01.190 UTC  operation 0f0f')
  const nothing = { ...found, merged: { values: [], conflict: false, context: 'AQA=' } }
  expect(explainLines(nothing, 'c1', makeStyle(false)).join()).not.toContain('context')
})

it('a row in parts shows each part with its homes', () => {
  const home = (node: string, digest: string, state = 'has it') => ({
    node,
    role: 'home',
    state,
    digest,
    hintsFor: [],
  })
  const partition = { id: 4, start: 0, end: 10, mapVersion: 1, moving: undefined }
  const found = {
    table: 'likes',
    partitionKeyHash: 'x',
    token: 5,
    partition,
    homes: ['n1'],
    fallbacks: [],
    replicas: [],
    parts: [
      {
        part: 0,
        token: 5,
        partition,
        homes: ['n1', 'n2'],
        replicas: [home('n1', 'd'), home('n2', 'd')],
        values: 2,
      },
      {
        part: 1,
        token: 9,
        partition,
        homes: ['n2', 'n3'],
        replicas: [home('n2', 'e'), home('n3', 'f', 'damaged')],
        values: 1,
      },
    ],
    merged: { values: [], conflict: false, context: 'AQA=' },
    why: [],
  } as unknown as Explanation
  const text = explainLines(found, 'post', makeStyle(false)).join('\n')
  expect(text).toContain('  part 0  partition 4, n1 n2: 2 values\n')
  expect(text).toContain('  part 1  partition 4, n2 n3 (damaged): 1 value, which differ\n')
})
