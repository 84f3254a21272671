// The peers, when they are installed: Redis with one replica (fsync always, WAIT 1), and three etcd nodes.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { measure } from './measure.mjs'
import { endChild, freePorts, spawnQuiet, until } from './processes.mjs'

const installed = command => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
const value = 'x'.repeat(100)

export async function benchRedis(directory, concurrencies, seconds) {
  if (!installed('redis-server')) return null
  const { Redis } = await import('ioredis')
  const [primaryPort, replicaPort] = await freePorts(2)
  const start = (port, name, extra = []) => {
    const dir = join(directory, name)
    mkdirSync(dir, { recursive: true })
    const args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
      '--save',
      '',
    ]
    return spawnQuiet('redis-server', [...args, ...extra])
  }
  const children = [
    start(primaryPort, 'redis-a'),
    start(replicaPort, 'redis-b', ['--replicaof', '127.0.0.1', String(primaryPort)]),
  ]
  const open = () => new Redis(primaryPort, '127.0.0.1', { maxRetriesPerRequest: 100 })
  const admin = open()
  await until('the Redis replica', async () => (await admin.info('replication')).includes('state=online'))
  const out = { version: /redis_version:(\S+)/.exec(await admin.info('server'))[1], put: {}, get: {} }
  for (const concurrency of concurrencies) {
    // WAIT blocks its connection, so every caller has one of its own.
    const callers = Array.from({ length: concurrency }, open)
    out.put[concurrency] = await measure(concurrency, seconds, async (c, t) => {
      const [, [, copies]] = await callers[c]
        .pipeline()
        .set(`k${c}-${t % 10_000}`, value)
        .wait(1, 1_000)
        .exec()
      if (copies < 1) throw new Error('not replicated')
    })
    out.get[concurrency] = await measure(concurrency, seconds, (c, t) => callers[c].get(`k${c}-${t % 100}`))
    for (const caller of callers) caller.disconnect()
  }
  admin.disconnect()
  await Promise.all(children.map(endChild))
  return out
}

export async function benchEtcd(directory, concurrencies, seconds) {
  if (!installed('etcd')) return null
  const ports = await freePorts(6)
  const peers = [0, 1, 2].map(i => `e${i}=http://127.0.0.1:${ports[3 + i]}`).join(',')
  const children = [0, 1, 2].map(i =>
    spawnQuiet('etcd', [
      '--name',
      `e${i}`,
      '--data-dir',
      join(directory, `etcd-${i}`),
      '--log-level',
      'error',
      '--listen-client-urls',
      `http://127.0.0.1:${ports[i]}`,
      '--advertise-client-urls',
      `http://127.0.0.1:${ports[i]}`,
      '--listen-peer-urls',
      `http://127.0.0.1:${ports[3 + i]}`,
      '--initial-advertise-peer-urls',
      `http://127.0.0.1:${ports[3 + i]}`,
      '--initial-cluster',
      peers,
      '--initial-cluster-state',
      'new',
      '--initial-cluster-token',
      'bench',
    ]),
  )
  const agent = new Agent({ keepAlive: true, maxSockets: 512 })
  const post = (port, path, body) =>
    new Promise((resolve, reject) => {
      const text = JSON.stringify(body)
      const call = request(
        {
          agent,
          host: '127.0.0.1',
          port,
          path,
          method: 'POST',
          headers: { 'content-type': 'application/json', 'content-length': text.length },
        },
        response => {
          response.resume()
          response.on('end', () =>
            response.statusCode === 200 ? resolve(true) : reject(new Error(String(response.statusCode))),
          )
        },
      )
      call.on('error', reject)
      call.end(text)
    })
  const base64 = text => Buffer.from(text).toString('base64')
  await until('etcd', () => post(ports[0], '/v3/kv/put', { key: base64('up'), value: base64('1') }), 400)
  const out = { put: {}, get: {} }
  for (const concurrency of concurrencies) {
    out.put[concurrency] = await measure(concurrency, seconds, (c, t) =>
      post(ports[c % 3], '/v3/kv/put', { key: base64(`k${c}-${t}`), value: base64(value) }),
    )
    out.get[concurrency] = await measure(concurrency, seconds, (c, t) =>
      post(ports[c % 3], '/v3/kv/range', { key: base64(`k${c}-${t % 10}`) }),
    )
  }
  agent.destroy()
  await Promise.all(children.map(endChild))
  return out
}
