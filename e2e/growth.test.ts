/**
 * Growing and shrinking a cluster of real processes: every partitioner, under reads and writes that are
 * checked, with a node killed in the middle; what the plan foresaw against what was moved; and everything
 * an operator can get wrong.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { connect, type Row, table } from '@quorate/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CommandResult, quorate, TestNodes, until } from './harness.ts'

const KINDS = {
  ringed: { kind: 'ring' },
  fixed: { kind: 'fixed', partitions: 64 },
  ranged: { kind: 'range', splitPoints: ['k01250', 'k02500', 'k03750'] },
  dealt: { kind: 'modulo', buckets: 32 },
} as const
const NAMES = Object.keys(KINDS) as (keyof typeof KINDS)[]
const TABLES = Object.fromEntries(NAMES.map(name => [name, table<Row>(name, { key: 'id' })]))
const WRITERS = 8

interface PlanItem {
  readonly id: string
  readonly moves: number
  readonly bytes: number
  readonly isEmpty: boolean
  readonly problems: readonly unknown[]
}
interface TaskAnswer {
  readonly task: { readonly id: string } | null
  readonly reports: readonly { readonly stage: string }[]
  readonly receivedBytesTotal: number
}

const keyOf = (row: number): string => `k${String(row).padStart(5, '0')}`
const open = (nodes: TestNodes) => connect(nodes.connectString, { timeoutMs: 30_000 })
type Database = Awaited<ReturnType<typeof open>>

/** What was acknowledged of each row, and a load that goes on until it is ended. */
class CheckedLoad {
  readonly acknowledged = new Map<string, number>()
  readonly outcomes = { written: 0, read: 0, refused: 0, unknown: 0 }
  readonly wrong: string[] = []
  readonly #db: Database
  readonly #rows: number
  #running: Promise<unknown> | undefined
  #ended = false

  constructor(db: Database, rows: number) {
    this.#db = db
    this.#rows = rows
  }

  async fill(): Promise<void> {
    for (const name of NAMES) {
      await this.#db.createTable(name, { key: 'id', partitioning: KINDS[name] }, { timeoutMs: 30_000 })
      const client = this.#db.table(TABLES[name]!)
      await this.#all(64, async row => {
        await client.put({ id: keyOf(row), v: 0, text: 'x'.repeat(80) }, { timeoutMs: 30_000 })
        this.acknowledged.set(`${name}/${keyOf(row)}`, 0)
      })
    }
  }

  async #all(width: number, work: (row: number) => Promise<void>): Promise<void> {
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < this.#rows) await work(next++)
    }
    await Promise.all(Array.from({ length: width }, worker))
  }

  begin(): void {
    this.#running = Promise.all(Array.from({ length: WRITERS }, (_, writer) => this.#write(writer)))
  }

  async end(): Promise<void> {
    this.#ended = true
    await this.#running
  }

  /** Until so many more writes have been acknowledged. */
  async goesOn(what: string, more = 50): Promise<void> {
    const before = this.outcomes.written
    await until(`writes go on while ${what}`, async () => this.outcomes.written >= before + more)
  }

  /** Each writer has rows of its own, so that it knows what they must hold. */
  async #write(writer: number): Promise<void> {
    for (let turn = 0; !this.#ended; turn++) {
      const name = NAMES[turn % NAMES.length]!
      const row = (turn * 37 * WRITERS + writer) % this.#rows
      const own = row - (row % WRITERS) + writer
      await this.#change(name, keyOf(own < this.#rows ? own : writer), writer * 1_000_000 + turn + 1)
      await pause(4)
    }
  }

  async #change(name: string, id: string, v: number): Promise<void> {
    const client = this.#db.table(TABLES[name]!)
    try {
      const { siblings, context } = await client.get(id, { timeoutMs: 5_000 })
      this.outcomes.read++
      this.#compare(name, id, siblings)
      await client.put({ id, v, text: 'y'.repeat(80) }, { context, timeoutMs: 5_000 })
      this.acknowledged.set(`${name}/${id}`, v)
      this.outcomes.written++
    } catch (error) {
      if ((error as { outcome?: string }).outcome === 'not-applied') this.outcomes.refused++
      else this.outcomes.unknown++
    }
  }

  #compare(name: string, id: string, siblings: readonly Row[]): void {
    const least = this.acknowledged.get(`${name}/${id}`)
    const most = Math.max(-1, ...siblings.map(({ v }) => Number(v)))
    if (least !== undefined && most < least)
      this.wrong.push(`${name}/${id} holds ${most}, ${least} was acknowledged`)
  }

  async readBack(): Promise<void> {
    for (const name of NAMES) {
      const client = this.#db.table(TABLES[name]!)
      await this.#all(64, async row => {
        const { siblings } = await client.get(keyOf(row), { r: 'quorum', timeoutMs: 30_000 })
        this.#compare(name, keyOf(row), siblings)
      })
    }
  }
}

async function taskAt(http: string): Promise<TaskAnswer> {
  return (await (await fetch(`http://${http}/api/v1/task`)).json()) as TaskAnswer
}

/** Starts nodes that join, and waits until they may be planned for. */
async function launchNewcomers(nodes: TestNodes, zones: Readonly<Record<string, string>>): Promise<void> {
  for (const [id, zone] of Object.entries(zones)) {
    await nodes.newcomer(id, ['--zone', zone])
    nodes.launch(id)
  }
  await until('the newcomers wait to join', async () => {
    const { items } = await nodes.json<{ id: string; state: string }>(['cluster', 'status'])
    return Object.keys(zones).every(id => items.some(item => item.id === id && item.state === 'staged'))
  })
  await until('the newcomers are ready', async () => {
    const { items } = await nodes.json<{ node: string; state: string }>(['status'])
    return items.every(item => item.state === 'ready')
  })
}

async function planOf(nodes: TestNodes): Promise<PlanItem> {
  const { code, items, stderr } = await nodes.json<PlanItem>(['cluster', 'plan'])
  expect(items[0]!.problems, stderr).toEqual([])
  expect(code).toBe(11)
  return items[0]!
}

const said = ({ stdout, stderr }: CommandResult): string => `${stdout}${stderr}`

async function verified(nodes: TestNodes): Promise<void> {
  await until(
    'every replica holds the same',
    async () => {
      await nodes.command(['repair'])
      return (await nodes.command(['verify'])).code === 0
    },
    20,
  )
}

describe('under load, with a node killed in the middle', () => {
  it('three nodes become five and three again; no acknowledged write is lost', async () => {
    // The one that drives, or one that receives.
    const victim = process.env.GROWTH_VICTIM ?? (Math.random() < 0.5 ? 'n1' : 'n4')
    console.log(`the victim is ${victim}`)
    const nodes = await TestNodes.start(3)
    const db = await open(nodes)
    const load = new CheckedLoad(db, 5_000)
    try {
      await load.fill()
      load.begin()
      await load.goesOn('all is well')
      await launchNewcomers(nodes, { n4: 'n1', n5: 'n2' })
      const growth = await planOf(nodes)
      expect(growth.moves).toBeGreaterThan(50)
      const commit = await nodes.command(['cluster', 'commit', growth.id, '--detach'])
      expect(commit.code, said(commit)).toBe(0)
      await until('partitions move', async () => {
        const { reports } = await taskAt(nodes.node('n2').http)
        return reports.some(({ stage }) => stage !== 'queued' && stage !== 'prepare')
      })
      await nodes.end(victim, 'SIGKILL')
      await load.goesOn(`${victim} is dead`)
      nodes.launch(victim)
      // Through a node that was there all the time.
      const wait = await quorate(['task', 'wait', growth.id, '--http', nodes.node('n2').http])
      expect(wait.code, said(wait)).toBe(0)
      await load.goesOn('there are five')
      await nodes.ready()

      for (const id of ['n4', 'n5']) expect((await nodes.command(['cluster', 'leave', id])).code).toBe(0)
      const shrink = await planOf(nodes)
      const back = await nodes.command(['cluster', 'commit', shrink.id])
      expect(back.code, said(back)).toBe(0)
      for (const id of ['n4', 'n5']) await nodes.end(id, 'SIGTERM')
      await load.goesOn('there are three again')
      await load.end()

      nodes.launch('n4')
      await until('the node that left is refused', async () => nodes.node('n4').child === undefined)
      expect(nodes.node('n4').output).toMatch(/was removed[\s\S]*empty data directory[\s\S]*next: mv /)
      nodes.nodes.splice(3)
      await verified(nodes)
      await load.readBack()
      expect(load.wrong).toEqual([])
      console.log('load', load.outcomes)
      const history = await nodes.json<{ state: string; moves: number }>(['cluster', 'history'])
      expect(history.items.map(({ state, moves }) => [state, moves])).toEqual([
        ['done', growth.moves],
        ['done', shrink.moves],
      ])
    } catch (error) {
      console.log(nodes.nodes.map(({ id, output }) => `${id}: ${output.slice(-2_000)}`).join('\n'))
      throw error
    } finally {
      await load.end()
      await db.close()
      await nodes.close()
    }
  })
})

describe('on a quiet cluster', () => {
  let nodes: TestNodes
  beforeAll(async () => {
    nodes = await TestNodes.start(3)
    const db = await open(nodes)
    await new CheckedLoad(db, 1_000).fill()
    await db.close()
  })
  afterAll(() => nodes.close())

  /** A node that is started with these, to its end. */
  async function refused(id: string, more: readonly string[]): Promise<CommandResult> {
    const node = await nodes.newcomer(`${id}`, more)
    nodes.nodes.pop()
    const own = ['--id', id, '--listen', node.address, '--http', node.http, '--data', node.data]
    return quorate(['start', ...own, '--join', nodes.nodes[0]!.address, '--log-level', 'error', ...more], {
      timeoutMs: 30_000,
    })
  }

  it.each([
    ['n2', ['--zone', 'n1'], 6, /there is a member "n2" already[\s\S]*next: quorate cluster status/],
    ['n9', ['--zone', 'mars'], 6, /no member is in zone "mars"; the zones are n1, n2, n3[\s\S]*--new-zone/],
    ['n9', ['--zone', 'n1', '--cluster', 'c0ffee'], 6, /told to join cluster c0ffee, this is cluster/],
    ['n9', ['--zone', 'n1', '--weight', '0'], 2, /--weight is a number above 0, not "0"/],
    ['n9', ['--zone', 'n1', '--weight', '-1'], 2, /--weight is a number above 0, not "-1"/],
    ['n9', ['--zone', 'n1', '--weight', '65'], 2, /--weight: of "n9" must be above 0 and at most 64/],
    ['n9', ['--zone', 'n1', '--member', 'id=n1,address=127.0.0.1:1'], 2, /--join: .*not both/],
  ] as const)('%s with %j is refused, and the node ends', async (id, more, code, message) => {
    const result = await refused(id, more)
    expect(said(result)).toMatch(message)
    expect(result.code).toBe(code)
    const { items } = await nodes.json<{ id: string }>(['cluster', 'status'])
    expect(items.map(item => item.id)).toEqual(['n1', 'n2', 'n3'])
  })

  it.each([
    [['leave', 'n9'], 5, /there is no member "n9"; the members are n1, n2, n3/],
    [['join', 'n1'], 2, /"n1" is an active member already/],
    [['reweigh', 'n1', '-1'], 2, /unknown option|above 0/],
    [['reweigh', 'n1', '0'], 2, /WEIGHT is a number above 0/],
    [['move', 'ringed', '9999', '--from', 'n1', '--to', 'n2'], 5, /has no partition 9999/],
    [['split', 'ringed', '--at', 'k1'], 2, /is cut at tokens/],
    [['split', 'ranged', '--at', 'k02500'], 2, /is cut at k02500 already/],
    [['merge', 'nowhere', '1'], 5, /there is no table "nowhere"/],
    [['give-up', 'n2'], 2, /needs --yes/],
    [['give-up', 'n2', '--yes'], 6, /"n2" answers/],
    [['commit', 'p-000000000000'], 5, /there is no plan p-000000000000/],
  ] as const)('cluster %j is refused', async (args, code, message) => {
    const result = await nodes.command(['cluster', ...args])
    expect(said(result)).toMatch(message)
    expect(result.code).toBe(code)
    expect((await nodes.command(['cluster', 'plan'])).code).toBe(0)
  })

  it('the cluster balances itself only when it is told to, and says so', async () => {
    const shown = async (...args: string[]) => (await nodes.json(['cluster', 'auto', ...args])).items
    expect(await shown()).toEqual([])
    const on = ['on', '--above', '1.5', '--every', '30m', '--max-bytes', '1GiB']
    expect(await shown(...on)).toMatchObject([{ isOn: true, phase: 'armed', lastMs: 0 }])
    const status = await nodes.command(['cluster', 'status', '-o', 'table'])
    expect(said(status)).toContain('the cluster balances itself by bytes, above 1.5 and until below 1.1')
    const wrong = await nodes.command(['cluster', 'auto', 'on', '--above', '1.1', '--below', '1.2'])
    expect([wrong.code, said(wrong)]).toEqual([2, expect.stringContaining('below: is a number above 1')])
    expect(await shown('off')).toMatchObject([{ isOn: false, policy: { above: 1.5, everyMs: 1_800_000 } }])
  })

  it('moves what the plan foresaw, once, though two commit it at the same time; a stale and a spent plan are refused', async () => {
    await launchNewcomers(nodes, { n4: 'n1', n5: 'n2' })
    const early = await planOf(nodes)
    expect((await nodes.command(['cluster', 'rebalance'])).code).toBe(0)
    const stale = await nodes.command(['cluster', 'commit', early.id])
    expect([stale.code, said(stale)]).toEqual([6, expect.stringContaining(`plan ${early.id} is stale`)])

    const plan = await planOf(nodes)
    const through = ['n1', 'n2'].map(id => nodes.node(id).http)
    for (const http of through) await quorate(['cluster', 'plan', '--http', http])
    const both = await Promise.all(
      through.map(http => quorate(['cluster', 'commit', plan.id, '--detach', '--http', http])),
    )
    expect(both.map(({ code }) => code).sort(), both.map(said).join('\n')).toEqual([0, 6])
    const done = await nodes.command(['task', 'wait', plan.id])
    expect(done.code, said(done)).toBe(0)

    const received = await Promise.all(
      nodes.nodes.map(async ({ http }) => (await taskAt(http)).receivedBytesTotal),
    )
    const bytes = received.reduce((sum, one) => sum + one, 0)
    console.log(`the plan foresaw ${plan.bytes} bytes, ${bytes} were moved`)
    expect(Math.abs(bytes - plan.bytes)).toBeLessThan(plan.bytes / 10)

    const spent = await nodes.command(['cluster', 'commit', plan.id])
    expect([spent.code, said(spent)]).toEqual([6, expect.stringContaining(`plan ${plan.id} is spent`)])
    expect((await nodes.command(['cluster', 'plan'])).code).toBe(0)
    await verified(nodes)
  })
  /** What is staged is planned and carried out. */
  async function carriedOut(): Promise<PlanItem> {
    const plan = await planOf(nodes)
    const result = await nodes.command(['cluster', 'commit', plan.id])
    expect(result.code, said(result)).toBe(0)
    return plan
  }

  it('a node that joined forms no cluster of its own when --join is forgotten', async () => {
    await nodes.end('n4', 'SIGTERM')
    const { id, address, http, data } = nodes.node('n4')
    const own = ['--id', id, '--listen', address, '--http', http, '--data', data, '--zone', 'n1']
    const result = await quorate(['start', ...own], { timeoutMs: 30_000 })
    expect([result.code, said(result)]).toEqual([
      2,
      expect.stringContaining('belongs to a node that joined a cluster: start "n4" with --join'),
    ])
    nodes.launch('n4')
    await until('n4 is back', async () => {
      const { items } = await nodes.json<{ node: string; state: string }>(['status'])
      return items.every(({ state }) => state === 'ready')
    })
  })

  it('one partition is cut, moved and merged again, and a node weighs more', async () => {
    interface RingItem {
      readonly id: number
      readonly first: string
      readonly replicas: readonly string[]
    }
    const staged = async (...args: string[]): Promise<void> => {
      const result = await nodes.command(['cluster', ...args])
      expect(result.code, said(result)).toBe(0)
    }
    const cut = async (): Promise<RingItem | undefined> =>
      (await nodes.json<RingItem>(['ring', 'ranged'])).items.find(({ first }) => first === 'k00500')
    await staged('split', 'ranged', '--at', 'k00500')
    await carriedOut()
    const { id, replicas } = (await cut())!
    const to = ['n1', 'n2', 'n3', 'n4', 'n5'].find(node => !replicas.includes(node))!
    await staged('move', 'ranged', String(id), '--from', replicas[0]!, '--to', to)
    expect((await carriedOut()).moves).toBe(1)
    expect((await cut())!.replicas).toContain(to)
    await staged('move', 'ranged', String(id), '--from', to, '--to', replicas[0]!)
    await carriedOut()
    await staged('merge', 'ranged', String(id))
    await carriedOut()
    expect(await cut()).toBeUndefined()
    await staged('reweigh', 'n4', '2')
    await carriedOut()
    const { items } = await nodes.json<{ id: string; weight: number }>(['cluster', 'status'])
    expect(items.find(item => item.id === 'n4')!.weight).toBe(2)
    const { items: past } = await nodes.json<{ undo: string[] }>(['cluster', 'history'])
    expect(past.at(-1)!.undo).toEqual(['quorate cluster reweigh n4 1'])
    expect(past[0]!.undo).toEqual(['quorate cluster leave n5', 'quorate cluster leave n4'])
    await verified(nodes)
  })

  it('Ctrl-C leaves a task to itself and says how to wait for it', async () => {
    expect((await nodes.command(['cluster', 'leave', 'n5'])).code).toBe(0)
    const plan = await planOf(nodes)
    const started = quorate(
      ['cluster', 'commit', plan.id, '--limit', '1KiB', '--http', nodes.node('n1').http],
      {
        onStart: child =>
          void until('the task runs', async () => {
            const { task } = await taskAt(nodes.node('n1').http)
            return task !== null
          }).then(async () => {
            // It has just been told; a moment later it watches.
            await pause(1_000)
            child.kill('SIGINT')
          }),
      },
    )
    const { code, stderr } = await started
    if (code !== 0) {
      expect([code, stderr]).toEqual([130, expect.stringContaining(`quorate task wait ${plan.id}`)])
      expect((await nodes.command(['task', 'cancel'])).code).toBe(0)
    }
    await nodes.command(['task', 'wait', plan.id])
  })

  it('a task that is cancelled leaves the cluster as it was', async () => {
    expect((await nodes.command(['cluster', 'leave', 'n5'])).code).toBe(0)
    const plan = await planOf(nodes)
    const slow = ['cluster', 'commit', plan.id, '--detach', '--limit', '1KiB']
    expect((await nodes.command(slow)).code).toBe(0)
    expect((await nodes.command(['task', 'pause'])).code).toBe(0)
    expect((await nodes.json<{ task: { state: string } }>(['task', 'show'])).items[0]!.task.state).toBe(
      'paused',
    )
    const cancel = await nodes.command(['task', 'cancel', plan.id])
    expect([cancel.code, said(cancel)]).toEqual([0, expect.stringContaining('cancelling')])
    const wait = await nodes.command(['task', 'wait', plan.id])
    expect([wait.code, said(wait)]).toEqual([123, expect.stringContaining('cancelled')])
    const { items } = await nodes.json<{ id: string; state: string }>(['cluster', 'status'])
    expect(items.map(({ id, state }) => `${id} ${state}`)).toEqual(
      ['n1', 'n2', 'n3', 'n4', 'n5'].map(id => `${id} active`),
    )
    await verified(nodes)
  })

  it('an initial member that left is refused when it comes back, and does not hang', async () => {
    expect((await nodes.command(['cluster', 'leave', 'n3'])).code).toBe(0)
    await carriedOut()
    await nodes.end('n3', 'SIGTERM')
    nodes.launch('n3')
    await until('n3 is refused', async () => nodes.node('n3').child === undefined)
    expect(nodes.node('n3').output).toMatch(/n3 is no member of cluster[\s\S]*next: mv /)
  })

  it('a dead node is replaced by another; one that is given up is made up for by the others', async () => {
    await nodes.end('n5', 'SIGKILL')
    await launchNewcomersBeside(['n5', 'n3'], { n6: 'n2' })
    await until('n5 is suspected', async () => {
      const { items } = await nodes.json<{ id: string; suspected: boolean }>(['cluster', 'status'])
      return items.some(({ id, suspected }) => id === 'n5' && suspected)
    })
    expect((await nodes.command(['cluster', 'replace', 'n5', '--by', 'n6'])).code).toBe(0)
    await carriedOut()
    await verified(nodes)
    await nodes.end('n6', 'SIGKILL')
    await until(
      'n6 is given up',
      async () => (await nodes.command(['cluster', 'give-up', 'n6', '--yes'])).code === 0,
    )
    expect((await nodes.command(['cluster', 'rebalance'])).code).toBe(0)
    await carriedOut()
    await verified(nodes)
    const { items } = await nodes.json<{ id: string }>(['cluster', 'status'])
    expect(items.map(({ id }) => id)).toEqual(['n1', 'n2', 'n4'])
  })

  async function launchNewcomersBeside(
    gone: readonly string[],
    zones: Readonly<Record<string, string>>,
  ): Promise<void> {
    for (const id of gone) nodes.nodes.splice(nodes.nodes.indexOf(nodes.node(id)), 1)
    for (const [id, zone] of Object.entries(zones)) {
      await nodes.newcomer(id, ['--zone', zone])
      nodes.launch(id)
      await until(`${id} waits to join`, async () => {
        const { items } = await nodes.json<{ id: string; state: string }>(['cluster', 'status'])
        return items.some(item => item.id === id && item.state === 'staged')
      })
    }
  }
})
