/** Every command once against a live cluster: exit code and the shape of its JSON. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { quorate, TestNodes, until } from './harness.ts'

let nodes: TestNodes
beforeAll(async () => {
  nodes = await TestNodes.start(3)
})
afterAll(() => nodes?.close())

const receipt = {
  coordinator: expect.any(String),
  mapVersion: expect.any(Number),
  answered: expect.any(Array),
  needed: expect.any(Number),
  replicas: 3,
  copies: expect.any(Number),
  overlap: expect.any(Boolean),
  guarantee: expect.any(String),
}

async function ok(args: readonly string[], kind: string, input?: string) {
  const found = await nodes.json<Record<string, unknown>>(args, input)
  expect(found.code, found.stderr).toBe(0)
  expect(Object.keys(JSON.parse(found.stdout))).toEqual(['kind', 'items', 'warnings', 'partial'])
  expect(found.kind).toBe(kind)
  return found.items
}

describe('tables and rows', () => {
  it('table create, list, show', async () => {
    const shape = {
      name: 'carts',
      key: { partition: 'id' },
      partitioning: { kind: 'ring' },
      replication: { kind: 'leaderless', n: 3, r: 2, w: 2, sloppy: false, readRepair: 'async' },
      conflict: { kind: 'siblings' },
    }
    expect(await ok(['table', 'create', 'carts', '--key', 'id'], 'tables')).toMatchObject([shape])
    expect(await ok(['table', 'create', 'carts', '--key', 'id'], 'tables')).toMatchObject([shape])
    await ok(
      ['table', 'create', 'events', '--key', 'sensor,at', '--sloppy', '--r', 'one', '--w', '1'],
      'tables',
    )
    await ok(['table', 'create', 'latest', '--key', 'id', '--conflict', 'lww'], 'tables')
    expect(await ok(['table', 'list'], 'tables')).toHaveLength(3)
    expect(await ok(['table', 'show', 'events'], 'tables')).toMatchObject([
      { key: { partition: 'sensor', sort: 'at' }, replication: { r: 1, w: 1, sloppy: true } },
    ])
    expect((await nodes.command(['table', 'show', 'nothing'])).code).toBe(5)
    expect((await nodes.command(['table', 'create', 'carts', '--key', 'other'])).code).toBe(6)
  })

  it('put, get with siblings and context, delete', async () => {
    const [put] = await ok(['put', 'carts', '{"id": "c1", "items": ["milk"]}'], 'put')
    expect(put).toMatchObject({
      context: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/),
      repeated: false,
      receipt,
    })
    await ok(['put', 'carts', '-'], 'put', '{"id": "c1", "items": ["eggs"]}')
    const [conflict] = await ok(['get', 'carts', 'c1'], 'row')
    expect(conflict).toMatchObject({ found: true, value: null, receipt })
    expect(conflict!.siblings).toHaveLength(2)
    const context = String(conflict!.context)
    await ok(['put', 'carts', '{"id": "c1", "items": []}', '--context', context, '--w', 'all'], 'put')
    const [settled] = await ok(['get', 'carts', 'c1', '--r', 'all'], 'row')
    expect(settled).toMatchObject({ value: { id: 'c1', items: [] }, siblings: [{ id: 'c1', items: [] }] })
    await ok(['delete', 'carts', 'c1', '--context', String(settled!.context)], 'delete')
    const gone = await nodes.json(['get', 'carts', 'c1'])
    expect(gone.code).toBe(5)
    expect(gone.items).toMatchObject([{ found: false, value: null, siblings: [] }])
  })

  it('import, query, scan, export', async () => {
    const file = join(nodes.directory, 'events.jsonl')
    const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ sensor: 's1', at: i, value: i * i }))
    writeFileSync(file, `${lines.join('\n')}\nnot json\n{"at": 1}\n`)
    const partial = await nodes.json(['import', 'events', file])
    expect(partial.code).toBe(9)
    expect(partial.partial).toBe(true)
    expect(partial.items).toMatchObject([{ written: 50, failed: 2, problems: [{ line: 51 }, { line: 52 }] }])
    expect(partial.stderr).toContain('line 51: not JSON')

    const found = await ok(['query', 'events', 's1', '--from', '10', '--to', '12', '--reverse'], 'rows')
    expect(found.map(item => item.value)).toEqual(
      [12, 11, 10].map(at => ({ sensor: 's1', at, value: at * at })),
    )
    const limited = await nodes.json(['scan', 'events', '--limit', '7'])
    expect(limited.items).toHaveLength(7)
    expect(limited.partial).toBe(true)
    const { resume } = JSON.parse(limited.stdout) as { resume: string }
    expect(limited.warnings).toEqual([expect.stringContaining(`--resume ${resume}`)])
    const rest = await ok(['scan', 'events', '--resume', resume], 'rows')
    expect([...limited.items, ...rest].map(item => (item.value as { at: number }).at)).toEqual(
      Array.from({ length: 50 }, (_, at) => at),
    )
    const wrong = await nodes.command(['query', 'events', 's1', '--resume', resume])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('another range')
    expect((await nodes.command(['scan', 'events', '--from', 's1'])).stderr).toContain('need a range table')

    const exported = await nodes.command(['export', 'events', '-'])
    expect(exported.stdout.trim().split('\n').sort()).toEqual([...lines].sort())
    const csv = join(nodes.directory, 'events.csv')
    expect(await ok(['export', 'events', csv], 'export')).toMatchObject([{ rows: 50, withSiblings: 0 }])
    expect(readFileSync(csv, 'utf8').split('\n')[0]).toBe('sensor,at,value')
    expect(await ok(['import', 'events', csv, '--replace'], 'import')).toMatchObject([
      { written: 50, failed: 0 },
    ])
    expect(await ok(['get', 'events', 's1', '3'], 'row')).toMatchObject([{ value: { at: 3, value: 9 } }])
  })
})

describe('tables with leaders', () => {
  it('table create, conditions, lag, hand-overs, the feed, status, health and metrics', async () => {
    const create = ['table', 'create', 'posts', '--key', 'id', '--partitioning', 'fixed', '--partitions', '6']
    await ok([...create, '--single-leader', '--ack', 'majority'], 'tables')
    await ok(['put', 'posts', '{"id": "p1", "likes": 0}', '--if', 'missing'], 'put')
    expect((await nodes.command(['put', 'posts', '{"id": "p1"}', '--if', 'missing'])).code).toBe(6)
    await ok(['update', 'posts', 'p1', 'likes+=2'], 'update')
    expect(await ok(['get', 'posts', 'p1', '--read', 'any', '--max-staleness', '10s'], 'row')).toMatchObject([
      { value: { id: 'p1', likes: 2 } },
    ])
    // Everything on one node; then the plan says so, and one command spreads it.
    const lag = () => ok(['lag', 'posts'], 'lag')
    for (const { partition, leader } of await lag())
      if (leader !== 'n1') await ok(['cluster', 'move-leader', 'posts', String(partition), 'n1'], 'leader')
    expect((await lag()).map(({ leader }) => leader)).toEqual(['n1', 'n1', 'n1', 'n1', 'n1', 'n1'])
    await until('the plan knows who leads', async () => {
      const { items } = await nodes.json<{ leaders: { moves: unknown[] } }>(['cluster', 'plan'])
      return items[0]!.leaders.moves.length === 4
    })
    expect(await ok(['cluster', 'spread-leaders', '--dry-run'], 'leaders')).toHaveLength(4)
    expect(await ok(['cluster', 'spread-leaders'], 'leaders')).toHaveLength(4)
    const leaders = (await lag()).map(({ leader }) => leader)
    for (const node of ['n1', 'n2', 'n3']) expect(leaders.filter(one => one === node)).toHaveLength(2)
    const feed = await nodes.command(['changes', 'posts', '--from', 'start', '--until-now', '-o', 'json'])
    expect(feed.code, feed.stderr).toBe(0)
    expect(
      feed.stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line)),
    ).toMatchObject([
      { kind: 'change', after: { id: 'p1', likes: 0 } },
      { kind: 'change', before: { likes: 0 }, after: { likes: 2 } },
    ])
    const checks = await nodes.json<{ check: string; result: string }>(['health'])
    expect(checks.items.find(({ check }) => check === 'leaders')).toMatchObject({ result: 'ok' })
    const texts = await Promise.all(
      nodes.nodes.map(async ({ http }) => (await fetch(`http://${http}/metrics`)).text()),
    )
    const sum = (name: string): number =>
      texts
        .flatMap(text => text.split('\n'))
        .filter(line => line.startsWith(name))
        .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
    expect(sum('quorate_partitions_led{table="posts"}')).toBe(6)
    expect(sum('quorate_log_bytes_sent_logical_total')).toBeGreaterThan(0)
    expect(sum('quorate_log_bytes_sent_physical_total')).toBe(0)
    expect(sum('quorate_follower_lag_entries{table="posts"')).toBe(0)
  })
})

describe('values that JSON has no word for', () => {
  const fields =
    '"nan":{"$number":"NaN"},"up":{"$number":"Infinity"},"down":{"$number":"-Infinity"},"big":{"$bigint":"123456789012345678901234567890"},"bytes":{"$bytes":"AP8="},"set":{"$set":[1,"a",{"$number":"NaN"}]},"$$price":5,"nested":{"$$set":[1]}'

  it('go through put, get, scan, explain, export and import unchanged, and look the same in each', async () => {
    await ok(['table', 'create', 'exact', '--key', 'id'], 'tables')
    await ok(['table', 'create', 'copied', '--key', 'id'], 'tables')
    const line = `{"id":"x",${fields}}`
    await ok(['put', 'exact', line], 'put')
    const [row] = await ok(['get', 'exact', 'x'], 'row')
    expect(row!.value).toEqual(JSON.parse(line))
    const [scanned] = await ok(['scan', 'exact'], 'rows')
    expect(scanned!.value).toEqual(JSON.parse(line))
    const [why] = await ok(['explain', 'get', 'exact', 'x'], 'explanation')
    expect((why!.merged as { values: unknown[] }).values).toEqual([JSON.parse(line)])
    for (const view of [
      ['get', 'exact', 'x'],
      ['explain', 'get', 'exact', 'x'],
    ])
      expect((await nodes.command([...view, '-o', 'tsv'])).stdout).toContain(line)
    expect((await nodes.command(['scan', 'exact', '-o', 'table'])).stdout).toContain('{"$number":"NaN"}')

    const file = join(nodes.directory, 'exact.jsonl')
    await ok(['export', 'exact', file], 'export')
    expect(readFileSync(file, 'utf8')).toBe(`${line}\n`)
    await ok(['import', 'copied', file], 'import')
    expect((await nodes.command(['export', 'copied', '-'])).stdout).toBe(`${line}\n`)
  })

  it('a form that cannot be read is refused, not stored as something else', async () => {
    const refused = await nodes.command(['put', 'exact', '{"id": "y", "n": {"$bigint": "five"}}'])
    expect(refused.code, refused.stderr).toBe(2)
    expect(refused.stderr).toContain('row.n')
  })
})

describe('looking and mending', () => {
  it('status and health', async () => {
    const items = await ok(['status'], 'status')
    expect(items).toHaveLength(3)
    expect(items[0]).toMatchObject({
      node: 'n1',
      state: 'ready',
      hintsHeld: 0,
      suspectedBy: [],
      problem: null,
    })
    const checks = await ok(['health'], 'health')
    expect(checks.map(item => item.check)).toContain('registers')
    expect(checks.every(item => item.result !== 'bad')).toBe(true)
  })

  it('ring and explain', async () => {
    const partitions = await ok(['ring', 'carts'], 'ring')
    expect(partitions.reduce((sum, item) => sum + Number(item.share), 0)).toBeCloseTo(1)
    expect(partitions[0]).toMatchObject({ table: 'carts', id: 0, start: 0, replicas: expect.any(Array) })
    const [why] = await ok(['explain', 'get', 'events', 's1', '3'], 'explanation')
    expect(why).toMatchObject({ table: 'events', token: expect.any(Number), homes: expect.any(Array) })
    expect(why!.why).not.toHaveLength(0)
    const { route, answered, problem } = why!.read as { route: string[]; answered: string[]; problem: null }
    expect(route).toEqual([expect.stringMatching(/^n\d$/)])
    expect(answered.length).toBeGreaterThan(0)
    expect(problem).toBeNull()
    const [home] = why!.replicas as { versions: { at: string; counter: number }[] }[]
    expect(home!.versions[0]).toMatchObject({
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      counter: expect.any(Number),
    })
    const { context } = why!.merged as { context: string }
    await ok(['put', 'events', '{"sensor": "s1", "at": 3, "value": "new"}', '--context', context], 'put')
    const [replaced] = await ok(['get', 'events', 's1', '3'], 'row')
    expect(replaced!.siblings).toEqual([{ sensor: 's1', at: 3, value: 'new' }])
    expect(Object.keys(why!).sort()).toEqual(
      [
        'fallbacks',
        'homes',
        'merged',
        'partition',
        'partitionKeyHash',
        'read',
        'replicas',
        'table',
        'token',
        'why',
      ].sort(),
    )
  })

  it('verify, repair, ledger', async () => {
    expect(await ok(['repair', 'events'], 'repair')).toHaveLength(6)
    expect(await ok(['verify', 'events'], 'verify')).toMatchObject([
      { table: 'events', rows: 50, divergent: 0 },
    ])
    await Promise.all(['1', '2', '3'].map(v => nodes.command(['put', 'latest', `{"id": "x", "v": ${v}}`])))
    const entries = await ok(['ledger', 'latest', '--since', '1h'], 'ledger')
    for (const entry of entries) expect(entry).toMatchObject({ table: 'latest', reason: 'concurrent-loser' })
    expect(new Set(entries.map(entry => entry.dot)).size).toBe(entries.length)
    expect((await nodes.command(['verify', 'nothing'])).code).toBe(5)
  })

  it.each(['a', 'd', 'e', 'f'])('workload %s', async kind => {
    const items = await ok(['workload', 'run', kind, '--duration', '500ms', '--rows', '50'], 'workload')
    expect(items.length).toBeGreaterThan(0)
    for (const item of items) expect(item).toMatchObject({ errors: 0, p50Ms: expect.any(Number) })
  })

  it('workload set --check', async () => {
    const args = ['workload', 'run', 'set', '--duration', '500ms', '--rate', '100', '--check']
    expect(await ok(args, 'workload-set')).toMatchObject([{ missing: 0, refused: 0, unknown: 0 }])
  })
})

describe('forms of answers', () => {
  it('a pipe gets tab-separated columns without colour', async () => {
    const { stdout } = await nodes.command(['table', 'list'])
    const [header, ...rest] = stdout.trimEnd().split('\n')
    expect(header!.split('\t').slice(0, 4)).toEqual(['TABLE', 'KEY', 'PARTITIONING', 'REPLICATION'])
    for (const line of rest) expect(line.split('\t')).toHaveLength(header!.split('\t').length)
    expect(stdout).not.toContain('\u001b')
  })

  it('both ways to a cluster work, and one that leads nowhere ends with 3', async () => {
    const byData = await quorate(['status', '--connect', nodes.connectString, '--json'])
    expect(byData.code, byData.stderr).toBe(0)
    const byVariable = await quorate(['status', '--json'], { env: { QUORATE_HTTP: nodes.node('n2').http } })
    expect(byVariable.code, byVariable.stderr).toBe(0)
    expect((await quorate(['get', 'carts', 'x', '--connect', 'quorate://127.0.0.1:16999'])).code).toBe(3)
    expect((await quorate(['status', '--http', '127.0.0.1:16999'])).code).toBe(3)
    expect((await quorate(['status', '--connect', 'nonsense'])).code).toBe(2)
  })

  it('exit-codes needs no cluster', async () => {
    const { code, stdout } = await quorate(['exit-codes', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout).items).toContainEqual(
      expect.objectContaining({ code: 8, name: 'outcomeUnknown' }),
    )
  })

  it('tables by each partitioner and by preset, and what is wrong with their settings', async () => {
    const sample = join(nodes.directory, 'sample.jsonl')
    writeFileSync(sample, Array.from({ length: 90 }, (_, id) => JSON.stringify({ id })).join('\n'))
    const [sampled] = await ok(
      ['table', 'create', 'sampled', '--key', 'id', '--split-sample', sample, '--ranges', '3'],
      'tables',
    )
    expect(sampled!.partitioning).toMatchObject({ kind: 'range', splitPoints: [30, 60] })
    const both = await nodes.command([
      'table',
      'create',
      'both',
      '--key',
      'id',
      '--split-sample',
      sample,
      '--split-at',
      '5',
    ])
    expect(both.code).toBe(2)
    expect(both.stderr).toContain('--split-at or --split-sample, not both')
    const create = (...args: string[]) => nodes.json<Record<string, unknown>>(['table', 'create', ...args])
    const ranged = await create('names', '--key', 'id', '--partitioning', 'range', '--split-at', 'g', 'p')
    expect(ranged.items).toMatchObject([{ partitioning: { kind: 'range', splitPoints: ['g', 'p'] } }])
    const ring = await ok(['ring', 'names'], 'ring')
    expect(ring.map(({ first, move }) => [first, move])).toEqual([
      ['the first key', null],
      ['g', null],
      ['p', null],
    ])
    const drawn = (await nodes.command(['ring', 'names', '-o', 'table'])).stdout
    expect(drawn).toMatch(/^names: 3 partitions by range/)
    expect(drawn).toContain('FIRST KEY')
    const dealt = await create('dealt', '--key', 'id', '--buckets', '12')
    expect(dealt.warnings.join()).toContain('going from 3 nodes to 4 moves 3/4 of the keys, 75 %')
    const like = await create('regions', '--key', 'id', '--like', 'hbase', '--n', '2')
    expect(like.items).toMatchObject([{ replication: { n: 2 }, partitioning: { kind: 'range' } }])
    expect(like.warnings.join()).toContain('not yet: a single leader for each region')
    const [riak] = await ok(['table', 'create', 'vnodes', '--key', 'id', '--like', 'riak'], 'tables')
    expect(riak).toMatchObject({ partitioning: { kind: 'fixed', partitions: 64 } })
    expect(await ok(['table', 'show', 'vnodes'], 'tables')).toMatchObject([
      { like: ['riak'], map: { partitions: 64, moving: 0 } },
    ])
    for (const [args, message] of [
      [['--split-at', 'p', 'g'], 'partitioning.splitPoints[1]: "g" lies before the point before it, "p"'],
      [['--split-at', 'g', 'g'], 'partitioning.splitPoints[1]: "g" is the same as the point before it'],
      [
        ['--partitioning', 'ring', '--partitions', '8'],
        '--partitions is for tables that are partitioned by fixed',
      ],
      [['--partitions', '0'], 'partitioning.partitions: is a whole number from 1'],
      [['--like', 'oracle'], 'Allowed choices are dynamo'],
    ] as const) {
      const refused = await nodes.command(['table', 'create', 'wrong', '--key', 'id', ...args])
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining(message)])
    }
  })

  it('health ends with 10 and status says partial when a node is dead', async () => {
    await nodes.end('n3')
    expect((await nodes.command(['health'])).code).toBe(10)
    const health = await nodes.json<{ check: string; result: string; detail: string }>(['health'])
    expect(health.partial).toBe(true)
    for (const name of ['damage', 'clocks'])
      expect(health.items.find(({ check }) => check === name)).toMatchObject({
        result: 'unknown',
        detail: expect.stringContaining('n3 could not be asked'),
      })
    const status = await nodes.json(['status'])
    expect([status.code, status.partial]).toEqual([9, true])
    expect(status.warnings.join()).toContain('n3 could not be asked')
    expect((await nodes.command(['verify', 'carts'])).code).toBe(9)
  })
})
