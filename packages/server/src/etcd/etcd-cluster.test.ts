/** Three servers whose registers lie in an etcd: forming, working without etcd, and going on after it. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, table } from '@quorate/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../server.ts'
import { resolveConfig } from '../server-config.ts'
import { EtcdProcess, etcdMissing, freePort } from './testing/etcd-process.ts'

const missing = etcdMissing()
const POLL = { timeout: 20_000, interval: 50 }

describe.skipIf(missing !== undefined)(
  `a cluster on etcd${missing === undefined ? '' : `: ${missing}`}`,
  () => {
    let etcd: EtcdProcess
    let scratch: string
    const servers: (RunningServer | undefined)[] = []
    let settings: Record<string, unknown>[]

    const start = async (n: number): Promise<void> => {
      servers[n] = await startServer(resolveConfig([settings[n]!]), {
        onFatal: (_, error) => {
          throw error
        },
      })
    }

    beforeAll(async () => {
      etcd = await EtcdProcess.start()
      scratch = await mkdtemp(join(tmpdir(), 'quorate-on-etcd-'))
      const members: { id: string; address: string }[] = []
      for (const id of ['n1', 'n2', 'n3']) members.push({ id, address: `127.0.0.1:${await freePort()}` })
      settings = members.map(({ id, address }) => ({
        id,
        listen: address,
        http: '127.0.0.1:0',
        data: join(scratch, id),
        members,
        coordination: `${etcd.endpoint.replace('http', 'etcd')}/three`,
        logLevel: 'error',
      }))
      await Promise.all([0, 1, 2].map(start))
    })
    afterAll(async () => {
      for (const server of servers) await server?.stop()
      await etcd?.end()
      if (scratch !== undefined) await rm(scratch, { recursive: true, force: true })
    })

    it('forms, goes on without etcd, restarts without it, and takes tables again with it', async () => {
      const url = `quorate://${settings.map(({ listen }) => listen).join()}`
      const db = await connect(url)
      await db.createTable('a', { key: { partition: 'id' } }, { timeoutMs: 20_000 })
      const a = db.table(table<{ id: number; text: string }>('a', { key: 'id' }))
      await a.put({ id: 1, text: 'before' })
      const ids = new Set(servers.map(server => server!.node.coordination.clusterId))
      expect(ids.size).toBe(1)
      // A node that has heard no peer yet refuses for that reason, and not for want of etcd.
      await expect.poll(() => servers.every(server => server!.node.time.heardPeers > 0), POLL).toBe(true)
      await etcd.kill()
      await a.put({ id: 2, text: 'without' })
      expect((await a.get(1)).value).toMatchObject({ text: 'before' })
      await expect(
        db.createTable('b', { key: { partition: 'id' } }, { timeoutMs: 1_500 }),
      ).rejects.toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|DEADLINE/) })
      await servers[2]!.stop()
      servers[2] = undefined
      await start(2)
      expect((await a.get(2)).value).toMatchObject({ text: 'without' })
      await etcd.restart()
      await db.createTable('c', { key: { partition: 'id' } }, { timeoutMs: 20_000 })
      await db.close()
      // The registers stay where they are: a node told otherwise takes no part in what is decided.
      await servers[2]!.stop()
      settings[2] = { ...settings[2], coordination: 'embedded' }
      await start(2)
      await new Promise(resolve => setTimeout(resolve, 1_000))
      expect(() => servers[2]!.node.coordination.registers).toThrow('not formed')
    })
  },
)
