/**
 * Cuts the power at every point of a script of commits and checkpoints: before and after each disk and
 * table operation, several seeds. After each cut the store must open, hold everything that was
 * acknowledged, hold every batch wholly or not at all and no batch without all before it; and what a
 * derived structure learns (extras at the freeze, replayed writes since) must add up to the rows.
 */

import {
  type ByteString,
  bytesToString,
  crc32c,
  DAMAGED,
  isQuorateError,
  type LogStore,
  randomBelow,
  SeededRandom,
  stringToBytes,
  type TableWrite,
} from '@quorate/core'
import { describe, expect, test } from 'vitest'
import { row, StorageRig } from './storage-rig.ts'

const COMMITS = 36
const TREE = 't' as ByteString
const COUNT = row('~count')

interface Step {
  readonly batch: readonly TableWrite[]
  readonly checkpoint: boolean
  /** Clock steps before the next commit: 0 puts commits into one tick. */
  readonly pause: number
}

function script(seed: number): Step[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: COMMITS }, (_, index) => {
    const batch: TableWrite[] = []
    for (let write = randomBelow(random, 5); write >= 0; write--) {
      const key = row(`key${randomBelow(random, 12)}`)
      const text = `${index}:`.padEnd(3 + randomBelow(random, randomBelow(random, 8) === 0 ? 1500 : 60), '.')
      batch.push({ key, value: randomBelow(random, 4) === 0 ? undefined : stringToBytes(text) })
    }
    // The batch's own number, so that a reader sees how far the store got.
    batch.push({ key: COUNT, value: stringToBytes(String(index + 1)) })
    return { batch, checkpoint: randomBelow(random, 12) === 0, pause: randomBelow(random, 6) }
  })
}

function modelAfter(steps: readonly Step[], count: number): Map<string, string> {
  const model = new Map<string, string>()
  for (const { batch } of steps.slice(0, count)) {
    for (const { key, value } of batch) {
      if (value === undefined) model.delete(key)
      else model.set(key, bytesToString(value))
    }
  }
  return model
}

/** Order-free sum of row digests: what a Merkle leaf is to a sweep. */
const digest = (key: string, value: Uint8Array | undefined): number =>
  value === undefined ? 0 : crc32c(value, 0, value.length, crc32c(stringToBytes(key)))

interface Life {
  rig: StorageRig
  steps: readonly Step[]
  acknowledged: number
  /** Sum of digests of all rows; undefined when a replay could not know it. */
  sum: number | undefined
}

async function openLife(life: Life): Promise<LogStore | undefined> {
  let delta: number | undefined = 0
  let store: LogStore | undefined
  let broken: unknown
  const opening = life.rig.begin({
    checkpointExtras: () => [{ key: TREE, value: stringToBytes(String(life.sum)) }],
    onReplay: (key, before, after) => {
      if (before === DAMAGED) delta = undefined
      else if (delta !== undefined) delta += digest(key, after) - digest(key, before)
    },
  })
  opening.then(
    opened => {
      store = opened
    },
    (error: unknown) => {
      broken = error
    },
  )
  await life.rig.clock.runUntil(() => store !== undefined || broken !== undefined || life.rig.dead)
  if (broken !== undefined) throw broken
  if (store === undefined) return undefined
  const page = store.get(TREE)
  const base = page === undefined ? 0 : Number(bytesToString(page as Uint8Array))
  let actual = 0
  for (const [key, value] of store.scan('r' as ByteString, 's' as ByteString))
    actual += digest(key, value as Uint8Array)
  if (delta !== undefined) expect(base + delta).toBe(actual)
  life.sum = actual
  return store
}

/** How many batches the store holds; fails unless it holds exactly the first so many. */
function held(store: LogStore, steps: readonly Step[]): number {
  const stored = store.get(COUNT)
  const count = stored === undefined ? 0 : Number(bytesToString(stored as Uint8Array))
  const rows = new Map(
    [...store.scan('r' as ByteString, 's' as ByteString)].map(([key, value]) => [
      key,
      bytesToString(value as Uint8Array),
    ]),
  )
  expect(rows).toEqual(new Map([...modelAfter(steps, count)].sort()))
  return count
}

/** Runs the script from where the store stands until its end or the power cut. */
async function run(life: Life): Promise<'done' | 'cut'> {
  const store = await openLife(life)
  if (store === undefined) return 'cut'
  const start = held(store, life.steps)
  expect(start).toBeGreaterThanOrEqual(life.acknowledged)
  life.acknowledged = start
  for (let index = start; index < life.steps.length; index++) {
    const step = life.steps[index]!
    const position = await commitPatiently(life, store, step)
    if (position === undefined) return 'cut'
    life.sum = total(store)
    store.whenDurable(position, () => {
      expect(index + 1).toBe(life.acknowledged + 1)
      life.acknowledged = index + 1
    })
    if (step.checkpoint) void store.checkpoint()
    let left = step.pause
    await life.rig.clock.runUntil(() => life.rig.dead || left-- <= 0)
    if (life.rig.dead) return 'cut'
  }
  await life.rig.clock.runUntil(() => life.rig.dead || life.acknowledged === life.steps.length)
  if (life.rig.dead) return 'cut'
  let closed = false
  void store.close().then(() => {
    closed = true
  })
  await life.rig.clock.runUntil(() => life.rig.dead || closed)
  return life.rig.dead ? 'cut' : 'done'
}

/** Commits, waiting out OVERLOADED, which says that nothing was applied; undefined when the power is cut. */
async function commitPatiently(life: Life, store: LogStore, step: Step): Promise<number | undefined> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    try {
      return store.commit(step.batch)
    } catch (error) {
      if (!isQuorateError(error) || error.code !== 'OVERLOADED') throw error
    }
    let left = 1
    await life.rig.clock.runUntil(() => life.rig.dead || left-- <= 0)
    if (life.rig.dead) return undefined
  }
  throw new Error('overloaded for ever')
}

function total(store: LogStore): number {
  let sum = 0
  for (const [key, value] of store.scan('r' as ByteString, 's' as ByteString))
    sum += digest(key, value as Uint8Array)
  return sum
}

const born = (seed: number): Life => ({
  rig: new StorageRig(seed),
  steps: script(seed),
  acknowledged: 0,
  sum: 0,
})

describe('power cuts', () => {
  const faults = new Map<string, number>()
  const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  for (const seed of SEEDS) {
    test(`at every operation, seed ${seed}`, async () => {
      const whole = born(seed)
      expect(await run(whole)).toBe('done')
      const points = whole.rig.operations
      expect(points).toBeGreaterThan(100)
      for (let cut = 1; cut <= points; cut++) {
        const life = born(seed)
        life.rig.cutAt = cut
        expect(await run(life), `cut ${cut} of ${points}`).toBe('cut')
        // A second cut early in the next life: recovery must survive being cut itself.
        const dice = new SeededRandom(seed * 100_003 + cut)
        life.rig.cutAt = life.rig.operations + 1 + randomBelow(dice, 30)
        try {
          if ((await run(life)) === 'cut') {
            life.rig.cutAt = Number.POSITIVE_INFINITY
            expect(await run(life)).toBe('done')
          }
        } catch (error) {
          throw new Error(`seed ${seed}, cut ${cut} of ${points}`, { cause: error })
        }
        expect(life.acknowledged).toBe(COMMITS)
        for (const [fault, count] of life.rig.faults) faults.set(fault, (faults.get(fault) ?? 0) + count)
      }
    })
  }

  test('the cuts did all that a power cut can do', () => {
    const kinds = [
      'power cut',
      'unsynced bytes lost',
      'unsynced bytes cut',
      'sector zeroed',
      'unsynced file vanished',
      'remove undone',
      'batch survived unanswered',
    ]
    for (const kind of kinds) expect(faults.get(kind) ?? 0, kind).toBeGreaterThan(0)
  })
})
