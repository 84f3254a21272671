/** One history per rule of lists, sessions and generated ids that must fail, beside one that must pass. */

import type { Receipt } from '@quorate/client/pure'
import { expect, test } from 'vitest'
import { type ListAppend, ListHistory, type ListRead } from '../workloads/list-history.ts'
import { checkGeneratedIds } from './generated-ids.ts'
import { checkEpochs, checkLists } from './list-order.ts'
import { checkListSessions } from './list-sessions.ts'

const receiptOf = (leader: string, epoch: number, staleMs = 0): Receipt =>
  ({
    coordinator: leader,
    log: { leader, epoch, position: 1, byLeader: staleMs === 0, staleMs },
  }) as unknown as Receipt

function append(tag: string, beganMs: number, endedMs: number, more: Partial<ListAppend> = {}): ListAppend {
  const known = { row: 'k', client: 'c', session: undefined, outcome: 'ok', receipt: undefined } as const
  return { ...known, tag, beganMs, endedMs, ...more }
}

function read(
  found: readonly string[],
  beganMs: number,
  endedMs: number,
  more: Partial<ListRead> = {},
): ListRead {
  const known = { row: 'k', client: 'c', session: undefined, receipt: undefined, byLeader: true } as const
  return { ...known, found, beganMs, endedMs, ...more }
}

function historyOf(appends: readonly ListAppend[], reads: readonly ListRead[] = []): ListHistory {
  const history = new ListHistory()
  history.appends.push(...appends)
  history.reads.push(...reads)
  return history
}

interface Case {
  readonly appends: readonly ListAppend[]
  readonly reads?: readonly ListRead[]
  readonly list: readonly string[]
  readonly ledger?: readonly string[]
  readonly isWhole?: boolean
}

function found({ appends, reads, list, ledger = [], isWhole = true }: Case): string[] {
  const history = historyOf(appends, reads)
  const evidence = {
    history,
    final: new Map([['k', list]]),
    ledger: new Set(ledger),
    isWhole,
    clocksApartMs: 5,
  }
  return checkLists(evidence).map(({ checker }) => checker)
}

const two = [append('a', 0, 1), append('b', 2, 3)]

test('what happened in order passes', () => {
  const reads = [read([], 0, 0.5), read(['a'], 1.5, 2.5), read(['a', 'b'], 4, 5), read(['a', 'b'], 6, 7)]
  expect(found({ appends: two, reads, list: ['a', 'b'] })).toEqual([])
  const concurrent = [append('a', 0, 5), append('b', 1, 4)]
  expect(found({ appends: concurrent, list: ['b', 'a'] })).toEqual([])
})

test('append-once: a tag twice', () => {
  expect(found({ appends: two, list: ['a', 'b', 'a'] })).toContain('append-once')
})

test('no-lost-append: acknowledged and gone, or in a ledger without an unclean election', () => {
  expect(found({ appends: two, list: ['a'] })).toEqual(['no-lost-append'])
  expect(found({ appends: two, list: ['a'], ledger: ['b'] })).toEqual(['no-lost-append'])
  expect(found({ appends: two, list: ['a'], ledger: ['b'], isWhole: false })).toEqual([])
  expect(found({ appends: two, list: ['a'], isWhole: false })).toEqual(['no-lost-append'])
})

test('outcomes: there, although it was said not to be; an unknown outcome may be either', () => {
  for (const outcome of ['refused', 'not-applied'] as const)
    expect(found({ appends: [append('a', 0, 1, { outcome })], list: ['a'] })).toEqual(['outcomes'])
  const unknown = append('a', 0, Number.POSITIVE_INFINITY, { outcome: 'unknown' })
  for (const list of [['a'], []]) expect(found({ appends: [unknown], list })).toEqual([])
})

test('real-time-order: the later one first', () => {
  expect(found({ appends: two, list: ['b', 'a'] })).toEqual(['real-time-order'])
})

test('log-prefix: a read that is no beginning, by the leader or not', () => {
  for (const byLeader of [true, false])
    expect(found({ appends: two, reads: [read(['b'], 4, 5, { byLeader })], list: ['a', 'b'] })).toEqual([
      'log-prefix',
    ])
})

test('linearizable-read: the leader misses what was acknowledged before', () => {
  expect(found({ appends: two, reads: [read(['a'], 4, 5)], list: ['a', 'b'] })).toEqual(['linearizable-read'])
})

test('linearizable-read: what began after the read had ended', () => {
  expect(found({ appends: two, reads: [read(['a', 'b'], 1.2, 1.5)], list: ['a', 'b'] })).toEqual([
    'linearizable-read',
  ])
})

test('linearizable-read: two reads of which the later one sees less', () => {
  const unknown = append('b', 2, Number.POSITIVE_INFINITY, { outcome: 'unknown' })
  const reads = [read(['a', 'b'], 4, 5), read(['a'], 6, 7)]
  expect(found({ appends: [two[0]!, unknown], reads, list: ['a', 'b'] })).toEqual(['linearizable-read'])
})

test('staleness: a follower may lack what is younger than it says, and nothing else', () => {
  const at = (beganMs: number, staleMs: number): ListRead =>
    read(['a'], beganMs, beganMs + 1, { byLeader: false, receipt: receiptOf('n2', 1, staleMs) })
  expect(found({ appends: two, reads: [at(20, 10)], list: ['a', 'b'] })).toEqual(['staleness'])
  expect(found({ appends: two, reads: [at(20, 13)], list: ['a', 'b'] })).toEqual([])
})

test('one-leader: two nodes acknowledge under one epoch of one partition', () => {
  const by = (tag: string, leader: string, epoch: number): ListAppend =>
    append(tag, 0, 1, { receipt: receiptOf(leader, epoch) })
  const check = (...appends: ListAppend[]): number =>
    checkEpochs(historyOf(appends), () => 'the partition').length
  expect(check(by('a', 'n1', 1), by('b', 'n2', 1))).toBe(1)
  expect(check(by('a', 'n1', 1), by('b', 'n2', 2), by('c', 'n1', 3))).toBe(0)
})

test('session-guarantees: own writes are seen, and nothing vanishes; other sessions may see less', () => {
  const session = 's1'
  const own = [append('a', 0, 1, { session })]
  const check = (appends: readonly ListAppend[], reads: readonly ListRead[]): number =>
    checkListSessions(historyOf(appends, reads)).length
  expect(check(own, [read([], 2, 3, { session })])).toBe(1)
  expect(check(own, [read([], 0.5, 3, { session })])).toBe(0)
  expect(check(own, [read([], 2, 3, { session: 's2' }), read([], 2, 3)])).toBe(0)
  expect(check([], [read(['a'], 0, 1, { session }), read([], 2, 3, { session })])).toBe(1)
  expect(check([], [read(['a'], 0, 1, { session }), read([], 0.5, 3, { session })])).toBe(0)
})

test('generated-ids: none twice in a partition, and one for each append', () => {
  const check = (ids: readonly number[], others: readonly number[], partitionOf: (row: string) => string) =>
    checkGeneratedIds(
      new Map([
        ['k', ['a', 'b']],
        ['l', ['c']],
      ]),
      new Map([
        ['k', ids],
        ['l', others],
      ]),
      partitionOf,
    ).length
  const one = (): string => 'the partition'
  expect(check([1, 2], [3], one)).toBe(0)
  expect(check([1, 2], [2], one)).toBe(1)
  expect(check([1, 2], [2], row => row)).toBe(0)
  expect(check([1], [3], one)).toBe(1)
})
