/**
 * A process of twenty clients that append to rows and read them, until its standard input ends. It tells how many
 * appends were acknowledged so far in lines, and at the end, as the last line, everything that was done and what the
 * rows are then. A process of its own, so that it can live in another network namespace than the test.
 */

import { append, connect, increment, table } from '@quorate/client'

const [connectString, clients, lists] = process.argv.slice(2)
const CLIENTS = Number(clients)
const LISTS = Number(lists)
const client = await connect(connectString, { timeoutMs: 30_000 })
const db = client.table(table('lists', { key: 'id' }))
const history = { appends: [], reads: [] }
let acknowledged = 0
let running = true
process.stdin.on('data', () => undefined)
process.stdin.on('end', () => {
  running = false
})
const progress = setInterval(() => console.log(JSON.stringify({ acknowledged })), 100)

async function appendOnce(name, row, tag) {
  const beganMs = performance.now()
  try {
    const { receipt } = await db.update(row, [append('tags', tag), increment('n')], { timeoutMs: 4_000 })
    acknowledged++
    history.appends.push({
      row,
      client: name,
      tag,
      beganMs,
      endedMs: performance.now(),
      outcome: 'ok',
      receipt,
    })
  } catch (error) {
    const outcome = error.outcome === 'not-applied' ? 'not-applied' : 'unknown'
    history.appends.push({ row, client: name, tag, beganMs, endedMs: performance.now(), outcome })
  }
}

async function readOnce(name, row) {
  const beganMs = performance.now()
  try {
    const { value, receipt } = await db.get(row, { timeoutMs: 4_000 })
    const found = value?.tags ?? []
    const endedMs = performance.now()
    history.reads.push({ row, client: name, beganMs, endedMs, found, receipt, byLeader: true })
  } catch {
    // Nothing was told, and nothing is claimed.
  }
}

await Promise.all(
  Array.from({ length: CLIENTS }, async (_, at) => {
    for (let i = 0; running; i++) {
      const row = `l${(at + i) % LISTS}`
      await appendOnce(`c${at}`, row, `${at}-${i}`)
      if (i % 8 === 7) await readOnce(`c${at}`, row)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }),
)
clearInterval(progress)
const final = []
for (let i = 0; i < LISTS; i++) {
  const { value } = await db.get(`l${i}`, { timeoutMs: 30_000 })
  final.push([`l${i}`, value?.tags ?? []])
}
await client.close()
process.stdout.write(`${JSON.stringify({ history, final })}\n`)
