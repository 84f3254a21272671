/** What the store makes of a log or a table that is not what it wrote. */

import { type ByteString, DAMAGED, isQuorateError, type LogStore, stringToBytes } from '@quorate/core'
import { describe, expect, test } from 'vitest'
import { bytes, contents, row, StorageRig } from './storage-rig.ts'

const unlimited = { limits: {} }

async function commitOne(rig: StorageRig, store: LogStore, name: string, value: string): Promise<void> {
  let done = false
  store.whenDurable(store.commit([{ key: row(name), value: bytes(value) }]), () => {
    done = true
  })
  expect(await rig.clock.runUntil(() => done)).toBe(true)
}

/** A store with five records in its log, then a process killed. */
async function fiveRecords(seed = 1): Promise<{ rig: StorageRig; log: string; ends: number[] }> {
  const rig = new StorageRig(seed)
  const store = await rig.open(unlimited)
  const log = rig.disk.names().at(-1)!
  const ends = [rig.disk.size(log)]
  for (let i = 0; i < 5; i++) {
    await commitOne(rig, store, `key${i}`, `value ${i} `.padEnd(1200, 'x'))
    ends.push(rig.disk.size(log))
  }
  rig.processKill()
  return { rig, log, ends }
}

async function refusal(rig: StorageRig): Promise<string> {
  try {
    await rig.open(unlimited)
  } catch (error) {
    if (isQuorateError(error)) return `${error.code} ${error.message}`
    throw error
  }
  return 'opened'
}

describe('a torn tail is dropped', () => {
  test('whatever the length at which the last record is cut', async () => {
    const { rig, log, ends } = await fiveRecords()
    const whole = rig.disk.peek(log)
    for (let size = ends[4]!; size < whole.length; size += 61) {
      rig.disk.poke(log, whole.slice(0, size))
      const names = rig.disk.names()
      const store = await rig.open(unlimited)
      expect(contents(store)).toHaveLength(4)
      expect(store.status().message ?? 'never acknowledged').toContain('never acknowledged')
      rig.processKill()
      for (const name of rig.disk.names()) if (!names.includes(name)) rig.disk.poke(name, undefined)
    }
  })

  test('whichever of its sectors is zero', async () => {
    const { rig, log, ends } = await fiveRecords()
    const whole = rig.disk.peek(log)
    const names = rig.disk.names()
    const from = ends[4]!
    for (let sector = Math.floor(from / 512); sector * 512 < whole.length; sector++) {
      const torn = whole.slice()
      torn.fill(0, Math.max(from, sector * 512), Math.min(whole.length, (sector + 1) * 512))
      rig.disk.poke(log, torn)
      const store = await rig.open(unlimited)
      expect(contents(store)).toHaveLength(4)
      rig.processKill()
      for (const name of rig.disk.names()) if (!names.includes(name)) rig.disk.poke(name, undefined)
    }
  })

  test('and the store goes on, and opens again later', async () => {
    const { rig, log, ends } = await fiveRecords()
    rig.disk.poke(log, rig.disk.peek(log).slice(0, ends[5]! - 3))
    const store = await rig.open(unlimited)
    await commitOne(rig, store, 'after', 'torn')
    rig.processKill()
    const again = await rig.open(unlimited)
    expect(contents(again).map(([key]) => key)).toEqual(['rafter', 'rkey0', 'rkey1', 'rkey2', 'rkey3'])
  })
})

describe('damage is never cut away', () => {
  test('a flipped bit anywhere in the log is named with file and offset', async () => {
    const { rig, log, ends } = await fiveRecords()
    const whole = rig.disk.peek(log)
    for (let offset = 0; offset < whole.length; offset += 37) {
      rig.disk.poke(log, whole)
      rig.disk.flipBit(log, offset)
      const answer = await refusal(rig)
      expect(answer, `offset ${offset} of ${ends}`).toContain('STORE_DAMAGED')
      expect(answer).toContain(`${log} is damaged at offset`)
      expect(answer).toContain('rebuild from its replicas')
    }
  })

  test('not even when the last record holds sectors of zeros by nature', async () => {
    const rig = new StorageRig(3)
    const store = await rig.open(unlimited)
    const log = rig.disk.names().at(-1)!
    let done = false
    store.whenDurable(store.commit([{ key: row('zeros'), value: new Uint8Array(5000) }]), () => {
      done = true
    })
    await rig.clock.runUntil(() => done)
    const whole = rig.disk.peek(log)
    rig.processKill()
    for (const offset of [100, 200, 2000, whole.length - 1]) {
      rig.disk.poke(log, whole)
      rig.disk.flipBit(log, offset)
      expect(await refusal(rig)).toContain('STORE_DAMAGED')
    }
  })

  test('a record zeroed in the middle of the log', async () => {
    const { rig, log, ends } = await fiveRecords()
    const content = rig.disk.peek(log)
    content.fill(0, ends[2]!, ends[3]!)
    rig.disk.poke(log, content)
    expect(await refusal(rig)).toContain('followed by a valid one')
  })

  test('a record copied over another of the same length', async () => {
    const { rig, log, ends } = await fiveRecords()
    const content = rig.disk.peek(log)
    content.copyWithin(ends[4]!, ends[3]!, ends[4]!)
    rig.disk.poke(log, content)
    expect(await refusal(rig)).toContain('STORE_DAMAGED')
  })

  test('a missing segment, first or middle, or the whole log', async () => {
    for (const victim of [0, 1, 'all'] as const) {
      const rig = new StorageRig(4)
      for (let life = 0; life < 3; life++) {
        await commitOne(rig, await rig.open(unlimited), `life${life}`, 'x')
        rig.processKill()
      }
      const names = rig.disk.names()
      expect(names).toHaveLength(3)
      for (const name of victim === 'all' ? names : [names[victim]!]) rig.disk.poke(name, undefined)
      const answer = await refusal(rig)
      expect(answer).toContain('STORE_DAMAGED')
      expect(answer).toContain('is missing')
    }
  })

  test('a closed segment shorter than its successor says', async () => {
    const rig = new StorageRig(5)
    for (let life = 0; life < 2; life++) {
      const store = await rig.open(unlimited)
      await commitOne(rig, store, `one${life}`, 'x')
      await commitOne(rig, store, `two${life}`, 'x')
      rig.processKill()
    }
    const first = rig.disk.names()[0]!
    rig.disk.poke(first, rig.disk.peek(first).slice(0, 70))
    expect(await refusal(rig)).toContain(`${first} is damaged`)
  })

  test('an unreadable header', async () => {
    const { rig, log } = await fiveRecords()
    const content = rig.disk.peek(log)
    content.set(stringToBytes('nonsense'), 8)
    rig.disk.poke(log, content)
    expect(await refusal(rig)).toContain('header')
  })
})

describe('a foreign directory is refused', () => {
  test('the log of another store', async () => {
    const one = await fiveRecords(1)
    const other = await fiveRecords(2)
    one.rig.disk.poke(one.log, other.rig.disk.peek(other.log))
    expect(await refusal(one.rig)).toContain('another store')
  })

  test('a log beside an empty table', async () => {
    const other = await fiveRecords(2)
    const rig = new StorageRig(7)
    rig.disk.poke(other.log, other.rig.disk.peek(other.log))
    expect(await refusal(rig)).toContain('another store')
  })
})

describe('a bad value in the table', () => {
  async function checkpointed(): Promise<{ rig: StorageRig; store: LogStore }> {
    const rig = new StorageRig(8)
    const store = await rig.open(unlimited)
    store.commit([
      { key: row('a'), value: bytes('one') },
      { key: row('b'), value: bytes('two') },
      { key: 'aballot' as ByteString, value: bytes('promise') },
    ])
    await rig.clock.drive(store.checkpoint())
    return { rig, store }
  }

  test('is DAMAGED where replicas can heal it, counted, found by the scrub, gone when written again', async () => {
    const { rig, store } = await checkpointed()
    rig.table.flipBit(row('b'))
    expect(store.get(row('a'))).toEqual(bytes('one'))
    expect(store.get(row('b'))).toBe(DAMAGED)
    expect(contents(store)).toEqual([
      ['aballot', 'promise'],
      ['ra', 'one'],
      ['rb', '?'],
    ])
    expect(store.status().damagedReads).toBe(2)
    expect(store.scrubStep('' as ByteString, 2)).toEqual({ checked: 2, damaged: [], next: row('b') })
    expect(store.scrubStep(row('b'), 2)).toMatchObject({ checked: 2, damaged: [row('b')], next: undefined })
    store.commit([{ key: row('b'), value: bytes('healed') }])
    expect(store.get(row('b'))).toEqual(bytes('healed'))
    expect(rig.fatal).toEqual([])
  })

  test('ends the store where nobody can', async () => {
    const { rig, store } = await checkpointed()
    rig.table.flipBit('aballot' as ByteString)
    expect(() => store.get('aballot' as ByteString)).toThrow(/damaged/)
    expect(rig.fatal.map(error => error.code)).toEqual(['STORE_DAMAGED'])
    expect(store.status().state).toBe('failed')
    expect(() => store.commit([])).toThrow(/damaged/)
  })

  test('in the record of the store itself: it does not open', async () => {
    const { rig } = await checkpointed()
    rig.processKill()
    rig.table.flipBit('s' as ByteString)
    expect(await refusal(rig)).toContain('the record of the store itself')
  })
})

test('the scrub of the log finds a flipped bit in a closed segment, and a checkpoint makes it harmless', async () => {
  const rig = new StorageRig(9)
  await commitOne(rig, await rig.open(unlimited), 'a', 'one')
  await commitOne(rig, await rig.open(unlimited), 'b', 'two')
  const store = await rig.open(unlimited)
  expect(await rig.clock.drive(store.scrubLog())).toEqual([])
  const { name } = rig.disk.flipBit(rig.disk.names()[0]!, 50)
  expect(await rig.clock.drive(store.scrubLog())).toMatchObject([{ file: name }])
  await rig.clock.drive(store.checkpoint())
  expect(await rig.clock.drive(store.scrubLog())).toEqual([])
  rig.processKill()
  expect(contents(await rig.open(unlimited))).toHaveLength(2)
})
