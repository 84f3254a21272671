/**
 * A node on a small file system that fills up, for real: it refuses what it cannot keep, the others go on,
 * reads are served, and when there is room again it takes part and catches up.
 */

import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type Row, table } from '@quorate/client'
import { expect, it } from 'vitest'
import { TestNodes, until } from './harness.ts'

const elements = table<Row>('elements', { key: 'id' })
const FILE_SYSTEM_MIB = 64
const ROOM_LEFT_BYTES = 3 << 20

/** Undefined when a small file system could be mounted there, else why not. */
function whyNotMounted(directory: string): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux'
  mkdirSync(directory, { recursive: true })
  const made = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${FILE_SYSTEM_MIB}m`, 'tmpfs', directory], {
    encoding: 'utf8',
  })
  return made.status === 0 ? undefined : `mount: ${made.error?.message ?? made.stderr.trim()}`
}

it('a node whose disk is full refuses, the others go on, and with room again it catches up', async context => {
  const nodes = await TestNodes.start(3)
  const small = nodes.node('n1').data
  let mounted = false
  try {
    await nodes.end('n1', 'SIGTERM')
    rmSync(small, { recursive: true })
    const reason = whyNotMounted(small)
    if (reason !== undefined) {
      process.stdout.write(`skipped: full disk (${reason})\n`)
      context.skip(reason)
    }
    mounted = true
    nodes.launch('n1')
    await nodes.ready()

    const db = await connect(nodes.connectString, { tables: { elements }, timeoutMs: 30_000 })
    await db.createTable('elements', { key: 'id', replication: { kind: 'leaderless', n: 3, r: 2, w: 2 } })
    await db.elements.put({ id: 'before', filler: '' })

    const filler = join(small, 'filler')
    const free = statfsSync(small).bavail * statfsSync(small).bsize
    writeFileSync(filler, Buffer.alloc(Math.max(0, free - ROOM_LEFT_BYTES)))
    const acknowledged: string[] = ['before']
    const write = async (): Promise<void> => {
      const id = `e${acknowledged.length}`
      await db.elements.put({ id, filler: 'x'.repeat(50_000) }, { timeoutMs: 20_000 })
      acknowledged.push(id)
    }
    await until('n1 says that its disk is full', async () => {
      for (let i = 0; i < 10; i++) await write()
      const { items } = await nodes.json<{ node: string; state: string }>(['status'])
      return items.some(item => item.node === 'n1' && item.state === 'full')
    })
    for (let i = 0; i < 20; i++) await write()
    expect((await db.elements.get('before', { r: 'all', timeoutMs: 20_000 })).value?.id).toBe('before')
    expect(nodes.node('n1').child?.exitCode).toBeNull()

    rmSync(filler)
    await until('n1 takes writes again', async () => {
      const { items } = await nodes.json<{ node: string; state: string }>(['status'])
      return items.some(item => item.node === 'n1' && item.state === 'ready')
    })
    await until('every write is on all homes', async () => {
      const repaired = await nodes.command(['repair', 'elements'])
      if (repaired.code !== 0) return false
      return (await nodes.command(['verify', 'elements'])).code === 0
    })
    for (const id of acknowledged) {
      const { value } = await db.elements.get(id, { r: 'all', timeoutMs: 20_000 })
      expect(value?.id).toBe(id)
    }
    await db.close()
  } finally {
    await nodes.close(() => {
      if (mounted) spawnSync('umount', [small])
    })
  }
})
