/**
 * Tables with leaders on real processes: leaders killed, frozen and woken while clients append. Under `majority` every
 * acknowledged append is there once, in the order of real time; under `none` what was acknowledged and is gone is in the
 * ledger, exactly.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { append, connect, increment, type Row, type TableClient, table } from '@quorate/client'
import { expect, it } from 'vitest'
import { TestNodes, until } from './harness.ts'

interface List extends Row {
  readonly id: string
  readonly n: number
  readonly tags: readonly string[]
}
const lists = table<List>('lists', { key: 'id' })
const CLIENTS = 20
const LISTS = 8

interface Appended {
  readonly list: string
  readonly tag: string
  readonly beganMs: number
  readonly endedMs: number
}

/** Clients that append until they are stopped. */
class Appending {
  readonly acknowledged: Appended[] = []
  readonly unknown = new Set<string>()
  readonly #clients: Promise<void>[]
  #running = true

  constructor(db: TableClient<List>) {
    this.#clients = Array.from({ length: CLIENTS }, async (_, client) => {
      for (let i = 0; this.#running; i++) {
        const [list, tag] = [`l${(client + i) % LISTS}`, `${client}-${i}`]
        const beganMs = performance.now()
        try {
          await db.update(list, [append('tags', tag), increment('n')], { timeoutMs: 4_000 })
          this.acknowledged.push({ list, tag, beganMs, endedMs: performance.now() })
        } catch (error) {
          if ((error as { outcome?: string }).outcome !== 'not-applied') this.unknown.add(tag)
        }
        await pause(5)
      }
    })
  }

  async goesOn(what: string): Promise<void> {
    const before = this.acknowledged.length
    await until(`appends go on while ${what}`, async () => this.acknowledged.length > before + 200)
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#clients)
  }
}

async function leaderOf(nodes: TestNodes, partition: number): Promise<string> {
  let leader = ''
  await until(`partition ${partition} has a leader`, async () => {
    const { items } = await nodes.json<{ partition: number; leader: string }>(['lag', 'lists'])
    leader = items.find(item => item.partition === partition)?.leader ?? ''
    return leader !== ''
  })
  return leader
}

async function finalLists(db: {
  table: (of: typeof lists) => TableClient<List>
}): Promise<Map<string, readonly string[]>> {
  const final = new Map<string, readonly string[]>()
  for (let i = 0; i < LISTS; i++) {
    const { value } = await db.table(lists).get(`l${i}`, { timeoutMs: 30_000 })
    final.set(`l${i}`, value?.tags ?? [])
  }
  return final
}

async function started(ack: string, partitions: number) {
  const nodes = await TestNodes.start(5)
  const db = await connect(nodes.connectString, { timeoutMs: 30_000 })
  await db.createTable(
    'lists',
    {
      key: 'id',
      partitioning: { kind: 'fixed', partitions },
      replication: { kind: 'single-leader', n: 3, ack: ack as 'majority' },
    },
    { timeoutMs: 30_000 },
  )
  return { nodes, db, work: new Appending(db.table(lists)) }
}

it('majority: leaders are killed and frozen; what was acknowledged is there once, in order', async () => {
  const { nodes, db, work } = await started('majority', 4)
  try {
    await work.goesOn('all is well')
    const first = await leaderOf(nodes, 0)
    await nodes.end(first, 'SIGKILL')
    await work.goesOn(`${first} is dead`)
    nodes.launch(first)
    await nodes.ready()
    const second = await leaderOf(nodes, 1)
    nodes.node(second).child?.kill('SIGSTOP')
    await work.goesOn(`${second} stands still`)
    await pause(5_000)
    nodes.node(second).child?.kill('SIGCONT')
    await work.goesOn(`${second} is awake again`)
    await work.stop()
    const final = await finalLists(db)
    for (const { list, tag } of work.acknowledged)
      expect(
        final.get(list)!.filter(one => one === tag),
        `${tag} in ${list}`,
      ).toHaveLength(1)
    for (const [list, tags] of final) {
      expect(new Set(tags).size).toBe(tags.length)
      const place = new Map(tags.map((tag, at) => [tag, at]))
      const own = work.acknowledged
        .filter(one => one.list === list)
        .sort((a, b) => place.get(a.tag)! - place.get(b.tag)!)
      let latestBegin = 0
      for (const { beganMs, endedMs } of own) {
        // Nothing comes before what had ended when it began.
        expect(endedMs).toBeGreaterThan(latestBegin)
        latestBegin = Math.max(latestBegin, beganMs)
      }
    }
    expect(work.acknowledged.length).toBeGreaterThan(800)
    await db.close()
  } finally {
    await nodes.close()
  }
}, 180_000)

it('none: after an unclean election acknowledged = there + ledger', async () => {
  const { nodes, db, work } = await started('none', 1)
  try {
    await work.goesOn('all is well')
    const old = await leaderOf(nodes, 0)
    await nodes.end(old, 'SIGKILL')
    let plan = ''
    await until('an unclean election is planned', async () => {
      plan = (await planId(nodes)) ?? ''
      return plan !== ''
    })
    const committed = await nodes.command(['cluster', 'elect', 'lists', '--commit', plan, '--yes'])
    expect(committed.code, committed.stderr).toBe(0)
    await work.goesOn('another leads')
    await work.stop()
    nodes.launch(old)
    await nodes.ready()
    await until('the old leader has the log of the new one', async () => {
      const { items } = await nodes.json<{ followers: string[] }>(['lag', 'lists'])
      return items.length === 1 && items[0]!.followers.every(text => text.includes('up to date'))
    })
    const final = await finalLists(db)
    const ledger = await nodes.json<{ value: { tags?: string[] } | null }>([
      'ledger',
      'lists',
      '--limit',
      '10000',
    ])
    const lost = new Set(ledger.items.flatMap(({ value }) => value?.tags ?? []))
    const missing = work.acknowledged.filter(
      ({ list, tag }) => !final.get(list)!.includes(tag) && !lost.has(tag),
    )
    expect(missing).toEqual([])
    await db.close()
  } finally {
    await nodes.close()
  }
}, 180_000)

async function planId(nodes: TestNodes): Promise<string | null> {
  const { stdout } = await nodes.command(['cluster', 'elect', 'lists', '--json'])
  return (JSON.parse(stdout) as { plan: string | null }).plan
}
