import { expect, it } from 'vitest'
import { describeTable } from '../catalog/table-descriptor.ts'
import { differences } from './catalog-handlers.ts'

const existing = describeTable(3, { name: 'carts', key: 'id' })

it('the same settings differ in nothing, whatever the id and however they were written', () => {
  const same = { name: 'carts', key: { partition: 'id' }, replication: { n: 3, r: 2, w: 'quorum' } }
  expect(differences(existing, describeTable(0, same))).toEqual([])
})

it('every setting that differs is named with both values', () => {
  const other = {
    name: 'carts',
    key: { partition: 'cart', sort: 'at' },
    replication: { n: 5, sloppy: true },
    conflict: { kind: 'lww' },
  }
  expect(differences(existing, describeTable(0, other))).toEqual([
    'key.partition is id, not cart',
    'key.sort is not set, not at',
    'replication.n is 3, not 5',
    'replication.r is 2, not 3',
    'replication.w is 2, not 3',
    'replication.sloppy is false, not true',
    'conflict.kind is siblings, not lww',
  ])
  expect(differences(describeTable(0, other), existing)).toContain('key.sort is at, not unset')
})

it('so does the number of parts', () => {
  const parts = (writeParts: number) =>
    describeTable(0, { name: 'carts', key: 'id', hotKeys: { writeParts } })
  expect(differences(existing, parts(8))).toEqual(['hotKeys.writeParts is not set, not 8'])
  expect(differences(parts(4), existing)).toEqual(['hotKeys.writeParts is 4, not unset'])
  expect(differences(parts(4), parts(8))).toEqual(['hotKeys.writeParts is 4, not 8'])
})
