import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NodeClock } from '@quorate/client/node-transport'
import type { Table } from '@quorate/core'
import {
  clockConformance,
  diskConformance,
  randomConformance,
  tableConformance,
} from '@quorate/core/conformance'
import { afterAll, expect, test } from 'vitest'
import { LmdbTable } from './lmdb-table.ts'
import { NodeDisk } from './node-disk.ts'
import { nodeRandom } from './node-random.ts'

const directories: string[] = []
const tables: Table[] = []

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'quorate-adapters-'))
  directories.push(path)
  return path
}

afterAll(async () => {
  for (const table of tables) await table.close()
  for (const path of directories) await rm(path, { recursive: true, force: true })
})

for (const { name, run } of clockConformance) {
  test.concurrent(`NodeClock: ${name}`, () =>
    run(async () => ({
      clock: new NodeClock(),
      // Real time has to pass here, and a little more, since a busy machine fires late.
      pass: ms => new Promise(resolve => setTimeout(resolve, ms + 15)),
    })))
}

for (const { name, run } of randomConformance)
  test(`nodeRandom: ${name}`, () => run(async () => nodeRandom()))

for (const { name, run } of diskConformance) {
  test(`NodeDisk: ${name}`, () =>
    run(async () => {
      const path = await directory()
      return { disk: await NodeDisk.open(path), reopen: () => NodeDisk.open(path) }
    }))
}

for (const { name, run } of tableConformance) {
  test(`LmdbTable: ${name}`, () =>
    run(async () => {
      const path = await directory()
      const table = await LmdbTable.open(path)
      let open = true
      tables.push({ ...table, close: async () => (open ? table.close() : undefined) } as Table)
      const reopen = async (): Promise<Table> => {
        open = false
        await table.close()
        const again = await LmdbTable.open(path)
        tables.push(again)
        return again
      }
      return { table, reopen }
    }))
}

test('NodeDisk refuses names that leave its directory', async () => {
  const disk = await NodeDisk.open(await directory())
  for (const name of ['../x', 'a/b', '', '.hidden', 'a\0b', 'x'.repeat(300)]) {
    await expect(disk.open(name)).rejects.toThrow(/file name/)
  }
})

test('LmdbTable: a table that is full says so and keeps what it has', async () => {
  const table = await LmdbTable.open(await directory(), { mapBytes: 256 * 1024 })
  tables.push(table)
  let refused: unknown
  for (let i = 0; i < 400 && refused === undefined; i++) {
    const batch = [{ key: `k${i}` as never, value: new Uint8Array(20_000) }]
    refused = await table.write(batch).then(
      () => undefined,
      (error: unknown) => error,
    )
  }
  // The package grows the map by itself where it can; when it cannot, the kind is `full`.
  if (refused !== undefined) expect(refused).toMatchObject({ kind: 'full' })
  expect(table.get('k0' as never)).toEqual(new Uint8Array(20_000))
})
