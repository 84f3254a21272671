/** The server's edges: configuration, data directory, and the admin interface on one running node. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isQuorateError, type QuorateError } from '@quorate/core'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adminApp } from './admin-http.ts'
import { DataDirectory } from './data-directory.ts'
import { openApi } from './open-api.ts'
import { type RunningServer, startServer } from './server.ts'
import { environmentSettings, resolveConfig } from './server-config.ts'

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'quorate-server-'))
})
afterAll(async () => {
  await rm(scratch, { recursive: true, force: true })
})

const refusal = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (isQuorateError(error)) return error.message
    throw error
  }
  throw new Error('was not refused')
}

describe('configuration', () => {
  const base = { id: 'n1', data: '/tmp/x' }

  it('flag beats environment beats file beats default', () => {
    const environment = environmentSettings({ QUORATE_ZONE: 'from-env', QUORATE_SWEEP_INTERVAL_MS: '250' })
    const config = resolveConfig([
      { zone: 'from-flag' },
      environment,
      { ...base, zone: 'from-file', region: 'from-file' },
    ])
    expect(config.node.members[0]).toMatchObject({ zone: 'from-flag', region: 'from-file', weight: 1 })
    expect(config.node.tuning.sweepIntervalMs).toBe(250)
    expect(config.listen).toBe('127.0.0.1:7701')
  })

  it.each([
    [{ ...base, lissten: '127.0.0.1:1' }, /unknown configuration key "lissten"; did you mean "listen"/],
    [{ ...base, listen: '0.0.0.0:7701' }, /listen: 0\.0\.0\.0:7701 is not a loopback address/],
    [{ ...base, http: 'localhost' }, /http: must look like host:port/],
    [{ ...base, weight: -1 }, /weight/],
    [{ ...base, id: 'n 1' }, /"n 1" is no node id/],
    [
      {
        ...base,
        members: [
          { id: 'n2', address: '127.0.0.1:1' },
          { id: 'n2', address: '127.0.0.1:2' },
        ],
      },
      /same id/,
    ],
    [{ ...base, sweepIntervalMs: 'often' }, /sweepIntervalMs/],
    [{ data: '/tmp/x' }, /id/],
  ])('%j is refused by name', (settings, message) => {
    expect(refusal(() => resolveConfig([settings]))).toMatch(message)
  })
})

describe('a node that joins', () => {
  const base = { id: 'n4', data: '/tmp/x', listen: '127.0.0.1:7704', zone: 'a' }

  it('is told whom to ask: as a list, or parted by commas', () => {
    const { node } = resolveConfig([
      environmentSettings({ QUORATE_JOIN: '127.0.0.1:7701, 127.0.0.1:7702', QUORATE_NEW_ZONE: 'true' }),
      { ...base, cluster: 'c0ffee', weight: 2 },
    ])
    expect(node.members.map(({ id, weight }) => [id, weight])).toEqual([['n4', 2]])
    expect(node.join).toEqual({
      seeds: ['127.0.0.1:7701', '127.0.0.1:7702'].map(address => ({ peer: `seed:${address}`, address })),
      cluster: 'c0ffee',
      newZone: true,
    })
    expect(resolveConfig([{ ...base, join: ['127.0.0.1:7701'] }]).node.join).toMatchObject({
      cluster: '',
      newZone: false,
    })
    expect(resolveConfig([base]).node.join).toBeUndefined()
  })

  it.each([
    [{ join: '' }, /join\[0\]: must look like host:port/],
    [{ join: [] }, /join: names at least one member/],
    [{ join: 'n1' }, /join\[0\]: must look like host:port, not "n1"/],
    [{ join: '127.0.0.1:0' }, /join\[0\]: must have a port from 1/],
    [{ join: '127.0.0.1:7704' }, /join: names 127\.0\.0\.1:7704, which is this node itself/],
    [{ join: '127.0.0.1:7701', listen: '127.0.0.1:0' }, /listen: must have a port/],
    [
      { join: '127.0.0.1:7701', members: [{ id: 'n1', address: '127.0.0.1:7701' }] },
      /join: .*not both "join" and "members"/,
    ],
    [{ cluster: 'c0ffee' }, /cluster: is for a node that joins/],
    [{ newZone: true }, /newZone: is for a node that joins/],
    [{ join: '127.0.0.1:7701', newZone: 'perhaps' }, /newZone/],
    [{ join: '127.0.0.1:7701', weight: 0 }, /weight: of "n4" must be above 0/],
    [{ join: '127.0.0.1:7701', weight: -1 }, /weight: of "n4" must be above 0/],
    [{ moveBytesPerSecond: 1 }, /moveBytesPerSecond/],
  ])('%j is refused by name', (settings, message) => {
    expect(refusal(() => resolveConfig([{ ...base, ...settings }]))).toMatch(message)
  })
})

describe('data directory', () => {
  it('belongs to one node', async () => {
    const path = join(scratch, 'own')
    const directory = await DataDirectory.open(path, 'n1')
    await directory.release()
    await expect(DataDirectory.open(path, 'n2')).rejects.toThrow(/belongs to node "n1", not to "n2"/)
  })

  it('belongs to one process: a lock of a living one is refused, of a dead one taken over', async () => {
    const path = join(scratch, 'locked')
    await (await DataDirectory.open(path, 'n1')).release()
    await writeFile(join(path, 'lock'), String(process.ppid))
    await expect(DataDirectory.open(path, 'n1')).rejects.toThrow(/in use by process/)
    await writeFile(join(path, 'lock'), '999999999')
    await (await DataDirectory.open(path, 'n1')).release()
  })

  it.each(['/proc/quorate/n1', '/proc/quorate'])('%s cannot be made, which is said at once', async path => {
    await expect(DataDirectory.open(path, 'n1')).rejects.toThrow(
      `the data directory ${path} cannot be made: ENOENT: no such file or directory, mkdir '/proc/quorate'`,
    )
  })

  it('a file in its place, or above it, is named', async () => {
    const file = join(scratch, 'file')
    await writeFile(file, '')
    await expect(DataDirectory.open(file, 'n1')).rejects.toThrow(`${file} is a file, not a directory`)
    await expect(DataDirectory.open(join(file, 'n1'), 'n1')).rejects.toThrow(file)
  })

  it('is set aside whole', async () => {
    const path = join(scratch, 'damaged')
    await (await DataDirectory.open(path, 'n1')).release()
    const where = await DataDirectory.setAside(path)
    expect(await readFile(join(where, 'node.json'), 'utf8')).toContain('n1')
    await (await DataDirectory.open(path, 'n1')).release()
  })
})

const errorOf = async (response: Response): Promise<unknown> =>
  ((await response.json()) as { error: unknown }).error

describe('admin interface', () => {
  let server: RunningServer
  let app: ReturnType<typeof adminApp>
  const local = { headers: { host: '127.0.0.1:7480' } }
  const get = (path: string) => app.request(path, local)

  beforeAll(async () => {
    const config = resolveConfig([
      {
        id: 'n1',
        data: join(scratch, 'served'),
        listen: '127.0.0.1:0',
        http: '127.0.0.1:0',
        logLevel: 'error',
      },
    ])
    server = await startServer(config, {
      onFatal: (_, error) => {
        throw error
      },
    })
    app = adminApp({ node: server.node, token: 'secret', tokenFile: '/where/token' })
    for (let i = 0; i < 200 && (await get('/readyz')).status !== 200; i++)
      await new Promise(resolve => setTimeout(resolve, 25))
  })
  afterAll(() => server.stop())

  it('answers every path of its description, and only those', async () => {
    for (const [path, methods] of Object.entries(openApi.paths)) {
      for (const method of Object.keys(methods)) {
        const url = path.replace('{table}', 'none').replace('{partition}', '0')
        const response = await app.request(url, {
          method: method.toUpperCase(),
          headers: { ...local.headers, authorization: 'Bearer secret' },
        })
        const body = await response.text()
        expect(body, `${method} ${path}`).not.toContain(`there is no ${method.toUpperCase()}`)
      }
    }
    const described = Object.keys(openApi.paths).map(path => path.replaceAll(/\{(\w+)\}/g, ':$1'))
    const routes = app.routes.filter(route => route.method !== 'ALL').map(route => route.path)
    expect(new Set(routes)).toEqual(new Set(described))
  })

  it('tells status, health and metrics', async () => {
    const status = await (await get('/api/v1/status')).json()
    expect(status).toMatchObject({ node: 'n1', state: 'ready', tables: [], store: { state: 'open' } })
    expect((await get('/healthz')).status).toBe(200)
    const metrics = await (await get('/metrics')).text()
    expect(metrics).toMatch(/^quorate_up 1$/m)
    expect(metrics).toMatch(/^# TYPE quorate_writes_total counter$/m)
  })

  it('refuses a Host that is not loopback', async () => {
    const response = await app.request('/api/v1/status', { headers: { host: 'evil.example' } })
    expect(response.status).toBe(403)
    expect(await errorOf(response)).toMatchObject({ message: expect.stringContaining('evil.example') })
  })

  it('refuses changes without the token, and says where it is', async () => {
    const response = await app.request('/api/v1/scrub', { method: 'POST', ...local })
    expect(response.status).toBe(401)
    expect(await errorOf(response)).toMatchObject({ message: expect.stringContaining('/where/token') })
    const allowed = await app.request('/api/v1/scrub', {
      method: 'POST',
      headers: { ...local.headers, authorization: 'Bearer secret' },
    })
    expect(allowed.status).toBe(200)
    expect(await allowed.json()).toMatchObject({ damaged: 0, wrongLeaves: 0 })
  })

  it('names what is unknown', async () => {
    const response = await get('/api/v1/ring/nothing')
    expect(response.status).toBe(404)
    expect(await errorOf(response)).toMatchObject({
      code: 'UNKNOWN_TABLE',
      message: 'there is no table "nothing"',
    })
    expect((await get('/api/v1/ledger?limit=0')).status).toBe(400)
  })

  const post = (path: string, body?: object) =>
    app.request(path, {
      method: 'POST',
      headers: { ...local.headers, authorization: 'Bearer secret' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })

  it('balances itself only when it is told to, by bounds that make sense', async () => {
    expect(await (await get('/api/v1/cluster')).json()).toMatchObject({ auto: null })
    const refused = await post('/api/v1/cluster/auto', { isOn: true, policy: { above: 1.1, below: 1.2 } })
    expect(refused.status).toBe(400)
    expect(await errorOf(refused)).toMatchObject({ message: expect.stringContaining('below') })
    const unknown = await post('/api/v1/cluster/auto', { isOn: true, policy: { nodes: 7 } })
    expect(await errorOf(unknown)).toMatchObject({ message: expect.stringContaining('nodes: is not known') })
    expect((await post('/api/v1/cluster/auto', {})).status).toBe(400)
    expect(await (await get('/api/v1/cluster')).json()).toMatchObject({ auto: null })
    const on = await post('/api/v1/cluster/auto', { isOn: true, policy: { above: 1.5, everyMs: 60_000 } })
    const policy = { by: 'bytes', above: 1.5, below: 1.1, everyMs: 60_000, bytesMax: 10 * 2 ** 30 }
    const auto = { isOn: true, policy, phase: 'armed', lastMs: 0, lastPlan: '', says: '' }
    expect(await on.json()).toEqual({ auto })
    expect(await (await get('/api/v1/cluster/plan')).json()).toMatchObject({ auto: { isOn: true, policy } })
    const off = await post('/api/v1/cluster/auto', { isOn: false })
    expect(await off.json()).toEqual({ auto: { ...auto, isOn: false } })
  })

  it('shows the cluster, an empty plan, and no task', async () => {
    expect(await (await get('/api/v1/cluster')).json()).toMatchObject({
      node: 'n1',
      fresh: true,
      members: [{ id: 'n1', state: 'active', suspected: false }],
      staged: [],
      history: [],
    })
    expect(await (await get('/api/v1/cluster/plan')).json()).toMatchObject({
      isEmpty: true,
      moves: 0,
      problems: [],
      // Measured with the tables, of which there is none.
      nodes: [{ node: 'n1', freeBytes: null }],
    })
    expect(await (await get('/api/v1/task')).json()).toMatchObject({
      drives: true,
      task: null,
      reports: [],
      receivedBytesTotal: 0,
    })
    expect(await (await get('/metrics')).text()).toMatch(/^quorate_move_received_bytes_total 0$/m)
  })

  it('stages, refuses what cannot be, and clears', async () => {
    const staged = await post('/api/v1/cluster/stage', { kind: 'reweigh', node: 'n1', weight: 2 })
    expect(await staged.json()).toMatchObject({ words: 'n1 weighs 2', staged: ['n1 weighs 2'] })
    const cleared = await post('/api/v1/cluster/clear')
    expect(await cleared.json()).toEqual({ cleared: ['n1 weighs 2'] })
  })

  it.each([
    ['cluster/stage', { kind: 'leave', node: 'n9' }, 404, /there is no member "n9"/],
    ['cluster/stage', { kind: 'dance' }, 400, /"dance" is not known/],
    ['cluster/stage', undefined, 400, /the body must be a JSON object/],
    ['cluster/commit', {}, 400, /plan/],
    ['cluster/commit', { plan: 'p-1', bytesPerSecond: 1 }, 400, /bytesPerSecond/],
    ['cluster/commit', { plan: 'p-1', force: true }, 400, /force/],
    ['cluster/commit', { plan: 'p-1' }, 404, /there is no plan p-1/],
    ['cluster/give-up', { node: 'n1' }, 409, /"n1" answers/],
    ['cluster/give-up', { node: 'n9' }, 404, /there is no member "n9"/],
    ['task/pause', undefined, 404, /no task runs/],
    ['task/cancel', { task: 'p-1' }, 404, /no task is named p-1; none runs/],
  ])('POST %s %j is refused with %i', async (path, body, status, message) => {
    const response = await post(`/api/v1/${path}`, body)
    expect(response.status).toBe(status)
    expect(await errorOf(response)).toMatchObject({ message: expect.stringMatching(message) })
  })

  it('a member that cannot be reached is logged once, not at every try', async () => {
    const lines: string[] = []
    const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(JSON.parse(line).msg) })
    const nowhere = { id: 'n2', address: '127.0.0.1:1' }
    const base = { id: 'n1', data: join(scratch, 'alone'), listen: '127.0.0.1:0', http: '127.0.0.1:0' }
    const alone = await startServer(resolveConfig([{ ...base, members: [nowhere] }]), { log })
    for (let i = 0; i < 200 && lines.length === 0; i++) await new Promise(resolve => setTimeout(resolve, 25))
    // Long enough for several more tries.
    await new Promise(resolve => setTimeout(resolve, 1_000))
    await alone.stop()
    expect(lines).toEqual(['n2: connect ECONNREFUSED 127.0.0.1:1'])
  })

  it('a port in use is said with its name', async () => {
    const config = resolveConfig([
      {
        id: 'n1',
        data: join(scratch, 'second'),
        listen: server.address,
        http: '127.0.0.1:0',
        logLevel: 'error',
      },
    ])
    const error = await startServer(config).catch((reason: unknown) => reason)
    expect(isQuorateError(error) && (error as QuorateError).message).toContain('the port is in use')
  })
})
