/**
 * The log of a partition on simulated hardware: power cut anywhere, it opens as one of the states it went through,
 * not older than what was said to be durable, and with the rows that belong to it.
 */

import {
  type ByteString,
  DAMAGED,
  emptyLog,
  type LogPoint,
  type LogShape,
  type LogStore,
  PartitionLog,
  randomBelow,
  SeededRandom,
  stringToBytes,
  type TableId,
  utf8,
} from '@quorate/core'
import { describe, expect, test } from 'vitest'
import { row, StorageRig } from './storage-rig.ts'

const TABLE = 7 as TableId
const LAST = row('~last')

/** All that a log is, and the row that every entry writes its text to. */
interface State {
  readonly shape: LogShape
  readonly first: number
  readonly fence: number
  readonly entries: readonly string[]
  readonly last: string
}

const fresh: State = { shape: emptyLog, first: 1, fence: 0, entries: [], last: '' }

function stateOf(store: LogStore, log: PartitionLog): State {
  const stored = store.get(LAST)
  return {
    shape: log.shape,
    first: log.first,
    fence: log.fence,
    entries: log.first > log.shape.last ? [] : log.read(log.first, 1e9).map(({ body }) => utf8.decode(body)),
    last: stored === undefined || stored === DAMAGED ? '' : utf8.decode(stored),
  }
}

type Act = (log: PartitionLog, write: (text: string) => { key: ByteString; value: Uint8Array }) => number

/** One thing that a replica does to its log. */
function randomAct(random: SeededRandom, step: number): Act {
  const body = (i: number): Uint8Array => stringToBytes(`${step}.${i}`.padEnd(randomBelow(random, 40), '.'))
  const epochsUp = randomBelow(random, 5) === 0 ? 1 + randomBelow(random, 2) : 0
  switch (randomBelow(random, 8)) {
    case 0:
      return log => log.raiseFence(log.fence + epochsUp)
    case 1: {
      const back = randomBelow(random, 6)
      return (log, write) => {
        const to = Math.max(log.first - 1, log.shape.last - back)
        return log.cut(to, ({ position }) => [write(`cut ${position}`)])
      }
    }
    case 2: {
      const share = randomBelow(random, 3)
      return log => log.trim(Math.max(log.first - 1, log.shape.last - share))
    }
    default: {
      const bodies = Array.from({ length: 1 + randomBelow(random, 3) }, (_, i) => body(i))
      return (log, write) => {
        const epoch = Math.max(1, log.fence) + epochsUp
        const entries = bodies.map(one => ({ epoch, body: one }))
        return log.append(epoch, log.end, entries, [write(`wrote ${step}`)])
      }
    }
  }
}

async function life(seed: number, cutAt: number): Promise<number> {
  const rig = new StorageRig(seed)
  rig.cutAt = cutAt
  const random = new SeededRandom(seed)
  const states: State[] = [fresh]
  let durable = 0
  const opened = rig.begin()
  let store: LogStore | undefined
  void opened.then(found => {
    store = found
  })
  await rig.clock.runUntil(() => store !== undefined || rig.dead, 2_000)
  if (store !== undefined) {
    const log = new PartitionLog(store, TABLE, 3)
    for (let step = 0; step < 60 && !rig.dead; step++) {
      const position = randomAct(random, step)(log, text => ({ key: LAST, value: stringToBytes(text) }))
      states.push(stateOf(store, log))
      const index = states.length - 1
      store.whenDurable(position, () => {
        durable = Math.max(durable, index)
      })
      if (randomBelow(random, 3) > 0) await rig.clock.runUntil(() => rig.dead, 1 + randomBelow(random, 5))
    }
  }
  if (!rig.dead) rig.powerCut()
  const operations = rig.operations
  rig.cutAt = Number.POSITIVE_INFINITY
  const again = await rig.open()
  const found = stateOf(again, new PartitionLog(again, TABLE, 3))
  const match = states.findIndex(
    (state, at) => at >= durable && JSON.stringify(state) === JSON.stringify(found),
  )
  expect(
    match,
    `seed ${seed} cut at ${cutAt}: ${JSON.stringify(found)} is none of the states from ${durable} on`,
  ).not.toBe(-1)
  return operations
}

describe('the log of a partition', () => {
  test.each([1, 2, 3])('is whole after a power cut at any moment (seed %i)', async seed => {
    const operations = await life(seed, Number.POSITIVE_INFINITY)
    expect(operations).toBeGreaterThan(30)
    for (let cutAt = 1; cutAt <= operations; cutAt++) await life(seed, cutAt)
  })

  test('takes entries only behind what they stand behind, and none of an older epoch', async () => {
    const rig = new StorageRig(5)
    const store = await rig.open()
    const log = new PartitionLog(store, TABLE, 1)
    const start: LogPoint = { epoch: 0, position: 0 }
    const body = stringToBytes('x')
    log.append(2, start, [
      { epoch: 1, body },
      { epoch: 2, body },
    ])
    expect(log.end).toEqual({ epoch: 2, position: 2 })
    expect(() => log.append(2, start, [{ epoch: 2, body }])).toThrow(/ends at 2\/2, not at 0\/0/)
    expect(() => log.append(1, log.end, [{ epoch: 1, body }])).toThrow(/writes no more here/)
    log.raiseFence(4)
    expect(() => log.append(3, log.end, [{ epoch: 3, body }])).toThrow(/4 was promised to/)
    log.raiseFence(3)
    expect(log.fence).toBe(4)
    expect(new PartitionLog(store, TABLE, 1).fence).toBe(4)
    expect(new PartitionLog(store, TABLE, 2).shape).toEqual(emptyLog)
  })

  test('is cut entry by entry, last first, and trimmed at the start; its history stays', async () => {
    const rig = new StorageRig(6)
    const store = await rig.open({ limits: {} })
    const log = new PartitionLog(store, TABLE, 1)
    for (let i = 1; i <= 1_200; i++)
      log.append(1 + Math.floor(i / 500), log.end, [
        { epoch: 1 + Math.floor(i / 500), body: stringToBytes(`${i}`) },
      ])
    const undone: number[] = []
    log.cut(20, ({ position }) => {
      undone.push(position)
      return []
    })
    expect(undone).toEqual(Array.from({ length: 1_180 }, (_, i) => 1_200 - i))
    expect(log.shape).toEqual({ epochs: [{ epoch: 1, from: 1 }], last: 20 })
    log.trim(20)
    expect(log.first).toBe(21)
    const again = new PartitionLog(store, TABLE, 1)
    expect(again.end).toEqual({ epoch: 1, position: 20 })
    expect(() => again.cut(19, () => [])).toThrow(/trimmed/)
    expect(() => again.read(20, 10)).toThrow(/that are here/)
    again.startBehind(
      {
        epochs: [
          { epoch: 1, from: 1 },
          { epoch: 9, from: 50 },
        ],
        last: 99,
      },
      9,
    )
    expect(new PartitionLog(store, TABLE, 1)).toMatchObject({
      first: 100,
      fence: 9,
      end: { epoch: 9, position: 99 },
    })
  })
})
