import { expect, it } from 'vitest'
import type { TableView } from '../catalog/catalog.ts'
import { survivability } from './survivability.ts'

const view = (replication: object, copies = 3): TableView =>
  ({
    descriptor: { name: 't', replication },
    map: { partitions: [{ settled: Array.from({ length: copies }, (_, i) => `n${i}`) }] },
  }) as unknown as TableView

const led = (ack: string, minInSync = 1) => ({ kind: 'single-leader', n: 3, ack, minInSync, log: 'logical' })

it.each([
  [view({ kind: 'leaderless', n: 3, r: 2, w: 2 }), 'any one node may fail and writes with w=2 go on'],
  [view({ kind: 'leaderless', n: 3, r: 3, w: 1 }), 'any 2 nodes may fail and writes with w=1 go on'],
  [view(led('majority')), 'any one node may fail and writes with ack majority go on'],
  [view(led('majority'), 5), 'any 2 nodes may fail and writes with ack majority go on'],
  [view(led('one')), 'any one node may fail and writes with ack one go on'],
  // One more copy than the leader's in five: four logs must be read, or the write may have been in the fifth.
  [view(led('one'), 5), 'any one node may fail and writes with ack one go on'],
  [view(led('in-sync', 2)), 'any one node may fail and writes with ack in-sync go on'],
  [view(led('all')), 'no node may fail and writes with ack all go on; each write waits for every copy'],
])('%#', (table, words) => {
  expect(survivability([table], [])).toEqual([`"t": ${words}`])
})

it('under "none" nobody but an operator replaces a leader', () => {
  expect(survivability([view(led('none'))], [])[0]).toContain('no node may fail')
  expect(survivability([view(led('none'))], [])[0]).toContain('quorate cluster elect')
})

it('says what a move needs of either set of homes', () => {
  const [, moving] = survivability([view(led('majority'))], [{ name: 't', moves: [1, 2] }])
  expect(moving).toContain('each of 2 partitions needs 2 of its old and of its new homes')
})
