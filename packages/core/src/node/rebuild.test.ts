import { expect, test } from 'vitest'
import type { NodeId, Stamp } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Store } from '../store/store-face.ts'
import { Rebuild } from './rebuild.ts'

const store = { get: () => new Uint8Array([1]) } as unknown as Store

/** Partition 0 of a table with n=3 and w=2, kept by these nodes. */
function kept(...replicas: string[]): [TableView, Partition] {
  const partition = { id: 0, from: 'a', to: 'z', replicas } as unknown as Partition
  const view = {
    descriptor: { id: 7, replication: { kind: 'leaderless', n: 3, w: 2 } },
    map: { find: () => partition },
  } as unknown as TableView
  return [view, partition]
}

test('old and new homes are not enough together: a write may be on the others of both', () => {
  // Of a write that was acknowledged by a and c of the old homes, and by a and x of the new ones, before a lost its
  // store: b and y have nothing.
  const rebuild = new Rebuild(store, 'a' as NodeId, () => 1 as Stamp)
  const [before, after] = [kept('a', 'b', 'c'), kept('a', 'x', 'y')]
  rebuild.pulled(before[0], 0, 'b' as NodeId)
  rebuild.pulled(after[0], 0, 'y' as NodeId)
  expect(rebuild.isReady(...after)).toBe(false)
  rebuild.pulled(after[0], 0, 'x' as NodeId)
  expect(rebuild.isReady(...after)).toBe(true)
})

test('what was ready stays ready when the homes change', () => {
  const rebuild = new Rebuild(store, 'a' as NodeId, () => 1 as Stamp)
  const before = kept('a', 'b', 'c')
  for (const peer of ['b', 'c']) rebuild.pulled(before[0], 0, peer as NodeId)
  expect(rebuild.isReady(...before)).toBe(true)
  expect(rebuild.isReady(...kept('a', 'x', 'y'))).toBe(true)
})
