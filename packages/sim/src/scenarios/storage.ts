/**
 * One store on simulated hardware, cut, torn and flipped: what was reported durable is there after every
 * restart, or the store says that it is damaged (which only flipped bits may cause) and gives back nothing.
 */

import {
  bytesToString,
  DAMAGED,
  describeError,
  isQuorateError,
  type LogStore,
  randomBelow,
  randomChance,
  stringToBytes,
} from '@quorate/core'
import { row, StorageRig } from '../store/storage-rig.ts'

const LIVES = 12
const KEYS = 30

/** What went wrong, or undefined. */
export async function runStorage(seed: number): Promise<string | undefined> {
  const rig = new StorageRig(seed)
  const { random, clock } = rig
  /** Highest number committed, and reported durable, per key. */
  const committed = new Map<string, number>()
  const durable = new Map<string, number>()
  let flipped = false
  let count = 0
  for (let life = 1; life <= LIVES; life++) {
    let store: LogStore
    try {
      store = await rig.open()
    } catch (error) {
      if (flipped && isQuorateError(error) && error.code === 'STORE_DAMAGED') return undefined
      return `life ${life}: the store does not open: ${describeError(error)}`
    }
    for (const [key, number] of durable) {
      const stored = store.get(row(key))
      const found = stored === undefined || stored === DAMAGED ? 0 : Number(bytesToString(stored))
      if (found < number)
        return `life ${life}: ${key} was durable at ${number} and is ${stored === undefined ? 'gone' : found}`
      if (found > (committed.get(key) ?? 0))
        return `life ${life}: ${key} is ${found}, which was never written`
    }
    rig.cutAt = rig.operations + 1 + randomBelow(random, 120)
    for (let i = 0; i < 60 && !rig.dead; i++) {
      const key = `k${randomBelow(random, KEYS)}`
      const number = ++count
      try {
        const position = store.commit([
          { key: row(key), value: stringToBytes(String(number).padEnd(1 + randomBelow(random, 200))) },
        ])
        committed.set(key, number)
        store.whenDurable(position, () => void durable.set(key, number))
      } catch (error) {
        if (!isQuorateError(error) || error.code !== 'OVERLOADED') throw error
      }
      if (randomChance(random, 0.6)) await clock.runUntil(() => rig.dead, 1 + randomBelow(random, 6))
    }
    if (!rig.dead && randomChance(random, 0.5)) await clock.runUntil(() => rig.dead, 400)
    if (!rig.dead) rig.powerCut()
    // Not while the segment may end in a torn record: flips come before the last life only.
    if (life > LIVES / 2 && randomChance(random, 0.3)) {
      const names = rig.disk.names().filter(name => rig.disk.size(name) > 0)
      if (names.length > 0) {
        rig.disk.flipBit()
        flipped = true
      }
    }
  }
  return undefined
}
