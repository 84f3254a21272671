import { closeSync, openSync, readdirSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { connect as dial, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, type Row, table } from '@quorate/client'
import {
  ByteReader,
  ByteWriter,
  clusterMessage,
  type Hello,
  helloSchema,
  PROTOCOL_VERSION,
} from '@quorate/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts, quorate, TestNodes, until } from './harness.ts'

const rows = table<Row>('rows', { key: 'id' })

let nodes: TestNodes
beforeAll(async () => {
  nodes = await TestNodes.start(3)
  const made = await nodes.command(['table', 'create', 'rows', '--key', 'id'])
  expect(made.code, made.stderr).toBe(0)
})
afterAll(() => nodes?.close())

/** Sends raw bytes to a data port; resolves with what came back once the other side closed or fell silent. */
function sendRaw(address: string, chunks: readonly Buffer[]): Promise<{ closed: boolean; received: Buffer }> {
  return new Promise(resolve => {
    const at = address.lastIndexOf(':')
    const socket: Socket = dial({ host: address.slice(0, at), port: Number(address.slice(at + 1)) })
    const parts: Buffer[] = []
    let closed = false
    socket.on('data', chunk => parts.push(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      closed = true
    })
    socket.on('connect', async () => {
      for (const chunk of chunks) if (!closed) socket.write(chunk)
      for (let i = 0; i < 5 && !closed; i++) await pause(50)
      socket.destroy()
      resolve({ closed, received: Buffer.concat(parts) })
    })
  })
}

const framed = (body: Buffer): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length)
  return Buffer.concat([head, body])
}

describe('hostile bytes on the data port', () => {
  /** The node's own greeting, magic word and hello: what a well-behaved peer of its version would say. */
  async function greeting(): Promise<{ magic: Buffer; hello: Buffer }> {
    const { received } = await sendRaw(nodes.node('n1').address, [])
    const start = received.indexOf(0)
    const magic = received.subarray(0, start)
    return { magic, hello: received.subarray(start + 4, start + 4 + received.readUInt32BE(start)) }
  }

  it('wrong versions, oversized, cut short and random frames harm no other request', async () => {
    const { magic, hello } = await greeting()
    const db = await connect(nodes.connectString, { tables: { rows } })
    let running = true
    let written = 0
    const traffic = (async () => {
      while (running) {
        await db.rows.put({ id: `t${written}`, n: written })
        written++
      }
    })()
    const random = (length: number): Buffer =>
      Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)))
    const otherVersion = Buffer.from(hello)
    otherVersion[0] = 99
    const oversized = Buffer.alloc(4)
    oversized.writeUInt32BE(0x7fff_ffff)
    const attacks: Buffer[][] = [
      [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
      [magic, framed(otherVersion)],
      [magic, framed(random(40))],
      [magic, framed(hello), oversized, random(100_000)],
      [magic, framed(hello), framed(Buffer.alloc(0))],
      [magic, framed(hello), framed(Buffer.from([0, 1, 250]))],
      [magic, framed(hello), framed(random(5_000)).subarray(0, 2_000)],
      ...Array.from({ length: 20 }, (_, i) => [magic, framed(hello), framed(random(1 + i * 37))]),
    ]
    for (const attack of attacks)
      for (const { address } of nodes.nodes.slice(0, 2)) await sendRaw(address, attack)
    const refused = await sendRaw(nodes.node('n1').address, [magic, framed(otherVersion)])
    expect(refused.closed).toBe(true)
    const before = written
    await until('the other client goes on', async () => written > before)
    running = false
    await traffic
    for (const node of nodes.nodes) expect(node.child?.exitCode, node.output).toBeNull()
    expect((await db.rows.get('t0')).value).toEqual({ id: 't0', n: 0 })
    await db.close()
  })

  it('a bad frame is answered by name, and good requests on the same connection are served', async () => {
    const { magic } = await greeting()
    const hello = new ByteWriter()
    const incarnation = '\0'.repeat(8) as Hello['incarnation']
    helloSchema.write(hello, {
      protocol: PROTOCOL_VERSION,
      node: '' as Hello['node'],
      incarnation,
      cluster: '',
    })
    const good = (id: number): Buffer => {
      const writer = new ByteWriter()
      writer.u8(0)
      writer.varint(id)
      writer.u8(clusterMessage.type)
      writer.varint(5_000)
      clusterMessage.request.write(writer, { knownMembers: 0, knownTables: 0 })
      return framed(Buffer.from(writer.take()))
    }
    const unknownType = framed(Buffer.from([0, 7, 250, 10]))
    const cutBody = framed(Buffer.from([0, 8, clusterMessage.type, 10]))
    const { closed, received } = await sendRaw(nodes.node('n2').address, [
      magic,
      framed(Buffer.from(hello.take())),
      good(6),
      unknownType,
      cutBody,
      good(9),
    ])
    expect(closed).toBe(false)
    const replies = new Map<number, number>()
    for (let at = magic.length, i = 0; at + 4 <= received.length; i++) {
      const length = received.readUInt32BE(at)
      const reader = new ByteReader(received.subarray(at + 4, at + 4 + length))
      at += 4 + length
      if (i === 0) continue
      const kind = reader.u8()
      replies.set(reader.varint(), kind)
    }
    const [isReply, isError] = [1, 2]
    expect([...replies].sort(([a], [b]) => a - b)).toEqual([
      [6, isReply],
      [7, isError],
      [8, isError],
      [9, isReply],
    ])
  })
})

describe('requests that cannot be', () => {
  it.each([
    ['r larger than n', ['get', 'rows', 'x', '--r', '4'], 2, 'n=3'],
    ['w larger than n', ['put', 'rows', '{"id": "x"}', '--w', '4'], 2, 'n=3'],
    ['w larger than n in a table', ['table', 'create', 't', '--key', 'id', '--n', '3', '--w', '4'], 2, 'n=3'],
    ['an unknown table', ['get', 'nothing', 'x'], 5, 'nothing'],
    ['a key that is too large', ['get', 'rows', 'k'.repeat(2_000)], 2, 'key'],
    ['an operation id that is none', ['put', 'rows', '{"id": "x"}', '--operation', '12'], 2, '--operation'],
    ['no time at all', ['get', 'rows', 'x', '--timeout', '0'], 2, '--timeout'],
    ['less than no time', ['get', 'rows', 'x', '--timeout', '-1s'], 2, '--timeout'],
    ['a time that is none', ['put', 'rows', '{"id": "x"}', '--timeout', 'soon'], 2, '--timeout'],
    ['a row without its key', ['put', 'rows', '{"name": "x"}'], 2, '"id"'],
    ['a context that is none', ['put', 'rows', '{"id": "x"}', '--context', 'AAAA'], 2, 'context'],
    ['an unknown conflict rule', ['table', 'create', 't', '--key', 'id', '--conflict', 'coin'], 2, 'coin'],
  ] as const)('%s', async (_, args, code, word) => {
    const result = await nodes.command([...args])
    expect(result.code, result.stderr).toBe(code)
    expect(result.stderr).toContain(word)
    expect(result.stdout).toBe('')
  })

  it('a value that is too large is refused by name and size', async () => {
    const result = await nodes.command(
      ['put', 'rows', '-'],
      JSON.stringify({ id: 'big', text: 'x'.repeat(1_100_000) }),
    )
    expect(result.code, result.stderr).toBe(2)
    expect(result.stderr).toContain('table "rows", row big: value is')
    expect(result.stderr).toMatch(/1048576|limit/)
    expect((await nodes.command(['get', 'rows', 'big'])).code).toBe(5)
  })

  it.each([
    [['status', '--http', 'localhost:99999'], '--http'],
    [['get', 'rows', 'x', '--connect', 'quorate://localhost:99999'], '--connect'],
    [['start', '--id', 'x', '--data', '/nowhere', '--listen', 'localhost:99999'], '--listen'],
    [['start', '--id', 'x', '--data', '/nowhere', '--member', 'id=n2,address=localhost:99999'], '--member'],
    [['demo', '--http-port', '99999'], '--http-port'],
    [['demo', '--http-port', '65535'], '--http-port'],
  ])('a port that cannot be: %j', async (args, flag) => {
    const result = await quorate(args)
    expect(result.code, result.stderr).toBe(2)
    expect(result.stderr).toContain(flag)
  })

  it('a variable that is wrong is named as the source', async () => {
    const args = ['start', '--id', 'x', '--data', '/nowhere']
    const listen = await quorate(args, { env: { QUORATE_LISTEN: 'nonsense' } })
    expect([listen.code, listen.stderr]).toEqual([2, expect.stringContaining('QUORATE_LISTEN')])
    const http = await quorate(['status'], { env: { QUORATE_HTTP: 'localhost:99999' } })
    expect([http.code, http.stderr]).toEqual([2, expect.stringContaining('QUORATE_HTTP')])
  })

  it('a directory is no file to import, and a file no directory to export to', async () => {
    for (const args of [
      ['import', 'rows', nodes.directory],
      ['export', 'rows', nodes.directory],
    ]) {
      const result = await nodes.command(args)
      expect(result.code, result.stderr).toBe(2)
      expect(result.stderr).toContain(nodes.directory)
    }
  })

  it('a table that exists with other settings says which differ', async () => {
    const result = await nodes.command(['table', 'create', 'rows', '--key', 'other', '--n', '2'])
    expect(result.code, result.stderr).toBe(6)
    expect(result.stderr).toContain('key.partition is id, not other; replication.n is 3, not 2')
    expect(result.stderr).toContain('next: quorate table show rows')
  })
})

describe('a node that cannot start', () => {
  it('an unknown configuration key comes with a suggestion', async () => {
    const file = join(nodes.directory, 'quorate.yaml')
    writeFileSync(file, 'id: n1\ndata: /nowhere\nsweepIntervalMS: 5000\n')
    const result = await quorate(['start', '--config', file])
    expect(result.code).toBe(2)
    expect(result.stderr).toContain('did you mean "sweepIntervalMs"?')
  })

  it("another node's data directory is refused", async () => {
    const [port, http] = (await freePorts(2)) as [number, number]
    const result = await quorate([
      'start',
      '--id',
      'other',
      '--listen',
      `127.0.0.1:${port}`,
      '--http',
      `127.0.0.1:${http}`,
      '--data',
      nodes.node('n1').data,
    ])
    expect(result.code).toBe(2)
    expect(result.stderr).toContain('belongs to node "n1"')
  })

  it('a data directory in use, and a port in use, are named', async () => {
    const n1 = nodes.node('n1')
    const inUse = await quorate(['start', '--id', 'n1', '--data', n1.data])
    expect(inUse.code).toBe(2)
    expect(inUse.stderr).toContain(`in use by process ${n1.child?.pid}`)
    const [http] = (await freePorts(1)) as [number]
    const taken = await quorate([
      'start',
      '--id',
      'x',
      '--listen',
      n1.address,
      '--http',
      `127.0.0.1:${http}`,
      '--data',
      join(nodes.directory, 'x'),
    ])
    expect(taken.code).toBe(2)
    expect(taken.stderr).toContain('the port is in use')
    expect(taken.stderr).toContain('next:')
  })

  it('a data directory that cannot be made is named at once', async () => {
    const args = ['start', '--id', 'x', '--data', '/proc/quorate/x']
    const result = await quorate(args, { timeoutMs: 20_000 })
    expect(result.code, result.stderr).toBe(2)
    expect(result.stderr).toContain('the data directory /proc/quorate/x cannot be made')
    expect(result.stderr).toContain('--data')
  })

  it('an address that is not loopback is refused', async () => {
    const result = await quorate([
      'start',
      '--id',
      'x',
      '--listen',
      '0.0.0.0:7701',
      '--data',
      join(nodes.directory, 'y'),
    ])
    expect(result.code).toBe(2)
    expect(result.stderr).toContain('loopback')
  })
})

describe('a corrupted store', () => {
  it('ends with 70 and names the command that rebuilds it, which does', async () => {
    const db = await connect(nodes.connectString, { tables: { rows } })
    for (let i = 0; i < 200; i++) await db.rows.put({ id: `s${i}`, text: 'x'.repeat(100) }, { w: 'all' })
    await nodes.end('n3')
    corruptLog(join(nodes.node('n3').data, 'log'))
    const broken = await quorate(nodes.startArguments('n3'))
    expect(broken.code, broken.stderr).toBe(70)
    expect(broken.stderr).toContain('--rebuild')

    nodes.launch('n3', ['--rebuild'])
    await nodes.ready()
    await until('n3 holds everything again', async () => (await nodes.command(['verify', 'rows'])).code === 0)
    const item = (await nodes.json<{ divergent: number; rows: number }>(['verify', 'rows'])).items[0]!
    expect(item.divergent).toBe(0)
    expect(item.rows).toBeGreaterThanOrEqual(200)
    expect(readdirSync(nodes.directory).some(name => name.startsWith('n3.damaged-'))).toBe(true)
    await db.close()
  })
})

/** Overwrites bytes in the middle of the newest log segment, with good records after them. */
function corruptLog(directory: string): void {
  const segment = readdirSync(directory)
    .map(name => join(directory, name))
    .filter(path => statSync(path).size > 8_000)
    .sort()
    .at(-1)
  if (segment === undefined)
    throw new Error(`no log segment in ${directory}: ${readdirSync(directory).join(' ')}`)
  const handle = openSync(segment, 'r+')
  writeSync(handle, Buffer.alloc(64, 0xa5), 0, 64, 4_000)
  closeSync(handle)
}

describe('tables with leaders', () => {
  const create = (name: string, ...more: string[]) =>
    nodes.command([
      'table',
      'create',
      name,
      '--key',
      'id',
      '--partitioning',
      'fixed',
      '--single-leader',
      ...more,
    ])

  it.each([
    [['--n', '1', '--ack', 'one'], /ack.*one.*n/i],
    [['--ack', 'in-sync', '--min-in-sync', '4'], /minInSync|min-in-sync/],
    [['--ack', 'majority', '--min-in-sync', '2'], /minInSync|min-in-sync/],
    [['--log', 'logical', '--freeze', 'no'], /freeze/],
    [['--w', '2'], /w/],
  ])('%j is refused with the reason, and nothing is made', async (more, why) => {
    const { code, stderr } = await create('refused', ...more)
    expect(code, stderr).toBe(2)
    expect(stderr).toMatch(why)
    expect((await nodes.command(['table', 'show', 'refused'])).code).toBe(5)
  })

  it('statements that differ on each replica, fewer copies than promised, conditions and steps that are none', async () => {
    const made = await create(
      'led',
      '--partitions',
      '2',
      '--log',
      'statement',
      '--freeze',
      'refuse',
      '--ack',
      'all',
    )
    expect(made.code, made.stderr).toBe(0)
    expect((await nodes.command(['put', 'led', '{"id":"a","n":1,"text":"x"}'])).code).toBe(0)
    const cases: [string[], RegExp][] = [
      [['update', 'led', 'a', 'at=now()'], /refuses calls: every replica .* another now\(\)/],
      [['update', 'led', 'a', 'n+=1', '--ack', 'one'], /fewer copies/],
      [['update', 'led', 'a', 'text+=1'], /text/],
      [['update', 'led', 'a', 'n ?'], /n \?/],
      [['update', 'led', 'a', 'id="b"'], /key/],
      [['put', 'led', '{"id":"a"}', '--if', 'n<<1'], /n<<1.*not JSON/],
      [['put', 'led', '{"id":"a"}', '--w', '2'], /w: .*leader/],
      [['changes', 'led', '--until-now'], /statement/],
      [['changes', 'rows', '--until-now'], /leaderless/],
      [['get', 'rows', 'a', '--read', 'leader'], /leaderless/],
      [['get', 'rows', 'a', '--max-staleness', '1s'], /leaderless/],
    ]
    for (const [args, why] of cases) {
      const { code, stderr } = await nodes.command(args)
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(2)
      expect(stderr, args.join(' ')).toMatch(why)
    }
    const { items } = await nodes.json<{ value: unknown }>(['get', 'led', 'a'])
    expect(items[0]!.value).toEqual({ id: 'a', n: 1, text: 'x' })
  })

  it('places in feeds, leaders, plans and entries that are not there', async () => {
    const made = await create('fed', '--partitions', '1')
    expect(made.code, made.stderr).toBe(0)
    const cases: [string[], number, RegExp][] = [
      [['changes', 'fed', '--from', 'yesterday'], 2, /no place in a log/],
      [['changes', 'fed', '--from', '99@0:1/1'], 2, /log of another table/],
      [['changes', 'fed', '--forget', 'nobody'], 5, /no reader "nobody"/],
      [['changes', 'fed', '--reader', 'x'.repeat(65)], 2, /64 characters/],
      [['cluster', 'move-leader', 'fed', '0', 'n9'], 2, /n9 keeps no copy/],
      [['cluster', 'move-leader', 'fed', '7', 'n1'], 5, /partition 7/],
      [['cluster', 'elect', 'fed', '--commit', 'u-0123456789ab', '--yes'], 6, /u-0123456789ab/],
      [['cluster', 'elect', 'fed', '--commit', 'p-1'], 2, /no plan of an election/],
      [['ledger', 'restore', 'f'.repeat(40)], 5, /no entry/],
      [['lag', 'rows'], 2, /leaderless/],
    ]
    for (const [args, exit, why] of cases) {
      const { code, stderr } = await nodes.command(args)
      expect(stderr, args.join(' ')).toMatch(why)
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(exit)
    }
  })

  it('a session of another cluster, and one that was tampered with', async () => {
    const other = await TestNodes.start(1)
    try {
      const made = await other.command([
        'table',
        'create',
        'rows',
        '--key',
        'id',
        '--n',
        '1',
        '--r',
        '1',
        '--w',
        '1',
      ])
      expect(made.code, made.stderr).toBe(0)
      const file = join(other.directory, 'session')
      expect((await other.command(['put', 'rows', '{"id":"s"}', '--session', file])).code).toBe(0)
      const foreign = await nodes.command(['get', 'rows', 's', '--session', file])
      expect(foreign.code).toBe(2)
      expect(foreign.stderr).toMatch(/not one that this cluster gave out|another cluster/)
      writeFileSync(file, 'no session at all\n')
      const nonsense = await nodes.command(['get', 'rows', 's', '--session', file])
      expect(nonsense.code).toBe(2)
      expect(nonsense.stderr).toMatch(/session/)
    } finally {
      await other.close()
    }
  })
})
