import type { Receipt } from '@quorate/client/pure'
import type { Context } from '@quorate/core'
import { describe, expect, it } from 'vitest'
import { History, type ReadRecord, type WriteRecord } from '../workloads/history.ts'
import type { RegisterOperation } from '../workloads/register-clients.ts'
import type { Destruction, Evidence, TableFacts } from './evidence.ts'
import { contextAfter } from './holders.ts'
import { checkMonotonicReads } from './monotonic.ts'
import { checkNoLostWrite } from './no-lost-write.ts'
import { checkNoResurrection } from './no-resurrection.ts'
import { checkOutcomes } from './outcomes.ts'
import { checkReceipts } from './receipts.ts'
import { checkRegisters } from './registers.ts'

const table: TableFacts = { name: 't', n: 3, r: 2, w: 2, sloppy: false, blocking: true, rule: 'siblings' }

function receipt(homes: readonly string[], needed = 2, fallbacks: readonly string[] = []): Receipt {
  return {
    coordinator: 'n1',
    mapVersion: 1,
    answered: [
      ...homes.map(node => ({ node, role: 'home' as const })),
      ...fallbacks.map(node => ({ node, role: 'fallback' as const, for: 'n3' })),
    ],
    needed,
    replicas: 3,
    copies: homes.length,
    hinted: [],
    repaired: [],
    forwarded: false,
    route: ['n1'],
    hedged: false,
    log: undefined,
    overlap: true,
    guarantee: '',
  }
}

const write = (
  tag: string | undefined,
  at: number,
  seen: readonly string[] = [],
  over: Partial<WriteRecord> = {},
): WriteRecord => ({
  kind: 'write',
  client: 'c',
  table: 't',
  key: 'k',
  tag,
  operation: `op ${tag ?? 'delete'} ${at}`,
  strict: false,
  seen: new Set(seen),
  callMs: at,
  returnMs: at + 1,
  outcome: 'ok',
  receipt: receipt(['n1', 'n2']),
  context: [],
  error: undefined,
  ...over,
})

const read = (tags: readonly string[], at: number, homes = ['n2', 'n3']): ReadRecord => ({
  kind: 'read',
  client: 'c',
  table: 't',
  key: 'k',
  tags,
  callMs: at,
  returnMs: at + 1,
  receipt: receipt(homes),
})

function evidence(
  records: readonly (WriteRecord | ReadRecord)[],
  final: readonly string[],
  more: { facts?: Partial<TableFacts>; ledger?: readonly string[]; destroyed?: readonly Destruction[] } = {},
): Evidence {
  const history = new History()
  for (const record of records) {
    if (record.kind === 'write') history.writes.push(record)
    else history.reads.push(record)
  }
  return {
    rows: history.byRow(),
    tables: new Map([['t', { ...table, ...more.facts }]]),
    final: new Map([['t/k', final]]),
    ledger: new Set(more.ledger ?? []),
    destroyed: more.destroyed ?? [],
    moved: false,
  }
}

describe('no lost write', () => {
  it('accepts what is visible, knowingly replaced, or in the ledger', () => {
    expect(checkNoLostWrite(evidence([write('a', 1), write('b', 5, ['a'])], ['b']))).toEqual([])
    expect(
      checkNoLostWrite(evidence([write('a', 1)], [], { facts: { rule: 'lww' }, ledger: ['a'] })),
    ).toEqual([])
  })
  it('rejects an acknowledged value that is gone', () => {
    expect(checkNoLostWrite(evidence([write('a', 1), write('b', 5)], ['b']))).toHaveLength(1)
    expect(checkNoLostWrite(evidence([write('a', 1)], [], { facts: { rule: 'lww' } }))[0]?.checker).toBe(
      'no-silent-drop',
    )
  })
  it('lets a write whose coordinator decides replace what was there before it ended, and nothing later', () => {
    const blind = { seen: undefined }
    expect(checkNoLostWrite(evidence([write('a', 1), write('b', 5, [], blind)], ['b']))).toEqual([])
    expect(checkNoLostWrite(evidence([write('b', 1, [], blind), write('a', 5)], ['b']))).toHaveLength(1)
  })
  it('excuses one copy of too few on a disk destroyed since, never W copies', () => {
    const destroyed = [{ node: 'n1', atMs: 9 }]
    const thin = { receipt: receipt(['n1'], 1) }
    expect(checkNoLostWrite(evidence([write('a', 1, [], thin)], [], { destroyed }))).toEqual([])
    expect(checkNoLostWrite(evidence([write('a', 1)], [], { destroyed }))).toHaveLength(1)
  })
  it('asks nothing of writes that failed or are of unknown outcome', () => {
    expect(checkNoLostWrite(evidence([write('a', 1, [], { outcome: 'unknown' })], []))).toEqual([])
  })
})

describe('outcomes', () => {
  it('rejects a value whose write was said not to be applied, and one that shows twice', () => {
    expect(checkOutcomes(evidence([write('a', 1, [], { outcome: 'failed' })], ['a']))).toHaveLength(1)
    expect(checkOutcomes(evidence([write('a', 1), read(['a', 'a'], 4)], ['a']))).toHaveLength(1)
    expect(checkOutcomes(evidence([write('a', 1, [], { outcome: 'unknown' })], ['a']))).toEqual([])
  })
})

describe('no resurrection', () => {
  it('rejects what came back after its delete, at the end or in an overlapping read', () => {
    expect(checkNoResurrection(evidence([write('a', 1), write(undefined, 5, ['a'])], ['a']))).toHaveLength(1)
    expect(
      checkNoResurrection(evidence([write('a', 1), write(undefined, 5, ['a']), read(['a'], 9)], [])),
    ).toHaveLength(1)
  })
  it('accepts a value the delete had not seen', () => {
    expect(
      checkNoResurrection(evidence([write('a', 1), write('b', 4), write(undefined, 5, ['a'])], ['b'])),
    ).toEqual([])
  })
})

describe('receipts', () => {
  it('rejects a read that heard enough homes and missed an acknowledged write', () => {
    expect(checkReceipts(evidence([write('a', 1), read([], 5)], ['a']))).toHaveLength(1)
    expect(checkReceipts(evidence([write('a', 1), read([], 5, ['n3'])], ['a']))).toEqual([])
  })
  it('rejects a strict write that counts fallbacks, or has too few copies', () => {
    const counted = { receipt: receipt(['n1'], 2, ['n4']) }
    expect(checkReceipts(evidence([write('a', 1, [], counted)], ['a']))).toHaveLength(1)
    expect(checkReceipts(evidence([write('a', 1, [], { receipt: receipt(['n1'], 2) })], ['a']))).toHaveLength(
      1,
    )
    expect(checkReceipts(evidence([write('a', 1, [], counted)], ['a'], { facts: { sloppy: true } }))).toEqual(
      [],
    )
  })
})

describe('monotonic reads', () => {
  it('rejects a later read that goes back', () => {
    const unknown = write('a', 1, [], { outcome: 'unknown' })
    expect(
      checkMonotonicReads(evidence([unknown, read(['a'], 5, ['n1', 'n2']), read([], 9)], [])),
    ).toHaveLength(1)
    expect(
      checkMonotonicReads(evidence([unknown, write('b', 7, ['a']), read(['a'], 5), read(['b'], 9)], ['b'])),
    ).toEqual([])
  })
})

describe('registers', () => {
  const operation = (
    input: RegisterOperation['input'],
    output: RegisterOperation['output'],
    call: number,
  ): RegisterOperation => ({
    input,
    output,
    call,
    return: output === undefined ? undefined : call + 1,
  })
  it('rejects a read of what was overwritten, accepts an unknown swap that took effect late', () => {
    const swap = (value: string, call: number, known = true) =>
      operation({ key: 'r', kind: 'swap', value }, known ? { ok: true, found: undefined } : undefined, call)
    const see = (found: string, call: number) =>
      operation({ key: 'r', kind: 'read' }, { ok: true, found }, call)
    expect(checkRegisters([swap('1', 1), swap('2', 3), see('1', 5)])).toHaveLength(1)
    expect(checkRegisters([swap('1', 1), swap('2', 3, false), see('1', 5), see('2', 7)])).toEqual([])
  })
})

describe('what a holder owes after a collection', () => {
  const actor = 'a' as Context[number]['actor']
  const after = (intervals: number[], watermark: number) =>
    contextAfter([{ actor, intervals }], watermark as never)[0]?.intervals
  it('is everything past the watermark and nothing before it', () => {
    expect(after([1, 4, 6, 9], 0)).toEqual([1, 4, 6, 9])
    expect(after([1, 4, 6, 9], 5)).toEqual([6, 9])
    expect(after([1, 4, 6, 9], 6)).toEqual([7, 9])
    expect(after([1, 4, 6, 9], 8)).toEqual([9, 9])
    expect(after([1, 4, 6, 9], 9)).toBeUndefined()
  })
})
