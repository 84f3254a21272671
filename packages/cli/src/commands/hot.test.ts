/** What `quorate hot` prints, in its three forms: programs depend on two of them. */

import type { HotDocument, HotPartition } from '@quorate/server'
import { describe, expect, it } from 'vitest'
import type { CommandContext } from '../command-context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Output, type OutputFormat } from '../output/output.ts'
import { makeStyle } from '../output/style.ts'
import { hot } from './hot.ts'

const partition: HotPartition = {
  table: 'readings',
  partition: 7,
  first: '2026-01-01',
  replicas: ['n1', 'n2', 'n3'] as unknown as HotPartition['replicas'],
  readsPerSecond: 12.5,
  writesPerSecond: 900,
  pattern: 'ever-growing key',
  keys: [{ key: 'row 2026-02-01', share: 0.04, error: 0.04, readsPerSecond: 0, writesPerSecond: 36 }],
  advice: 'put something before it',
  refused: '',
}
const single: HotPartition = {
  ...partition,
  table: 'carts',
  partition: 1,
  first: '0',
  readsPerSecond: 83,
  writesPerSecond: 17,
  pattern: 'single key',
  keys: [
    { key: 'row k1', share: 0.832, error: 0.001, readsPerSecond: 83, writesPerSecond: 0 },
    { key: 'row k2', share: 0.1, error: 0.06, readsPerSecond: 0, writesPerSecond: 10 },
  ],
  advice: '',
  refused: 'one key is 83 % of the load',
}

async function shown(document: HotDocument, format: OutputFormat, limit = 20) {
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
  const admin = { hot: async () => document }
  const context = { access: { admin: async () => admin }, output, words: [] }
  const exitCode = await hot(context as unknown as CommandContext, undefined, { limit })
  return { exitCode, ...written }
}

describe('quorate hot', () => {
  const document: HotDocument = { partitions: [partition, single], unanswered: [] }

  it('as a table, with what helps on the side', async () => {
    const { exitCode, out, error } = await shown(document, 'table')
    expect(exitCode).toBe(exitCodes.ok)
    expect(out).toBe(
      [
        'TABLE     PARTITION  FROM        READS/S  WRITES/S  PATTERN           HOMES     KEYS',
        'readings          7  2026-01-01     12.5       900  ever-growing key  n1 n2 n3  row 2026-02-01, …',
        'carts             1  0                83        17  single key        n1 n2 n3  row k1 83 %, row k2 4 to 10 %',
        '',
      ].join('\n'),
    )
    expect(error).toBe(
      [
        'warning: partition 1 of "carts" is not split: one key is 83 % of the load',
        'warning: partition 7 of "readings": put something before it',
        '2 partitions; rates of about the last minute',
        '',
      ].join('\n'),
    )
  })

  it('as TSV and as JSON', async () => {
    const { out } = await shown(document, 'tsv')
    expect(out.split('\n').map(line => line.split('\t').length)).toEqual([8, 8, 8, 1])
    const asJson = JSON.parse((await shown(document, 'json')).out)
    expect(asJson).toMatchObject({ kind: 'hot', items: [partition, single], partial: false })
  })

  it('says whose requests are missing; of a spread load no key is named', async () => {
    const unanswered = ['n3'] as unknown as HotDocument['unanswered']
    const { exitCode, out, error } = await shown(
      { partitions: [{ ...single, pattern: 'spread', refused: '' }], unanswered },
      'tsv',
    )
    expect(exitCode).toBe(exitCodes.partial)
    expect(out).not.toContain('k1')
    expect(error).toContain('n3 does not answer')
    await expect(shown(document, 'json', 0)).rejects.toThrow('--limit is from 1 to 200')
  })
})
