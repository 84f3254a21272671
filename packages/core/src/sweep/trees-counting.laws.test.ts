/** A tree that is counted in slices, while rows change, becomes the tree that is counted at once. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { u32ToString } from '../base/bytes.ts'
import type { ByteString, NodeId } from '../base/ids.ts'
import { encodeKey } from '../base/key-encoding.ts'
import { Catalog } from '../catalog/catalog.ts'
import { describeTable } from '../catalog/table-descriptor.ts'
import { digestCell } from '../cells/cell-codec.ts'
import type { MapChunk } from '../partitioning/partition-map.ts'
import { keyStart, placeOf, rowKey } from '../partitioning/row-key.ts'
import type { TableWrite } from '../ports/table.ts'
import type { Store } from '../store/store-face.ts'
import { Trees } from './trees.ts'

const self = 'n1' as NodeId
const described = describeTable(1, { name: 't', key: 'k', partitioning: { kind: 'range' } })
const table = described.id
const point = (n: number): ByteString => encodeKey(n)
const key = (n: number): ByteString => rowKey(table, placeOf('ordered', point(n)), point(n), '' as ByteString)

function stand(sliceRows: number) {
  const rows = new Map<ByteString, Uint8Array>()
  const pages = new Map<ByteString, Uint8Array>()
  const store = {
    get: (at: ByteString) => rows.get(at) ?? pages.get(at),
    *scan(from: ByteString, to: ByteString) {
      const all = [...rows, ...pages].filter(([at]) => at >= from && at < to)
      yield* all.sort(([a], [b]) => (a < b ? -1 : 1))
    },
  } as unknown as Store
  const catalog = new Catalog()
  const cut = (version: number, starts: readonly number[]): void => {
    const partitions = [undefined, ...starts].map((start, id) => ({
      id,
      version,
      start: start === undefined ? ('' as ByteString) : keyStart(point(start)),
      replicas: [self],
      move: undefined,
    }))
    const chunk: MapChunk = { version, nextId: 9, partitions }
    catalog.learn({ chunks: [{ table, index: 0, chunk }] })
  }
  catalog.learn({ tables: { version: 1, nextId: 2, tables: [{ ...described, chunks: 1 }] } })
  cut(1, [])
  const trees = new Trees(store, self, sliceRows)
  trees.follow(catalog)
  const put = (n: number, value: number | undefined): void => {
    const before = rows.get(key(n))
    const after = value === undefined ? undefined : new Uint8Array([value])
    if (after === undefined) rows.delete(key(n))
    else rows.set(key(n), after)
    const digest = (bytes: Uint8Array | undefined) =>
      bytes === undefined ? undefined : digestCell(key(n), bytes)
    trees.applied(table, key(n), digest(before), digest(after))
  }
  const checkpoint = (): void => {
    for (const { key: at, value } of trees.takePages() as TableWrite[])
      if (value === undefined) pages.delete(at)
      else pages.set(at, value)
  }
  return { trees, catalog, store, cut, put, checkpoint }
}

const roots = (trees: Trees, ids: readonly number[]) =>
  ids.map(id => ({ ...trees.node(table, id, 0, 0), counted: trees.isCounted(table, id) }))

const step = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    n: fc.nat(60),
    value: fc.option(fc.nat(9), { nil: undefined }),
  }),
  fc.constant({ kind: 'count' as const }),
  fc.constant({ kind: 'checkpoint' as const }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.integer({ min: 1, max: 59 }) }),
  fc.constant({ kind: 'join' as const }),
)

it('counted in slices, with writes, cuts, joins and checkpoints between them, it is what it would be at once', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 5 }), (steps, slice) => {
      const { trees, catalog, store, cut, put, checkpoint } = stand(slice)
      let version = 1
      let ids = [0]
      for (let n = 0; n < 40; n++) put(n, n % 7)
      for (const each of steps) {
        if (each.kind === 'put') put(each.n, each.value)
        else if (each.kind === 'count') trees.countOn()
        else if (each.kind === 'checkpoint') checkpoint()
        else {
          cut(++version, each.kind === 'cut' ? [each.at] : [])
          ids = each.kind === 'cut' ? [0, 1] : [0]
          trees.follow(catalog)
        }
      }
      while (trees.isCounting) trees.countOn()
      checkpoint()
      const rowsOnly = { ...store, get: () => undefined } as Store
      const atOnce = new Trees(rowsOnly, self)
      atOnce.follow(catalog)
      expect(roots(trees, ids)).toEqual(roots(atOnce, ids))
      // What was kept is the same, too.
      const reopened = new Trees(store, self)
      reopened.follow(catalog)
      expect(roots(reopened, ids)).toEqual(roots(atOnce, ids))
    }),
  )
})

it('a restart while it was counted finds no pages, and counts anew', () => {
  const { trees, catalog, store, cut, put, checkpoint } = stand(3)
  for (let n = 0; n < 20; n++) put(n, 1)
  checkpoint()
  cut(2, [10])
  trees.follow(catalog)
  // The same bounds as are on disk, of rows that have changed meanwhile.
  cut(3, [])
  put(5, 2)
  trees.follow(catalog)
  expect(trees.isCounted(table, 0)).toBe(false)
  expect(trees.leafCount(table, 0)).toBe(0)
  checkpoint()
  const pages = `t${u32ToString(table)}`
  expect(
    [...store.scan('' as ByteString, '\xff' as ByteString)].filter(([at]) => at.startsWith(pages)),
  ).toEqual([])
  const reopened = new Trees(store, self)
  reopened.follow(catalog)
  while (trees.isCounting) trees.countOn()
  expect(reopened.node(table, 0, 0, 0)).toEqual(trees.node(table, 0, 0, 0))
})
