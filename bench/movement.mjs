// Moving partitions between real nodes: how fast, with the throttle and without, and what users feel of it.
import { mkdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, table } from '@quorate/client'
import { CheckedLoad } from './growth/load.mjs'
import { GrowingCluster } from './growth/nodes.mjs'
import { round } from './measure.mjs'

const LIMITED = 1024 * 1024
/** No limit: a receiver that is never slowed. */
const UNLIMITED = 2 ** 40
const CALLERS = 16
const SECONDS_BEFORE = 10

const row = i => ({ id: `k${i}`, name: 'x'.repeat(84) })

export async function benchMovement(directory, rows) {
  mkdirSync(directory, { recursive: true })
  const cluster = new GrowingCluster(directory)
  let db
  try {
    await cluster.start(3)
    db = await connect(cluster.url, { timeoutMs: 30_000 })
    const partitioning = { kind: 'fixed', partitions: 64 }
    await db.createTable('moved', { key: 'id', partitioning, replication: { n: 3, r: 2, w: 2 } })
    const list = Array.from({ length: rows }, (_, i) => row(i))
    const load = new CheckedLoad(db.table(table('moved', { key: 'id' })), list, CALLERS, Math.random)
    await load.fill(128)
    await cluster.join(4)
    const unlimited = await carryOut(cluster, UNLIMITED)
    await cluster.must(['cluster', 'leave', 'n4'])
    const limited = await carryOut(cluster, LIMITED)
    await cluster.forget('n4')
    return { rows, unlimited, limited, felt: await felt(cluster, load) }
  } finally {
    await db?.close()
    await cluster.close()
  }
}

/** What is staged, committed and waited for; `limit`: undefined for what a node takes by default. */
async function carryOut(cluster, limit) {
  const [plan] = (await cluster.json(['cluster', 'plan'])).items
  const began = performance.now()
  const limiting = limit === undefined ? [] : ['--limit', String(limit)]
  await cluster.must(['cluster', 'commit', plan.id, '--detach', ...limiting])
  // Over when it is history: a command that waits would add its own start.
  for (let isOver = false; !isOver; await pause(100)) {
    const { history } = await (await fetch(`http://${cluster.nodes[0].http}/api/v1/task`)).json()
    isOver = history.some(({ id }) => id === plan.id)
  }
  const seconds = (performance.now() - began) / 1_000
  const receivers = plan.nodes.filter(({ incomingBytes }) => incomingBytes > 0).length
  return {
    partitions: plan.moves,
    rows: plan.rows,
    receivers,
    seconds: round(seconds, 1),
    rowsPerSecond: Math.round(plan.rows / seconds),
    mbPerSecond: round(plan.bytes / seconds / 1e6, 2),
  }
}

/** User requests before a node joins, and while it does, with the throttle as it is by default. */
async function felt(cluster, load) {
  load.begin()
  await pause(3_000)
  load.enter('steady')
  await pause(SECONDS_BEFORE * 1_000)
  load.enter('joining')
  await cluster.join(4)
  await pause(3_000)
  // A process more on the same processors is felt without a move, too.
  load.enter('joined')
  await pause(SECONDS_BEFORE * 1_000)
  load.enter('moving')
  const moved = await carryOut(cluster, undefined)
  load.enter('')
  await load.end()
  const [before, joined, during] = ['steady', 'joined', 'moving'].map(phase => load.report(phase))
  return {
    callers: CALLERS,
    before,
    joined,
    during,
    moved,
    lost: load.lost.length,
    p99Ratio: round(during.p99Ms / before.p99Ms),
    p99RatioToJoined: round(during.p99Ms / joined.p99Ms),
  }
}
