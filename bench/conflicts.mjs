// Conflicts and agreement: merges of two cells per rule, one more element in a set of many, a document of many edits beside
// Yjs alone, and rows that are agreed on beside rows that are not.
import { connect, counter, crdt, orSet, table } from '@quorate/client'
import {
  conflictRule,
  decodeCell,
  decodeDocument,
  encodeCell,
  encodeDocument,
  updatesTogether,
} from '@quorate/core'
import { applyUpdate, Doc } from 'yjs'
import { fieldRule } from '../packages/core/dist/crdt/field-rule.js'
import { encodeFieldStep } from '../packages/core/dist/crdt/steps.js'
import { measure, round } from './measure.mjs'
import { forEach, startCluster } from './quorate.mjs'

const EDITS = 10_000
const CONCURRENCY = 64
const KEYS = 2_000
const actors = ['actor-A0', 'actor-B0']
const text = 'x'.repeat(84)

const operation = n => String(n).padStart(16, '0')

/** What two replicas have of a row after `writes` each, of which they have told each other half. */
function twoCells(rule, writes, stepOf) {
  const cells = [
    { context: [], values: [], superseded: [] },
    { context: [], values: [], superseded: [] },
  ]
  let stamp = 1
  for (let n = 0; n < writes; n++)
    for (const [at, cell] of cells.entries()) {
      const write = { operation: operation(2 * n + at), value: stepOf(n), seen: undefined }
      cells[at] = rule.write(cell, write, { actor: actors[at], stamp: ++stamp }, 0).cell
      if (n === Math.floor(writes / 2) && at === 1) cells[0] = rule.merge(cells[0], cells[1]).cell
    }
  return cells.map(encodeCell)
}

/** Decoded, merged and encoded, as a replica does it; one processor. */
function merges(rule, writes, stepOf, seconds) {
  const [a, b] = twoCells(rule, writes, stepOf)
  const once = () => encodeCell(rule.merge(decodeCell(a), decodeCell(b)).cell)
  for (let i = 0; i < 2_000; i++) once()
  let done = 0
  const began = performance.now()
  while (performance.now() - began < seconds * 1_000) {
    for (let i = 0; i < 100; i++) once()
    done += 100
  }
  const bytes = once().length
  return { opsPerSecond: Math.round((done * 1_000) / (performance.now() - began)), bytes }
}

export function benchMerges(seconds) {
  const row = n => encodeDocument({ id: 'k', n, v: text })
  const step = given => () => encodeFieldStep(given)
  return {
    lww: merges(conflictRule('lww'), 1, row, seconds),
    'siblings, 2 values': merges(conflictRule('siblings'), 1, row, seconds),
    'siblings, 20 values': merges(conflictRule('siblings'), 10, row, seconds),
    'crdt, element of a set': merges(fieldRule, 1, step({ op: 'put' }), seconds),
    'crdt, counter of 16 additions': merges(fieldRule, 8, step({ op: 'increment', by: 1 }), seconds),
    'crdt, counter of 200 additions': merges(fieldRule, 100, step({ op: 'increment', by: 1 }), seconds),
  }
}

/** A document of many edits: what a replica has, read and given to Yjs, beside Yjs merging the same edits. */
export function benchDocument() {
  const updates = []
  const doc = new Doc()
  doc.on('update', update => updates.push(update))
  for (let i = 0; i < EDITS; i++) doc.getText('t').insert(Math.floor((i * 7919) % (i + 1)), 'abc')
  let cell = { context: [], values: [], superseded: [] }
  const values = updates.map((update, n) => ({
    actor: actors[0],
    stamp: n + 1,
    operation: operation(n),
    value: encodeDocument(['edit', update]),
  }))
  cell = { ...cell, context: [{ actor: actors[0], intervals: [1, EDITS] }], values }
  const bytes = encodeCell(cell)
  const best = run => Math.min(...Array.from({ length: 5 }, () => timed(run)))
  const ours = best(() => {
    const shown = fieldRule.read(decodeCell(bytes)).map(value => decodeDocument(value))
    applyUpdate(new Doc(), updatesTogether(shown))
  })
  // The fastest way that Yjs has: merging ten thousand updates at once would take seconds.
  const yjs = best(() => {
    const alone = new Doc()
    alone.transact(() => {
      for (const update of updates) applyUpdate(alone, update)
    })
  })
  const together = encodeCell(fieldRule.gathering.putTogether(decodeCell(bytes), EDITS + 1, EDITS + 1))
  const settled = best(() => {
    const [shown] = fieldRule.read(decodeCell(together)).map(value => decodeDocument(value))
    applyUpdate(new Doc(), shown)
  })
  return {
    edits: EDITS,
    ms: round(ours),
    settledMs: round(settled),
    yjsMs: round(yjs),
    cellBytes: bytes.length,
    bytesPutTogether: together.length,
  }
}

function timed(run) {
  const began = performance.now()
  run()
  return performance.now() - began
}

/** One more element in a small set and in a large one, and one more addition to a counter. */
export async function benchSets(directory, elements) {
  const cluster = await startCluster(directory, 3)
  const handle = table('sets', { key: 'id', fields: { items: orSet(), sum: counter() } })
  const db = await connect(cluster.url, { timeoutMs: 30_000 })
  await db.createTable('sets', { key: 'id', replication: { n: 3, r: 2, w: 2 }, conflict: crdt(handle) })
  const sets = db.table(handle)
  const fill = (id, count) => forEach(64, count, i => sets.apply(id, row => row.items.add(`e${i}`)))
  await fill('small', 1_000)
  await fill('large', elements)
  let turn = 0
  const add = id => measure(1, 3, () => sets.apply(id, row => row.items.add(`new-${turn++}`)))
  const out = { elements, small: await add('small'), large: await add('large') }
  out.counter = await measure(1, 3, () => sets.apply('c', row => row.sum.increment()))
  const began = performance.now()
  out.read = (await sets.get('large', { timeoutMs: 60_000 })).value.items.size
  out.readMs = Math.round(performance.now() - began)
  await db.close()
  await cluster.stop()
  return out
}

/** Rows that are agreed on, beside W=2 of 3. */
export async function benchAgreed(directory, seconds) {
  const cluster = await startCluster(directory, 3)
  const db = await connect(cluster.url, { timeoutMs: 30_000 })
  const out = {}
  for (const [name, spec] of [
    ['consensus', { replication: { kind: 'consensus', n: 3 } }],
    ['leaderless', { replication: { n: 3, r: 2, w: 2 }, conflict: { kind: 'lww' } }],
  ]) {
    await db.createTable(name, { key: 'id', ...spec })
    const rows = db.table(table(name, { key: 'id' }))
    await forEach(CONCURRENCY, KEYS, i => rows.put({ id: `k${i}`, n: 0, v: text }))
    let turn = 0
    out[name] = {
      put: await measure(CONCURRENCY, seconds, () => rows.put({ id: `k${turn++ % KEYS}`, n: turn, v: text })),
      get: await measure(CONCURRENCY, seconds, () => rows.get(`k${turn++ % KEYS}`)),
    }
  }
  await db.close()
  await cluster.stop()
  return out
}

export function conflictRatios({ sets, document, agreed }) {
  return {
    ...(sets && {
      'one more element: set of many / small set, p50 (aim <= 1.2)': round(
        sets.large.p50Ms / sets.small.p50Ms,
      ),
    }),
    ...(document && {
      'document of 10,000 edits, not settled yet / Yjs alone (aim <= 1.3)': round(
        document.ms / document.yjsMs,
      ),
      'document of 10,000 edits, settled / Yjs alone (aim <= 1.3)': round(
        document.settledMs / document.yjsMs,
      ),
    }),
    ...(agreed && {
      'agreed put @64 / leaderless put @64': round(
        agreed.consensus.put.opsPerSecond / agreed.leaderless.put.opsPerSecond,
      ),
    }),
  }
}

export function conflictLines({ merges: of, sets, document, agreed }) {
  const line = (name, r) =>
    `${name.padEnd(34)} ${String(r.opsPerSecond).padStart(9)} ops/s   p50 ${r.p50Ms} ms   p99 ${r.p99Ms} ms`
  const lines = Object.entries(of ?? {}).map(
    ([name, { opsPerSecond, bytes }]) =>
      `${`merge, ${name}`.padEnd(34)} ${String(opsPerSecond).padStart(9)} ops/s   ${bytes} bytes merged`,
  )
  if (sets) {
    lines.push(
      line('set of 1,000, one more @1', sets.small),
      line(`set of ${sets.elements}, one more @1`, sets.large),
    )
    lines.push(
      line('counter, one more @1', sets.counter),
      `set of ${sets.read} read whole in ${sets.readMs} ms`,
    )
  }
  if (document)
    lines.push(
      `document of ${document.edits} edits: ${document.ms} ms, settled ${document.settledMs} ms, Yjs alone ${document.yjsMs} ms; ${document.cellBytes} bytes apart, ${document.bytesPutTogether} put together`,
    )
  for (const [name, { put, get }] of Object.entries(agreed ?? {}))
    lines.push(line(`${name} put @${CONCURRENCY}`, put), line(`${name} get @${CONCURRENCY}`, get))
  return lines
}
