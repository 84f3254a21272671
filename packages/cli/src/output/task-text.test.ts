/** What several nodes say of one task, as one: the driver is believed about waits, the newest about the end. */

import type { TaskDocument } from '@quorate/server'
import { expect, it } from 'vitest'
import { mergeTasks, type PartitionReport, stagesText, taskItems, waitsText } from './task-text.ts'

const task = {
  id: 'p-1',
  state: 'running',
  changes: [],
  moves: 4,
  bytes: 1_000,
  bytesPerSecond: 100,
  startedMs: 5,
  undo: [],
  by: 'n1',
  origin: 'operator',
} as const
const report = (partition: number, more: Partial<PartitionReport> = {}): PartitionReport =>
  ({
    table: 't',
    partition,
    stage: 'stream',
    to: ['n4'],
    rows: 0,
    bytes: 0,
    waitsFor: '',
    ...more,
  }) as PartitionReport
const document = (more: Partial<TaskDocument>): TaskDocument => ({
  node: 'n1',
  drives: false,
  version: 7,
  task,
  changes: ['n4 joins'],
  history: [],
  reports: [],
  receivedBytes: 0,
  receivedBytesTotal: 0,
  bytesPerSecond: 100,
  ...more,
})

it('waits come from the driver, stages from whoever is furthest, bytes from those who received them', () => {
  const { view } = mergeTasks([
    document({ drives: true, reports: [report(1, { waitsFor: 'n4 (suspected down)', rows: 9 }), report(2)] }),
    document({
      node: 'n2',
      bytesPerSecond: 50,
      reports: [report(1, { stage: 'verify' }), report(2), report(3)],
    }),
    document({ node: 'n4', receivedBytes: 400, reports: [report(1, { waitsFor: 'long ago' })] }),
  ])
  expect(view).toMatchObject({ done: 2, receivedBytes: 400, driver: 'n1', bytesPerSecond: 50 })
  expect(view!.partitions).toEqual([
    report(1, { stage: 'verify', rows: 9, waitsFor: 'n4 (suspected down)' }),
    report(2),
  ])
  expect(waitsText(view!)).toBe('1 waits for n4 (suspected down)')
  expect(stagesText(view!)).toBe('stream 1 → verify 1')
})

it('a task that one node does not know to be over is over', () => {
  const past = {
    id: 'p-1',
    outcome: 'done',
    changes: [],
    moves: 4,
    startedMs: 5,
    endedMs: 9,
    undo: ['back'],
    origin: 'auto',
  } as const
  const merged = mergeTasks([
    document({ reports: [report(1)] }),
    document({ version: 8, task: null, history: [{ ...past, words: ['n4 joins'] }] }),
  ])
  expect(merged.view).toBeUndefined()
  expect(taskItems(merged)).toEqual([
    {
      id: 'p-1',
      state: 'done',
      changes: ['n4 joins'],
      moves: 4,
      done: 4,
      startedMs: 5,
      endedMs: 9,
      undo: ['back'],
      origin: 'auto',
    },
  ])
})

it('while it is being committed nothing is done, however few partitions are queued yet', () => {
  const { view } = mergeTasks([document({ drives: true, task: { ...task, state: 'committing' } })])
  expect(view!.done).toBe(0)
  expect(mergeTasks([])).toEqual({ view: undefined, history: [], version: 0 })
})
