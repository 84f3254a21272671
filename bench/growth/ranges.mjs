// A range table fed with increasing timestamps splits and is named hot; the same readings keyed by sensor,
// then time, split as well and are not.
import { setTimeout as pause } from 'node:timers/promises'
import { connect, table } from '@quorate/client'
import { GrowingCluster, until } from './nodes.mjs'

const SENSORS = 64
const ROUNDS = 150
const SPLIT_BYTES = 128 * 1024
const text = 'x'.repeat(100)
/** Load is remembered for about a minute: the pace is what a feed of sensors would have. */
const ROUND_MS = 100

export async function feedRanges(directory) {
  const cluster = new GrowingCluster(directory)
  let db
  try {
    await cluster.start(3)
    db = await connect(cluster.url, { timeoutMs: 30_000 })
    const partitioning = { kind: 'range', splitBytes: SPLIT_BYTES }
    await db.createTable('by-time', { key: 'at', partitioning })
    await db.createTable('by-sensor', { key: { partition: 'sensor', sort: 'at' }, partitioning })
    const byTime = db.table(table('by-time', { key: 'at' }))
    const bySensor = db.table(table('by-sensor', { key: ['sensor', 'at'] }))
    for (let round = 0; round < ROUNDS; round++) {
      const readings = Array.from({ length: SENSORS }, (_, at) => ({
        sensor: `s${String(at).padStart(3, '0')}`,
        at: 1_700_000_000_000 + round * SENSORS + at,
        text,
      }))
      // Time has one order; sensors do not wait for each other.
      await Promise.all([
        (async () => {
          for (const { at } of readings) await byTime.put({ at, text })
        })(),
        ...readings.map(reading => bySensor.put(reading)),
        pause(ROUND_MS),
      ])
    }
    const partitions = async name => (await cluster.json(['ring', name])).items.length
    await until(
      'both tables are split',
      async () => (await partitions('by-time')) > 2 && (await partitions('by-sensor')) > 2,
    )
    const seen = async name => {
      const { items } = await cluster.json(['hot', name])
      return {
        table: name,
        rows: ROUNDS * SENSORS,
        partitions: await partitions(name),
        hot: items[0]?.pattern,
      }
    }
    return [await seen('by-time'), await seen('by-sensor')]
  } finally {
    await db?.close()
    await cluster.close()
  }
}

export function rangePromises([byTime, bySensor]) {
  const promise = (text, isKept, figure) => ({ partitioner: 'range', promise: text, isKept, figure })
  const figure = ({ partitions, hot }) => `${partitions} partitions, ${hot}`
  return [
    promise(
      'fed with timestamps it splits and is reported as hot',
      byTime.partitions > 2 && byTime.hot === 'ever-growing key',
      figure(byTime),
    ),
    promise(
      'keyed by sensor, then time, it splits and is not',
      bySensor.partitions > 2 && bySensor.hot === 'spread',
      figure(bySensor),
    ),
  ]
}
