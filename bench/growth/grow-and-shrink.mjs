// One cluster with one table, grown and shrunk under load while nodes are killed.
import { setTimeout as pause } from 'node:timers/promises'
import { connect, table } from '@quorate/client'
import { Background } from './background.mjs'
import { Flow } from './flow.mjs'
import { CheckedLoad } from './load.mjs'
import { command, GrowingCluster, until } from './nodes.mjs'

const BEFORE_MS = 8_000
const SET_ARGS = ['--duration', '15s', '--rate', '50', '--concurrency', '4', '--check', '--json']
const PARTITIONS = 64

/** Mulberry32: small, seeded, good enough to choose victims. */
function chance(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function partitioningOf(kind, cities) {
  if (kind === 'fixed') return { kind, partitions: PARTITIONS }
  if (kind === 'modulo') return { kind, buckets: PARTITIONS }
  if (kind !== 'range') return { kind }
  const ids = cities.map(({ id }) => id).sort()
  const at = Array.from(
    { length: PARTITIONS - 1 },
    (_, i) => ids[Math.floor(((i + 1) * ids.length) / PARTITIONS)],
  )
  return { kind, splitPoints: [...new Set(at)] }
}

export async function growAndShrink(options) {
  const { kind, cities, nodes, callers, seed, directory, say } = options
  const began = performance.now()
  const random = chance(seed)
  const cluster = new GrowingCluster(directory)
  let db
  let load
  const set = new SetRuns(cluster)
  try {
    await cluster.start(3)
    db = await connect(cluster.url, { timeoutMs: 30_000 })
    await db.createTable(
      'cities',
      { key: 'id', partitioning: partitioningOf(kind, cities), replication: { n: 3, r: 2, w: 2 } },
      { timeoutMs: 30_000 },
    )
    load = new CheckedLoad(db.table(table('cities', { key: 'id' })), cities, callers, random)
    const filling = performance.now()
    await load.fill(128)
    const importRowsPerSecond = Math.round((cities.length * 1_000) / (performance.now() - filling))
    say(`   imported at ${importRowsPerSecond} rows/s`)
    load.begin()
    set.begin()
    // The first seconds after an import are those of its checkpoints.
    await pause(BEFORE_MS)
    load.enter('steady')
    await pause(BEFORE_MS)
    const context = { ...options, cluster, load, random }
    const newcomers = await cluster.join(nodes)
    const grow = await phase('grow', context, newcomers)
    for (const id of newcomers) await cluster.must(['cluster', 'leave', id])
    const shrink = await phase('shrink', context, ['n1', 'n2', 'n3'])
    for (const id of newcomers) await cluster.forget(id)
    await pause(2_000)
    await set.end()
    await load.end()
    const verify = await verified(cluster)
    await load.readBack(64)
    const before = load.report('steady')
    return {
      partitioner: kind,
      rows: cities.length,
      seed,
      seconds: Math.round((performance.now() - began) / 1_000),
      importRowsPerSecond,
      limitBytesPerSecond: options.limit,
      before,
      phases: [grow, shrink].map(one => ratios(one, load, before)),
      outcomes: load.outcomes,
      errors: Object.fromEntries(load.errors),
      lost: load.lost.length,
      lostExamples: load.lost.filter(text => text !== ''),
      set: set.sum,
      verify,
    }
  } catch (error) {
    for (const { id, errors } of cluster.nodes) if (errors) say(`   ${id}: ${errors}`)
    throw error
  } finally {
    await set.end()
    await load?.end()
    await db?.close()
    await cluster.close()
  }
}

function ratios(one, load, before) {
  const during = load.report(one.name)
  return {
    ...one,
    load: during,
    p99Ratio: Number((during.p99Ms / before.p99Ms).toFixed(2)),
    throughputRatio: Number((during.perSecond / before.perSecond).toFixed(2)),
  }
}

/** Plans, commits, kills who drives or one who receives, waits; what was moved against what was planned. */
async function phase(name, { cluster, load, random, limit, say }, receivers) {
  const { items } = await cluster.json(['cluster', 'plan'])
  const [plan] = items
  if (plan.problems.length > 0) throw new Error(`the plan has problems: ${JSON.stringify(plan.problems)}`)
  load.enter(name)
  const flow = new Flow(cluster)
  await flow.sample()
  flow.begin()
  const began = performance.now()
  await cluster.must(['cluster', 'commit', plan.id, '--detach', '--limit', String(limit)])
  const killed = []
  for (const role of random() < 0.5 ? ['mover', 'receiver'] : ['receiver', 'mover']) {
    if (!(await someMove(cluster, plan.id))) break
    await pause(random() * 2_000)
    const candidates = receivers.filter(id => id !== 'n1')
    const id = role === 'mover' ? 'n1' : candidates[Math.floor(random() * candidates.length)]
    const victim = cluster.nodes.find(node => node.id === id)
    await flow.sampleOne(victim)
    await cluster.kill(victim)
    killed.push(id)
    say(`   ${name}: ${id} (${role}) killed after ${((performance.now() - began) / 1_000).toFixed(1)} s`)
    await pause(1_000 + random() * 3_000)
    cluster.launch(victim)
    await cluster.ready()
  }
  await cluster.must(['task', 'wait', plan.id])
  const seconds = (performance.now() - began) / 1_000
  await flow.end()
  load.enter('between')
  const movedBytes = flow.bytes()
  say(`   ${name}: ${plan.moves} partitions, ${movedBytes} of ${plan.bytes} bytes in ${seconds.toFixed(1)} s`)
  return {
    name,
    plan: plan.id,
    moves: plan.moves,
    seconds: Number(seconds.toFixed(1)),
    killed,
    plannedBytes: plan.bytes,
    plannedSeconds: plan.seconds,
    movedBytes,
    ratio: Number((movedBytes / plan.bytes).toFixed(4)),
    bytesPerSecond: Math.round(movedBytes / seconds),
    meanRateOfLimit: Number(flow.meanRate(limit).toFixed(3)),
    greatestShareOfLimit: Number(flow.greatestShare(limit).toFixed(4)),
  }
}

/** Waits until rows are on their way; false when the task is over before. */
async function someMove(cluster, id) {
  let isOver = false
  await until('partitions move', async () => {
    const [{ http }] = cluster.running()
    const { task, reports } = await (await fetch(`http://${http}/api/v1/task`)).json()
    isOver = task?.id !== id
    return isOver || reports.some(({ stage }) => stage !== 'queued' && stage !== 'prepare')
  })
  return !isOver
}

async function verified(cluster) {
  let code
  for (let round = 0; round < 20; round++) {
    await cluster.command(['repair'])
    code = (await cluster.command(['verify'])).code
    if (code === 0) return 0
    await pause(500)
  }
  return code
}

/** `quorate workload run set --check`, again and again until it is ended. */
class SetRuns extends Background {
  sum = { runs: 0, acknowledged: 0, refused: 0, unknown: 0, checked: 0, missing: 0 }
  #cluster

  constructor(cluster) {
    super()
    this.#cluster = cluster
  }

  async step() {
    const args = ['workload', 'run', 'set', '--table', 'cities', '--connect', this.#cluster.url, ...SET_ARGS]
    const { code, stdout, stderr } = await command(args)
    try {
      const [item] = JSON.parse(stdout).items
      this.sum.runs++
      for (const name of ['acknowledged', 'refused', 'unknown', 'checked', 'missing'])
        this.sum[name] += item[name]
    } catch (cause) {
      throw new Error(`workload run set ended with ${code}: ${stdout}${stderr}`, { cause })
    }
  }
}
