// npm run bench -- [--json] [--seconds 3] [--rows 1000000] [--moved 200000] [--behind 100000] [--kills 50] [--only movement] [--only quorate,postgresql]
// Quorate beside the machine's own limits and beside its peers, in one run. Nothing here passes or fails:
// it reports, and the ratios at the end are what to quote.
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  benchAgreed,
  benchDocument,
  benchMerges,
  benchSets,
  conflictLines,
  conflictRatios,
} from './conflicts.mjs'
import { benchCatchUp, benchFailover, benchLeaders, leaderLines, leaderRatios } from './leaders.mjs'
import { appendLimit, echoLimit, storeLimit } from './limits.mjs'
import { round } from './measure.mjs'
import { benchMovement } from './movement.mjs'
import { movementLines, movementRatios } from './movement-report.mjs'
import { benchEtcd, benchRedis } from './peers.mjs'
import { benchPlanning } from './planning.mjs'
import { benchPostgresql } from './postgresql.mjs'
import { endAll } from './processes.mjs'
import { benchMemory, benchQuorate } from './quorate.mjs'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    seconds: { type: 'string', default: '3' },
    rows: { type: 'string', default: '1000000' },
    moved: { type: 'string', default: '200000' },
    only: { type: 'string' },
    keys: { type: 'string', default: '50000' },
    behind: { type: 'string', default: '100000' },
    kills: { type: 'string', default: '50' },
    elements: { type: 'string', default: '100000' },
  },
})
const seconds = Number(values.seconds)
const concurrencies = [1, 64, 256]
const directory = mkdtempSync(join(tmpdir(), 'quorate-bench-'))
const say = text => process.stderr.write(`${text}\n`)

const only = values.only?.toLowerCase().split(',')

async function step(name, run) {
  if (only !== undefined && !only.some(begin => name.toLowerCase().startsWith(begin))) return null
  say(`${name} …`)
  try {
    return await run()
  } catch (error) {
    say(`  ${name}: ${error.message}`)
    return null
  }
}

const result = {
  machine: {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    memoryGiB: round(totalmem() / 2 ** 30, 1),
    node: process.version,
  },
  seconds,
  valueBytes: 100,
}
try {
  result.echo = await step('bare echo between two processes', () => echoLimit(concurrencies, seconds))
  result.appendSync = await step('bare append + sync', () => appendLimit(directory, seconds))
  result.storeCommit = await step('bare store commit', () => storeLimit(directory, concurrencies, seconds))
  result.quorate = await step('Quorate, three nodes', () =>
    benchQuorate(join(directory, 'quorate'), concurrencies, seconds, Number(values.keys)),
  )
  result.redis = await step('Redis, appendfsync always, WAIT 1', () =>
    benchRedis(directory, concurrencies, seconds),
  )
  result.etcd = await step('etcd, three nodes', () => benchEtcd(directory, concurrencies, seconds))
  result.postgresql = await step('PostgreSQL, one synchronous standby', () =>
    benchPostgresql(join(directory, 'postgresql'), concurrencies, seconds),
  )
  result.leaders = {
    writes: await step('leaders: writes and reads', () => benchLeaders(join(directory, 'leaders'), seconds)),
    catchUp: await step(`leaders: a follower ${values.behind} entries behind`, () =>
      benchCatchUp(join(directory, 'catch-up'), Number(values.behind)),
    ),
    failover: await step(`leaders: ${values.kills} kills`, () =>
      benchFailover(join(directory, 'failover'), Number(values.kills)),
    ),
  }
  result.conflicts = {
    merges: await step('conflicts: merges', () => benchMerges(seconds / 3)),
    document: await step('conflicts: a document', () => benchDocument()),
    sets: await step(`conflicts: sets of ${values.elements}`, () =>
      benchSets(join(directory, 'sets'), Number(values.elements)),
    ),
    agreed: await step('conflicts: agreed rows', () => benchAgreed(join(directory, 'agreed'), seconds)),
  }
  result.millionRows =
    Number(values.rows) > 0
      ? await step(`${values.rows} rows on one node`, () =>
          benchMemory(join(directory, 'memory'), Number(values.rows)),
        )
      : null
  result.movement = {
    planning: await step('movement: plans and maps', () => benchPlanning()),
    moving: await step(`movement: ${values.moved} rows between nodes`, () =>
      benchMovement(join(directory, 'movement'), Number(values.moved)),
    ),
  }
} finally {
  await endAll()
  rmSync(directory, { recursive: true, force: true })
}

const ratio = (a, b) => (a && b ? round(a.opsPerSecond / b.opsPerSecond) : null)
result.ratios = {
  'put W=2 @256 / etcd put @256 (aim >= 10)': ratio(result.quorate?.put[256], result.etcd?.put[256]),
  'put W=2 @256 / Redis WAIT 1 @256 (aim >= 2)': ratio(result.quorate?.put[256], result.redis?.put[256]),
  'put W=2 @64 / PostgreSQL upsert @64': ratio(result.quorate?.put[64], result.postgresql?.put[64]),
  'get R=1 @256 / bare echo @256 (aim >= 0.5)': ratio(result.quorate?.getOne[256], result.echo?.[256]),
  'put W=2 @256 / bare store commit @256': ratio(result.quorate?.put[256], result.storeCommit?.[256]),
  ...leaderRatios(result.leaders, result),
  ...conflictRatios(result.conflicts),
  ...movementRatios(result.movement, result.storeCommit),
}

if (values.json) console.log(JSON.stringify(result))
else {
  const line = (name, r) =>
    r &&
    console.log(
      `${name.padEnd(34)} ${String(r.opsPerSecond).padStart(9)} ops/s   p50 ${r.p50Ms} ms   p99 ${r.p99Ms} ms${r.failed ? `   ${r.failed} failed` : ''}`,
    )
  for (const c of concurrencies) line(`bare echo @${c}`, result.echo?.[c])
  line('bare append + sync @1', result.appendSync)
  for (const c of concurrencies) line(`bare store commit @${c}`, result.storeCommit?.[c])
  for (const c of concurrencies)
    for (const [key, name] of [
      ['put', 'put W=2'],
      ['getOne', 'get R=1'],
      ['getTwo', 'get R=2'],
    ])
      line(`Quorate ${name} @${c}`, result.quorate?.[key][c])
  for (const peer of ['redis', 'etcd', 'postgresql'])
    for (const c of concurrencies)
      for (const key of ['put', 'get']) line(`${peer} ${key} @${c}`, result[peer]?.[key][c])
  if (result.quorate)
    console.log(
      `memory of a node: ${JSON.stringify(result.quorate?.memory)}   rows: ${JSON.stringify(result.millionRows)}`,
    )
  for (const text of leaderLines(result.leaders)) console.log(text)
  for (const text of conflictLines(result.conflicts)) console.log(text)
  for (const text of movementLines(result.movement)) console.log(text)
  for (const [name, value] of Object.entries(result.ratios).filter(([, found]) => found !== null))
    console.log(`${name}: ${value}`)
}
process.exit(0)
