// Tables with one leader per partition: writes by acknowledgement and by kind of log, what each kind ships, reads of
// followers beside those of leaderless tables, a follower that was away, and leaders that are killed.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, increment, set, table } from '@quorate/client'
import { measure, round } from './measure.mjs'
import { endChild } from './processes.mjs'
import { forEach, startCluster } from './quorate.mjs'

const PARTITIONS = 12
const CONCURRENCY = 64
const KEYS = 5_000
const WARM_WRITES = 50_000
const text = 'x'.repeat(84)

const led = (ack, log = 'logical', partitions = PARTITIONS) => ({
  key: 'id',
  partitioning: { kind: 'fixed', partitions },
  replication: { kind: 'single-leader', n: 3, ack, log, ...(ack === 'in-sync' ? { minInSync: 2 } : {}) },
})

const status = async http => (await fetch(`http://${http}/api/v1/status`)).json()

/** Bytes of log that all nodes have sent. */
async function sent({ members }) {
  const all = await Promise.all(members.map(async ({ http }) => (await status(http)).counters))
  const sum = name => all.reduce((total, counters) => total + counters[name], 0)
  return {
    entries: sum('logEntriesSent'),
    bytes: sum('logBytesSentStatement') + sum('logBytesSentPhysical') + sum('logBytesSentLogical'),
  }
}

export async function benchLeaders(directory, seconds) {
  const cluster = await startCluster(directory, 3)
  const db = await connect(cluster.url, { timeoutMs: 20_000 })
  const open = async (name, spec) => {
    await db.createTable(name, spec)
    const client = db.table(table(name, { key: 'id' }))
    await forEach(256, KEYS, i => client.put({ id: `k${i}`, n: 0, v: text }))
    return client
  }
  const out = { acks: {}, logs: {}, reads: {} }
  // Like the leaderless tables' part, which writes its keys first: code is compiled as it runs.
  const warm = await open('warm', led('majority'))
  await forEach(256, WARM_WRITES, i => warm.put({ id: `k${i % KEYS}`, n: i, v: text }))
  await forEach(256, WARM_WRITES, i => warm.get(`k${i % KEYS}`, { read: 'any' }))
  let turn = 0
  const put = client => () => client.put({ id: `k${turn++ % KEYS}`, n: turn, v: text })
  for (const ack of ['none', 'one', 'majority', 'in-sync', 'all']) {
    const client = await open(`ack-${ack}`, led(ack))
    out.acks[ack] = await measure(CONCURRENCY, seconds, put(client))
  }
  const leaderless = await open('leaderless', {
    key: 'id',
    replication: { n: 3, r: 1, w: 2 },
    conflict: { kind: 'lww' },
  })
  out.leaderless = await measure(CONCURRENCY, seconds, put(leaderless))
  const majority = db.table(table('ack-majority', { key: 'id' }))
  const get = (client, options) => (c, t) => client.get(`k${(c * 7_919 + t * 31) % KEYS}`, options)
  out.reads.leader = await measure(CONCURRENCY, seconds, get(majority))
  out.reads.follower = await measure(CONCURRENCY, seconds, get(majority, { read: 'any' }))
  out.reads.leaderless = await measure(CONCURRENCY, seconds, get(leaderless, { r: 1 }))
  for (const log of ['statement', 'physical', 'logical']) {
    const client = await open(`log-${log}`, led('majority', log))
    const before = await sent(cluster)
    const update = () => client.update(`k${turn++ % KEYS}`, [increment('n'), set('by', 'someone')])
    const found = await measure(CONCURRENCY, seconds, update)
    const after = await sent(cluster)
    out.logs[log] = {
      ...found,
      bytesPerEntry: round((after.bytes - before.bytes) / (after.entries - before.entries), 1),
    }
  }
  await db.close()
  await cluster.stop()
  return out
}

/** A follower that is stopped while so many entries are written: how fast it has them when it is back. */
export async function benchCatchUp(directory, entries) {
  const cluster = await startCluster(directory, 3)
  const db = await connect(cluster.url, { timeoutMs: 60_000 })
  await db.createTable('posts', led('majority'))
  const client = db.table(table('posts', { key: 'id' }))
  await forEach(64, 200, i => client.put({ id: `w${i}`, n: i, v: text }))
  const away = cluster.members[2]
  await endChild(cluster.children[2])
  await forEach(256, entries, i => client.put({ id: `c${i}`, n: i, v: text }))
  const behind = await lagOf(cluster, away.id)
  // It has entries before it says that it is up: time is taken from its launch.
  const beganMs = performance.now()
  const up = cluster.start(2)
  let left = behind
  let [firstMs, leftThen] = [beganMs, behind]
  while (left > 0 && performance.now() - beganMs < 120_000) {
    await pause(20)
    left = await lagOf(cluster, away.id)
    if (left < behind && leftThen === behind) [firstMs, leftThen] = [performance.now(), left]
  }
  const endMs = performance.now()
  await up
  await db.close()
  await cluster.stop()
  return {
    entries: behind,
    left,
    secondsFromLaunch: round((endMs - beganMs) / 1_000),
    // From the first look that saw fewer.
    entriesPerSecond: endMs > firstMs ? Math.round((leftThen - left) / ((endMs - firstMs) / 1_000)) : 0,
  }
}

async function lagOf({ members }, follower) {
  const all = await Promise.all(
    members.filter(({ id }) => id !== follower).map(async ({ http }) => (await status(http)).tables),
  )
  return all
    .flat()
    .flatMap(({ led: found }) => found?.followers ?? [])
    .filter(({ node }) => node === follower)
    .reduce((sum, { entries }) => sum + entries, 0)
}

/** As far apart that a node is back, and nobody is suspected. */
const BETWEEN_KILLS_MS = 6_000
/** Leaders that follow each other fast are waited for longer: each cluster has each of its nodes killed once. */
const KILLS_PER_CLUSTER = 3

/**
 * Kills one node after the other: for each row whose leader it was, from the kill to the first write that began after it and
 * is acknowledged.
 */
export async function benchFailover(directory, kills) {
  const took = []
  for (let done = 0; done < kills; done += KILLS_PER_CLUSTER) {
    const count = Math.min(KILLS_PER_CLUSTER, kills - done)
    took.push(...(await failoversOf(join(directory, String(done)), count)))
  }
  took.sort((a, b) => a - b)
  const at = share => Math.round(took[Math.min(took.length - 1, Math.floor(took.length * share))])
  return { kills, rows: took.length, p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), maxMs: at(1) }
}

async function failoversOf(directory, kills) {
  const cluster = await startCluster(directory, 3)
  const db = await connect(cluster.url, { timeoutMs: 30_000 })
  await db.createTable('posts', led('majority'))
  const client = db.table(table('posts', { key: 'id' }))
  let running = true
  const rows = Array.from({ length: 24 }, (_, at) => ({
    id: `f${at}`,
    leader: '',
    killedMs: undefined,
    took: [],
  }))
  const writers = rows.map(async one => {
    for (let n = 0; running; n++) {
      const beganMs = performance.now()
      const put = await client.put({ id: one.id, n }).catch(() => undefined)
      if (put !== undefined) {
        one.leader = put.receipt.log.leader
        if (one.killedMs !== undefined && beganMs > one.killedMs) {
          one.took.push(performance.now() - one.killedMs)
          one.killedMs = undefined
        }
      }
      await pause(5)
    }
  })
  for (let kill = 0; kill < kills; kill++) {
    await settled(cluster)
    const hit = rows.filter(({ leader }) => leader === cluster.members[kill].id)
    const killedMs = performance.now()
    for (const one of hit) one.killedMs = killedMs
    cluster.children[kill].kill('SIGKILL')
    for (let i = 0; hit.some(one => one.killedMs !== undefined) && i < 6_000; i++) await pause(10)
    const stuck = hit.filter(one => one.killedMs !== undefined)
    if (stuck.length > 0) throw new Error(`no write of ${stuck[0].id} for a minute after kill ${kill + 1}`)
    await cluster.start(kill)
    await pause(Math.max(0, killedMs + BETWEEN_KILLS_MS - performance.now()))
  }
  running = false
  await Promise.all(writers)
  await db.close()
  await cluster.stop()
  return rows.flatMap(one => one.took)
}

/** Until all are there, nobody is suspected, leaders are spread, and nobody is behind: another kill may come. */
async function settled({ members }) {
  for (let i = 0; i < 600; i++) {
    const all = await Promise.all(members.map(({ http }) => status(http).catch(() => undefined)))
    const isWell = all.every(one => one?.state === 'ready' && !one.members.some(({ suspected }) => suspected))
    const tables = all.flatMap(one => one?.tables ?? []).map(({ led: of }) => of)
    const isLed = tables.reduce((sum, of) => sum + of.leads, 0) === PARTITIONS
    const isBehind = tables
      .flatMap(of => of.followers)
      .some(({ silentMs, filling }) => silentMs === null || silentMs > 1_000 || filling > 0)
    if (isWell && isLed && !isBehind) return spread(members)
    await pause(50)
  }
  throw new Error('the cluster did not settle within 30 s')
}

/** As `quorate cluster spread-leaders` does. */
async function spread([{ http }]) {
  const { moves } = await (await fetch(`http://${http}/api/v1/leaders`)).json()
  const { tokenFile } = await status(http)
  const token = readFileSync(tokenFile, 'utf8').trim()
  for (const { table: name, partition, to } of moves)
    await fetch(`http://${http}/api/v1/leaders/${name}/${partition}/${to}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    })
}

export function leaderRatios({ writes, failover, catchUp }, peers) {
  const ratio = (a, b) => (a && b ? round(a.opsPerSecond / b.opsPerSecond) : null)
  return {
    'leader, ack majority @64 / etcd put @64 (aim >= 5)': ratio(writes?.acks.majority, peers.etcd?.put[64]),
    'leader, ack one @64 / PostgreSQL upsert @64 (aim >= 2)': ratio(
      writes?.acks.one,
      peers.postgresql?.put[64],
    ),
    'leader, ack one @64 / Redis WAIT 1 @64': ratio(writes?.acks.one, peers.redis?.put[64]),
    'read of a follower @64 / leaderless get R=1 @64 (aim >= 1)': ratio(
      writes?.reads.follower,
      writes?.reads.leaderless,
    ),
    ...(failover && {
      'failover p50, seconds (aim <= 1.5)': round(failover.p50Ms / 1_000),
      'failover p99, seconds (aim <= 5)': round(failover.p99Ms / 1_000),
    }),
    ...(catchUp && { 'entries per second of a follower that was away': catchUp.entriesPerSecond }),
  }
}

export function leaderLines({ writes, failover, catchUp }) {
  const line = (name, r, more = '') =>
    `${name.padEnd(34)} ${String(r.opsPerSecond).padStart(9)} ops/s   p50 ${r.p50Ms} ms   p99 ${r.p99Ms} ms${more}${r.failed ? `   ${r.failed} failed` : ''}`
  const lines = []
  if (writes) {
    for (const [ack, found] of Object.entries(writes.acks))
      lines.push(line(`leader, put, ack ${ack} @${CONCURRENCY}`, found))
    lines.push(line(`leaderless put W=2 @${CONCURRENCY}`, writes.leaderless))
    for (const [log, found] of Object.entries(writes.logs))
      lines.push(
        line(`leader, update, ${log} log @${CONCURRENCY}`, found, `   ${found.bytesPerEntry} bytes each`),
      )
    for (const [from, found] of Object.entries(writes.reads))
      lines.push(line(`get from ${from} @${CONCURRENCY}`, found))
  }
  if (catchUp)
    lines.push(
      `follower ${catchUp.entries} entries behind: none ${catchUp.secondsFromLaunch} s after its launch, ${catchUp.entriesPerSecond} entries/s`,
    )
  if (failover)
    lines.push(
      `failover, ${failover.rows} rows over ${failover.kills} kills: p50 ${failover.p50Ms} ms   p90 ${failover.p90Ms} ms   p99 ${failover.p99Ms} ms   max ${failover.maxMs} ms`,
    )
  return lines
}
