/**
 * Real processes under real faults, with a set workload throughout: every element whose write was
 * acknowledged is read back at the end. SIGKILL, SIGSTOP, an emptied disk; and, where the machine lets us
 * make network namespaces, a node that the others cannot reach.
 */

import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, type Row, table } from '@quorate/client'
import { expect, it } from 'vitest'
import { type CommandResult, TestNodes, until } from './harness.ts'

const elements = table<Row>('elements', { key: 'id' })
const WRITERS = 16

async function settled(nodes: TestNodes): Promise<void> {
  await nodes.ready()
  await until('hints are drained and nobody is suspected', async () => {
    const { items } = await nodes.json<{ state: string; hintsHeld: number; suspectedBy: string[] }>([
      'status',
    ])
    return items.every(
      item => item.state === 'ready' && item.hintsHeld === 0 && item.suspectedBy.length === 0,
    )
  })
}

it('five processes: killed, paused, and with an emptied disk; no acknowledged write is lost', async () => {
  const nodes = await TestNodes.start(5)
  try {
    const db = await connect(nodes.connectString, { tables: { elements }, timeoutMs: 30_000 })
    await db.createTable(
      'elements',
      { key: 'id', replication: { kind: 'leaderless', n: 3, r: 2, w: 2, sloppy: false } },
      { timeoutMs: 30_000 },
    )
    const acknowledged: string[] = []
    const outcomes = { refused: 0, unknown: 0 }
    let running = true
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      for (let i = 0; running; i++) {
        const id = `${writer}-${i}`
        try {
          await db.elements.put({ id, writer, i }, { timeoutMs: 3_000 })
          acknowledged.push(id)
        } catch (error) {
          if ((error as { outcome?: string }).outcome === 'not-applied') outcomes.refused++
          else outcomes.unknown++
        }
        await pause(2)
      }
    })
    const during = async (what: string): Promise<void> => {
      const before = acknowledged.length
      await until(`writes go on while ${what}`, async () => acknowledged.length > before + 100)
    }

    await during('all is well')
    await nodes.end('n1', 'SIGKILL')
    await during('n1 is dead')
    nodes.launch('n1')
    await settled(nodes)

    nodes.node('n2').child?.kill('SIGSTOP')
    await during('n2 stands still')
    nodes.node('n2').child?.kill('SIGCONT')
    await settled(nodes)

    await nodes.end('n3', 'SIGKILL')
    await during('n3 is dead')
    rmSync(nodes.node('n3').data, { recursive: true })
    nodes.launch('n3')
    await during('n3 is rebuilt')
    await settled(nodes)

    running = false
    await Promise.all(writers)
    expect(acknowledged.length).toBeGreaterThan(500)
    const missing: string[] = []
    for (const id of acknowledged) {
      const { value } = await db.elements.get(id, { r: 2, timeoutMs: 20_000 })
      if (value === undefined) missing.push(id)
    }
    expect(missing, `${acknowledged.length} acknowledged, ${JSON.stringify(outcomes)}`).toEqual([])
    await db.close()
    const repaired = await nodes.command(['repair', 'elements'])
    expect(repaired.code, repaired.stderr).toBe(0)
    const verified = await nodes.json<{ divergent: number }>(['verify', 'elements'])
    expect(verified.items[0]?.divergent).toBe(0)
  } finally {
    await nodes.close()
  }
})

const namespace = `quorate-e2e-${process.pid}`
const ip = (...args: string[]) => spawnSync('ip', args, { encoding: 'utf8' })

/** Undefined when network namespaces can be made here, else why not. */
function whyNoNamespace(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux'
  const made = ip('netns', 'add', namespace)
  if (made.status !== 0) return `ip netns add: ${made.error?.message ?? made.stderr.trim()}`
  return undefined
}

it('a node cut off from the others: writes go on, and it catches up', async context => {
  const reason = whyNoNamespace()
  if (reason !== undefined) {
    process.stdout.write(`skipped: network cut (${reason})\n`)
    context.skip(reason)
  }
  const inside = (...args: string[]) => ip('netns', 'exec', namespace, 'ip', ...args)
  let nodes: TestNodes | undefined
  try {
    expect(inside('link', 'set', 'lo', 'up').status).toBe(0)
    nodes = await TestNodes.start(5, [], {
      wrap: ['ip', 'netns', 'exec', namespace],
      host: index => `127.0.1.${index + 1}`,
    })
    const made = await nodes.command(['table', 'create', 'elements', '--key', 'id'])
    expect(made.code, made.stderr).toBe(0)
    const workload: Promise<CommandResult> = nodes.command([
      ...['workload', 'run', 'set', '--table', 'elements', '--duration', '12s'],
      ...['--rate', '300', '--check', '--json'],
    ])
    await pause(2_000)
    const cut = inside('route', 'add', 'blackhole', '127.0.1.3/32', 'table', 'local')
    expect(cut.status, cut.stderr).toBe(0)
    await until('n3 is missed', async () => {
      const { items } = await nodes!.json<{ suspectedBy: string[]; hintsHeld: number }>(['status'])
      return items.some(item => item.suspectedBy.length > 0 || item.hintsHeld > 0)
    })
    await pause(3_000)
    expect(inside('route', 'del', 'blackhole', '127.0.1.3/32', 'table', 'local').status).toBe(0)
    const { code, stdout, stderr } = await workload
    const found = JSON.parse(stdout).items[0] as { acknowledged: number; checked: number; missing: number }
    expect(found.missing, stderr).toBe(0)
    expect(found.acknowledged).toBeGreaterThan(500)
    expect(found.checked).toBe(found.acknowledged)
    expect(code).toBe(0)
    await settled(nodes)
    const repaired = await nodes.command(['repair', 'elements'])
    expect(repaired.code, repaired.stderr).toBe(0)
    expect((await nodes.command(['verify', 'elements'])).code).toBe(0)
  } finally {
    await nodes?.close()
    ip('netns', 'del', namespace)
  }
})
