// npm run growth -- [--rows N] [--nodes 7] [--partitioner ring|fixed|range|modulo|all] [--limit 1048576] [--seed 1] [--json]
// Three nodes with all the cities grow to seven and shrink back to three, under a load that is checked, with
// nodes killed while partitions move; and the promises of the throttle, the plan and the checker are held
// against what happened. Exit code 10 when one was broken.
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadCities } from '../packages/cli/dist/demo/cities.js'
import { growAndShrink } from './growth/grow-and-shrink.mjs'
import { feedRanges, rangePromises } from './growth/ranges.mjs'
import { promisesOf, tableOf } from './growth/report.mjs'
import { endAll } from './processes.mjs'

const KINDS = ['ring', 'fixed', 'range', 'modulo']
const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    rows: { type: 'string' },
    nodes: { type: 'string', default: '7' },
    partitioner: { type: 'string', default: 'all' },
    limit: { type: 'string', default: String(1024 * 1024) },
    callers: { type: 'string', default: '8' },
    seed: { type: 'string', default: String(1 + Math.floor(Math.random() * 1e6)) },
  },
})
const kinds = values.partitioner === 'all' ? KINDS : values.partitioner.split(',')
const unknown = kinds.find(kind => !KINDS.includes(kind))
if (unknown !== undefined) {
  process.stderr.write(`--partitioner is one of ${KINDS.join(', ')} or all, not "${unknown}"\n`)
  process.exit(2)
}
const say = text => process.stderr.write(`${text}\n`)
const cities = loadCities(values.rows === undefined ? undefined : Number(values.rows))
const directory = mkdtempSync(join(tmpdir(), 'quorate-growth-'))
say(`${cities.length} rows, 3 → ${values.nodes} → 3 nodes, ${cpus().length} processors, seed ${values.seed}`)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => {
    endAll()
      .then(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
      .finally(() => process.exit(130))
  })
const runs = []
let fed
try {
  for (const [index, kind] of kinds.entries()) {
    say(`── ${kind}`)
    runs.push(
      await growAndShrink({
        kind,
        cities,
        nodes: Number(values.nodes),
        limit: Number(values.limit),
        callers: Number(values.callers),
        seed: Number(values.seed) + index,
        directory: join(directory, kind),
        say,
      }),
    )
  }
  if (kinds.includes('range')) {
    say('── a range table fed by time')
    fed = await feedRanges(join(directory, 'fed'))
  }
} finally {
  await endAll()
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
}
const promises = [...runs.flatMap(promisesOf), ...(fed === undefined ? [] : rangePromises(fed))]
const broken = promises.filter(({ isKept }) => !isKept)
if (values.json) console.log(JSON.stringify({ seed: Number(values.seed), runs, fed, promises }))
else console.log(tableOf(runs))
for (const { partitioner, promise, figure, isKept } of promises)
  say(`${isKept ? '✔' : '✘'} ${partitioner}: ${promise} (${figure})`)
process.exit(broken.length === 0 ? 0 : 10)
