/** The store on a real file system and LMDB: what was acknowledged is there when it is opened again. */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { NodeClock } from '@quorate/client/node-transport'
import {
  type ByteString,
  bytesToString,
  durable,
  isQuorateError,
  LogStore,
  randomBelow,
  SeededRandom,
  stringToBytes,
  type TableWrite,
} from '@quorate/core'
import { expect, test } from 'vitest'
import { LmdbTable } from './lmdb-table.ts'
import { NodeDisk } from './node-disk.ts'
import { nodeRandom } from './node-random.ts'

async function open(directory: string): Promise<LogStore> {
  return LogStore.open({
    disk: await NodeDisk.open(join(directory, 'log')),
    table: await LmdbTable.open(join(directory, 'table')),
    clock: new NodeClock(),
    random: nodeRandom(),
    limits: { memtableBytesMax: 100_000, segmentBytesMax: 80_000, checkpointBatchBytes: 10_000 },
    onFatal: error => expect.unreachable(error.message),
  })
}

/** A disk that others use too may not keep up: OVERLOADED says that nothing was applied. */
async function commitPatiently(store: LogStore, batch: readonly TableWrite[]): Promise<void> {
  for (;;) {
    try {
      store.commit(batch)
      return
    } catch (error) {
      if (!isQuorateError(error) || error.code !== 'OVERLOADED') throw error
      await pause(5)
    }
  }
}

test('five lives of a store, with checkpoints under way, against a plain map', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-store-'))
  const random = new SeededRandom(5)
  const oracle = new Map<ByteString, string>()
  let incarnation: string | undefined
  let checkpoints = 0
  for (let life = 0; life < 5; life++) {
    const store = await open(directory)
    incarnation ??= store.incarnation
    expect(store.incarnation).toBe(incarnation)
    const rows = [...store.scan('r' as ByteString, 's' as ByteString)]
    expect(rows.map(([key, value]) => [key, bytesToString(value as Uint8Array)])).toEqual(
      [...oracle].sort(([a], [b]) => (a < b ? -1 : 1)),
    )
    for (let burst = 0; burst < 60; burst++) {
      for (let i = 0; i < 40; i++) {
        const key = `rkey${randomBelow(random, 3_000)}` as ByteString
        const value =
          randomBelow(random, 4) === 0 ? undefined : `${life} ${burst} ${i}`.padEnd(randomBelow(random, 200))
        await commitPatiently(store, [{ key, value: value === undefined ? undefined : stringToBytes(value) }])
        if (value === undefined) oracle.delete(key)
        else oracle.set(key, value)
      }
      await durable(store, store.handed)
    }
    checkpoints += store.status().checkpoints
    await store.close({ checkpoint: life % 2 === 0 })
  }
  expect(checkpoints).toBeGreaterThan(3)
  expect((await readdir(join(directory, 'log'))).length).toBeLessThan(12)
  await rm(directory, { recursive: true, force: true })
})
