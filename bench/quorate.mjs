// Three Quorate nodes, each with its own log and table, fsync before every acknowledgement.
import { join } from 'node:path'
import { connect, table } from '@quorate/client'
import { measure } from './measure.mjs'
import { endChild, forkUp, freePorts } from './processes.mjs'

const node = new URL('./node.mjs', import.meta.url).pathname
/** A row of about 100 bytes with its key. */
const row = id => ({ id, v: 'x'.repeat(84) })

export async function startCluster(directory, count) {
  const ports = await freePorts(count * 2)
  const members = Array.from({ length: count }, (_, i) => ({
    id: `n${i + 1}`,
    address: `127.0.0.1:${ports[2 * i]}`,
    http: `127.0.0.1:${ports[2 * i + 1]}`,
  }))
  const profile = process.env.BENCH_PROFILE
  const profiling = profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : []
  // The first as `quorate demo` starts its nodes.
  const execArgv = ['--max-semi-space-size=32', ...profiling]
  const up = member =>
    forkUp(node, [member.id, JSON.stringify(members), join(directory, member.id)], execArgv)
  const children = await Promise.all(members.map(up))
  return {
    members,
    children,
    /** One that has ended, again. */
    start: async at => {
      children[at] = await up(members[at])
    },
    url: `quorate://${members.map(member => member.address).join(',')}`,
    stop: () => Promise.all(children.map(endChild)),
  }
}

export async function benchQuorate(directory, concurrencies, seconds, keys) {
  const cluster = await startCluster(directory, 3)
  const idle = await memoryOf(cluster)
  const db = await connect(cluster.url, {
    tables: { bench: table('bench', { key: 'id' }) },
    timeoutMs: 20_000,
  })
  await db.createTable('bench', { key: 'id', replication: { n: 3, r: 2, w: 2 } })
  // Warm-up and data for the reads.
  await forEach(256, keys, i => db.bench.put(row(`k${i}`), { w: 2 }))
  const out = { put: {}, getOne: {}, getTwo: {} }
  let fresh = 0
  for (const concurrency of concurrencies) {
    out.put[concurrency] = await measure(concurrency, seconds, () =>
      db.bench.put(row(`p${fresh++}`), { w: 2 }),
    )
    out.getOne[concurrency] = await measure(concurrency, seconds, (c, t) =>
      db.bench.get(`k${(c * 7_919 + t * 31) % keys}`, { r: 1 }),
    )
    out.getTwo[concurrency] = await measure(concurrency, seconds, (c, t) =>
      db.bench.get(`k${(c * 7_919 + t * 31) % keys}`, { r: 2 }),
    )
  }
  const loaded = await memoryOf(cluster)
  await db.close()
  await cluster.stop()
  return { ...out, memory: { idleNodeRssMiB: idle, loadedNodeRssMiB: loaded } }
}

export async function forEach(concurrency, count, run) {
  let next = 0
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next < count) await run(next++)
    }),
  )
}

async function memoryOf({ members }) {
  const sizes = await Promise.all(
    members.map(
      async member => (await (await fetch(`http://${member.http}/api/v1/status`)).json()).memory.rss,
    ),
  )
  return Math.round(Math.max(...sizes) / 2 ** 20)
}

/** A million rows on one node: does the heap grow with them? */
export async function benchMemory(directory, rows) {
  const cluster = await startCluster(directory, 1)
  const db = await connect(cluster.url, { tables: { big: table('big', { key: 'id' }) }, timeoutMs: 20_000 })
  await db.createTable('big', { key: 'id', replication: { n: 1, r: 1, w: 1 } })
  const samples = []
  const step = Math.ceil(rows / 4)
  for (let from = 0; from < rows; from += step) {
    await forEach(256, step, i => db.big.put(row(`m${from + i}`)))
    const { memory } = await (await fetch(`http://${cluster.members[0].http}/api/v1/status`)).json()
    samples.push({
      rows: from + step,
      heapUsedMiB: Math.round(memory.heapUsed / 2 ** 20),
      rssMiB: Math.round(memory.rss / 2 ** 20),
    })
  }
  await db.close()
  await cluster.stop()
  return samples
}
