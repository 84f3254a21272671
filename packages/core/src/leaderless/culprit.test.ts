import { expect, it } from 'vitest'
import type { ByteString } from '../base/ids.ts'
import { encodeKey } from '../base/key-encoding.ts'
import { Catalog } from '../catalog/catalog.ts'
import { describeTable } from '../catalog/table-descriptor.ts'
import { HotPartitions } from '../hotkeys/hot-partitions.ts'
import { firstChunks } from '../partitioning/map-chunks.ts'
import { rowKey, tokenOf } from '../partitioning/row-key.ts'
import type { Store } from '../store/store-face.ts'
import { Admission } from './admission.ts'
import { newCounters } from './counters.ts'
import { Culprit } from './culprit.ts'

const carts = { ...describeTable(1, { name: 'carts', key: 'k' }), chunks: 1 }

function stand() {
  const catalog = new Catalog()
  const [chunk] = firstChunks([{ start: '' as ByteString, replicas: [] }])
  catalog.learn({
    tables: { version: 1, nextId: 2, tables: [carts] },
    chunks: [{ table: carts.id, index: 0, chunk: chunk! }],
  })
  const hot = new HotPartitions()
  let nowMs = 1_000
  const culprit = new Culprit(hot, catalog, () => nowMs)
  const read = (name: string, times: number): void => {
    const partitionKey = encodeKey(name)
    const key = rowKey(carts.id, tokenOf(partitionKey), partitionKey, '' as ByteString)
    for (let n = 0; n < times; n++) hot.noteRead(carts.id, 0, key, nowMs)
  }
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { culprit, read, pass }
}

it('a key is named when it is surely more than half of what the node coordinates', () => {
  const { culprit, read, pass } = stand()
  expect(culprit.words()).toBeUndefined()
  read('k1', 400)
  for (let n = 0; n < 400; n++) read(`other-${n}`, 1)
  pass(2_000)
  expect(culprit.words()).toBeUndefined()
  read('k1', 4_000)
  // It is looked up once in a while, not for each request that is refused.
  expect(culprit.words()).toBeUndefined()
  pass(1_000)
  expect(culprit.words()).toMatch(/^row k1 of table "carts" makes \d\d % of its requests$/)
})

it('a refusal names it, in the message and in the data', () => {
  const { culprit, read } = stand()
  read('k1', 100)
  const full = { inFlightBytes: 1e12 } as Store
  const admission = new Admission(
    full,
    newCounters(),
    () => 0,
    () => culprit.words(),
  )
  expect(() => admission.enter()).toThrow(
    expect.objectContaining({
      code: 'OVERLOADED',
      message: expect.stringContaining('and row k1 of table "carts" makes'),
      data: expect.objectContaining({ hot: expect.stringContaining('row k1') }),
    }),
  )
})
