/** The store's face on healthy and on failing hardware. */

import {
  type ByteString,
  DAMAGED,
  durable,
  isQuorateError,
  LogStore,
  randomBelow,
  SeededRandom,
  type Stored,
  stringToBytes,
} from '@quorate/core'
import { describe, expect, test } from 'vitest'
import { bytes, contents, row, StorageRig, smallLimits } from './storage-rig.ts'

const put = (name: string, value: string) => ({ key: row(name), value: bytes(value) })

function code(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (isQuorateError(error)) return `${error.code} ${error.outcome}`
    throw error
  }
  return 'no error'
}

describe('commit', () => {
  test('is seen at once and durable later, one sync for a whole tick', async () => {
    const rig = new StorageRig(1)
    const store = await rig.open({ limits: {} })
    const before = store.status().syncs
    const order: number[] = []
    for (let i = 1; i <= 20; i++) {
      const position = store.commit([put(`k${i}`, `v${i}`)])
      expect(position).toBe(i)
      store.whenDurable(position, () => order.push(position))
    }
    expect(store.get(row('k7'))).toEqual(bytes('v7'))
    expect([store.handed, store.durable]).toEqual([20, 0])
    expect(store.positionOf(row('k7'))).toBe(7)
    expect(store.positionOf(row('absent'))).toBe(0)
    expect(order).toEqual([])
    await rig.settle()
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect([store.handed, store.durable, store.positionOf(row('k7'))]).toEqual([20, 20, 0])
    expect(store.status().syncs).toBe(before + 1)
    let ran = false
    store.whenDurable(20, () => {
      ran = true
    })
    expect(ran).toBe(true)
  })

  test('while a sync runs the next group forms, and groups end in order', async () => {
    const rig = new StorageRig(2)
    const store = await rig.open()
    const order: string[] = []
    store.whenDurable(store.commit([put('a', '1')]), () => {
      order.push('first')
      store.whenDurable(store.commit([put('c', '3')]), () => order.push('third'))
    })
    rig.clock.runDue()
    store.whenDurable(store.commit([put('b', '2')]), () => order.push('second'))
    await rig.settle()
    expect(order).toEqual(['first', 'second', 'third'])
  })

  test('an empty batch is a batch, and removing what is absent is nothing', async () => {
    const rig = new StorageRig(3)
    const store = await rig.open()
    await rig.clock.drive(durable(store, store.commit([])))
    await rig.clock.drive(durable(store, store.commit([{ key: row('x'), value: undefined }])))
    expect(contents(store)).toEqual([])
    await rig.clock.drive(store.checkpoint())
    expect(contents(store)).toEqual([])
  })

  test('a key that is no byte string, empty or the store’s own stops the caller', async () => {
    const rig = new StorageRig(4)
    const store = await rig.open()
    for (const key of ['', 'rü€', 's', 'r'.repeat(3000)]) {
      expect(() => store.commit([{ key: key as ByteString, value: bytes('x') }])).toThrow()
    }
    expect(contents(store)).toEqual([])
  })
})

describe('checkpoint', () => {
  test('moves rows to the table, drops the log, and close keeps everything', async () => {
    const rig = new StorageRig(5)
    const store = await rig.open({ limits: {} })
    for (let i = 0; i < 50; i++) store.commit([put(`k${i}`, `v${i}`)])
    store.commit([{ key: row('k7'), value: undefined }])
    await rig.clock.drive(store.checkpoint())
    const { memtableEntries, segments, checkpoints } = store.status()
    expect({ memtableEntries, segments, checkpoints }).toEqual({
      memtableEntries: 0,
      segments: 1,
      checkpoints: 1,
    })
    expect(rig.table.size).toBe(50)
    const before = contents(store)
    expect(before).toHaveLength(49)
    await rig.clock.drive(store.close())
    expect(contents(await rig.open())).toEqual(before)
  })

  test('runs by itself when the memtable is full, and commits go on meanwhile', async () => {
    const rig = new StorageRig(6)
    const store = await rig.open()
    for (let i = 0; i < 400; i++) {
      const position = store.commit([put(`k${i % 40}`, `value ${i}`)])
      if (i % 5 === 0) await rig.clock.drive(durable(store, position))
    }
    await rig.clock.drive(durable(store, store.handed))
    expect(store.status().checkpoints).toBeGreaterThan(2)
    expect(contents(store)).toHaveLength(40)
  })

  test('a table that cannot keep up makes commits OVERLOADED, not the heap large', async () => {
    const rig = new StorageRig(7)
    const store = await rig.open()
    rig.table.slowness = 1e6
    let refused = ''
    for (let i = 0; i < 500 && refused === ''; i++) {
      const answer = code(() => store.commit([put(`k${i}`, 'x'.repeat(40))]))
      if (answer !== 'no error') refused = answer
      let steps = 8
      await rig.clock.runUntil(() => steps-- <= 0 || store.durable === store.handed)
    }
    expect(refused).toBe('OVERLOADED not-applied')
    await rig.clock.drive(durable(store, store.handed))
    await rig.settle()
    expect(code(() => store.commit([put('later', 'x')]))).toBe('no error')
  })

  test('extras go with the position: they are never newer or older than the rows of the table', async () => {
    const rig = new StorageRig(8)
    let sum = 0
    const store = await rig.open({
      checkpointExtras: () => [{ key: 't' as ByteString, value: bytes(String(sum)) }],
    })
    for (let i = 1; i <= 100; i++) {
      sum = i
      store.commit([put('n', String(i))])
    }
    await rig.clock.drive(store.checkpoint())
    expect(store.get('t' as ByteString)).toEqual(bytes('100'))
  })
})

describe('replay', () => {
  test('tells each write with the value before it, in order', async () => {
    const rig = new StorageRig(9)
    const store = await rig.open({ limits: {} })
    store.commit([put('a', '1')])
    await rig.clock.drive(store.checkpoint())
    store.commit([put('a', '2'), put('b', '1')])
    store.commit([{ key: row('a'), value: undefined }])
    await rig.clock.drive(durable(store, store.handed))
    rig.processKill()
    const text = (value: Stored): string | undefined =>
      value === DAMAGED ? '?' : value === undefined ? undefined : String.fromCharCode(...value)
    const seen: unknown[] = []
    await rig.open({
      limits: {},
      onReplay: (key, before, after) => seen.push([key, text(before), text(after)]),
    })
    expect(seen).toEqual([
      ['ra', '1', '2'],
      ['rb', undefined, '1'],
      ['ra', '2', undefined],
    ])
  })

  test('a checkpoint cut between its batches: rows are whole, “before” is not claimed to be known', async () => {
    const rig = new StorageRig(10)
    const store = await rig.open({ limits: { checkpointBatchBytes: 10 } })
    for (let i = 0; i < 10; i++) store.commit([put(`k${i}`, `value ${i}`)])
    void store.checkpoint()
    await rig.clock.runUntil(() => rig.table.size > 3)
    expect(rig.table.size).toBeLessThan(10)
    rig.powerCut()
    const befores: Stored[] = []
    const again = await rig.open({ limits: {}, onReplay: (_, before) => befores.push(before) })
    expect(contents(again)).toHaveLength(10)
    expect(befores).toEqual(new Array(10).fill(DAMAGED))
  })

  test('many short runs leave no trail of segments', async () => {
    const rig = new StorageRig(11)
    for (let run = 0; run < 30; run++) {
      const store = await rig.open({ limits: {} })
      if (run % 3 === 0) await rig.clock.drive(durable(store, store.commit([put(`k${run}`, 'x')])))
      await rig.clock.drive(store.close())
    }
    expect(rig.disk.names().length).toBeLessThan(15)
    expect(contents(await rig.open())).toHaveLength(10)
  })

  test('the incarnation stays', async () => {
    const rig = new StorageRig(12)
    const { incarnation } = await rig.open()
    rig.processKill()
    expect((await rig.open()).incarnation).toBe(incarnation)
    expect((await new StorageRig(13).open()).incarnation).not.toBe(incarnation)
  })
})

describe('a failed append or sync', () => {
  for (const kind of ['sync', 'append'] as const) {
    test(`(${kind}) is final: one fatal, no acknowledgement ever after, commits refused`, async () => {
      const rig = new StorageRig(14)
      const store = await rig.open()
      await rig.clock.drive(durable(store, store.commit([put('a', '1')])))
      if (kind === 'sync') rig.disk.failNextSync()
      else rig.disk.failNextAppend()
      let acknowledged = 0
      const ack = (): void => {
        acknowledged++
      }
      store.whenDurable(store.commit([put('b', '2')]), ack)
      rig.clock.runDue()
      store.whenDurable(store.commit([put('c', '3')]), ack)
      await rig.settle()
      store.whenDurable(1, ack)
      expect(acknowledged).toBe(0)
      expect(rig.fatal.map(error => error.code)).toEqual(['STORE_FAILED'])
      expect(rig.fatal[0]?.message).toContain('Nothing after position 1 was acknowledged')
      expect(store.status().state).toBe('failed')
      expect(code(() => store.commit([put('d', '4')]))).toBe('STORE_FAILED not-applied')
      await expect(store.checkpoint()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    })
  }

  test('what the cache shows after a failed sync is written again before anyone may rest on it', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const rig = new StorageRig(100 + seed)
      const store = await rig.open()
      rig.disk.failNextSync()
      store.commit([put('b', 'only in the cache')])
      await rig.settle()
      rig.processKill()
      const again = await rig.open()
      expect(contents(again)).toHaveLength(1)
      rig.powerCut()
      expect(contents(await rig.open())).toHaveLength(1)
    }
  })

  test('processes that died one after the other at their first write, and then the power, leave no gap', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const rig = new StorageRig(300 + seed)
      const store = await rig.open()
      await rig.clock.drive(durable(store, store.commit([put('a', '1')])))
      rig.processKill()
      for (let deaths = 0; deaths < 1 + (seed % 4); deaths++) {
        rig.disk.failNextSync()
        await expect(rig.open()).rejects.toMatchObject({ code: 'STORE_FAILED' })
        rig.processKill()
      }
      expect(contents(await rig.open())).toEqual([['ra', '1']])
      rig.powerCut()
      expect(contents(await rig.open())).toEqual([['ra', '1']])
    }
  })

  test('a table write that fails ends the store', async () => {
    const rig = new StorageRig(15)
    const store = await rig.open()
    store.commit([put('a', '1')])
    rig.table.failNextWrite()
    void store.checkpoint()
    await rig.settle()
    expect(rig.fatal.map(error => error.code)).toEqual(['STORE_FAILED'])
  })
})

describe('a full disk', () => {
  test('refuses new commits, keeps what was in flight, and goes on when there is room', async () => {
    for (let room = 0; room < 400; room += 23) {
      const rig = new StorageRig(16)
      const store = await rig.open({ limits: {} })
      await rig.clock.drive(durable(store, store.commit([put('a', '1')])))
      const order: number[] = []
      rig.disk.setCapacity(rig.disk.usedBytes + room)
      for (let i = 0; i < 4; i++) {
        const position = store.commit([put(`k${i}`, 'x'.repeat(120))])
        store.whenDurable(position, () => order.push(position))
      }
      await rig.clock.runUntil(() => store.status().state === 'full')
      expect(store.status().state).toBe('full')
      expect(code(() => store.commit([put('z', 'z')]))).toBe('STORE_FULL not-applied')
      expect(store.get(row('z'))).toBeUndefined()
      rig.clock.advance(5_000)
      await rig.clock.runUntil(() => false, 200)
      expect([store.status().state, order]).toEqual(['full', []])
      rig.disk.setCapacity(Number.POSITIVE_INFINITY)
      await rig.clock.drive(durable(store, store.handed))
      expect(order).toEqual([2, 3, 4, 5])
      expect(store.status().state).toBe('open')
      await rig.clock.drive(durable(store, store.commit([put('z', 'z')])))
      rig.powerCut()
      expect(contents(await rig.open({ limits: {} }))).toHaveLength(6)
      expect(rig.fatal).toEqual([])
    }
  })

  test('the power may go while it is full', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const rig = new StorageRig(200 + seed)
      const store = await rig.open({ limits: {} })
      await rig.clock.drive(durable(store, store.commit([put('a', '1')])))
      rig.disk.setCapacity(rig.disk.usedBytes + 10 * seed)
      store.commit([put('b', 'x'.repeat(300))])
      await rig.clock.runUntil(() => store.status().state === 'full')
      rig.clock.advance(randomBelow(rig.random, 3_000))
      await rig.clock.runUntil(() => false, 5)
      rig.powerCut()
      rig.disk.setCapacity(Number.POSITIVE_INFINITY)
      const again = await rig.open({ limits: {} })
      expect(contents(again).map(([key]) => key)).toContain('ra')
      await rig.clock.drive(durable(again, again.commit([put('c', '3')])))
    }
  })

  test('a store that finds the disk full when it opens serves reads and goes on later', async () => {
    const rig = new StorageRig(17)
    const first = await rig.open({ limits: {} })
    await rig.clock.drive(durable(first, first.commit([put('a', '1')])))
    rig.processKill()
    rig.disk.setCapacity(rig.disk.usedBytes + 20)
    const store = await rig.open({ limits: {} })
    expect(store.status().state).toBe('full')
    expect(contents(store)).toEqual([['ra', '1']])
    expect(code(() => store.commit([]))).toBe('STORE_FULL not-applied')
    rig.disk.setCapacity(Number.POSITIVE_INFINITY)
    await rig.clock.runUntil(() => store.status().state === 'open')
    await rig.clock.drive(durable(store, store.commit([put('b', '2')])))
    rig.powerCut()
    expect(contents(await rig.open())).toHaveLength(2)
  })

  test('a disk that fails while the store opens is named as what it is', async () => {
    const rig = new StorageRig(17)
    const first = await rig.open({ limits: {} })
    await rig.clock.drive(durable(first, first.commit([put('a', '1')])))
    rig.processKill()
    rig.disk.setCapacity(rig.disk.usedBytes + 20)
    rig.disk.failNextSync()
    await expect(rig.open({ limits: {} })).rejects.toMatchObject({ code: 'STORE_FAILED' })
    rig.processKill()
    rig.disk.setCapacity(Number.POSITIVE_INFINITY)
    expect(contents(await rig.open())).toEqual([['ra', '1']])
  })

  test('a full table stops commits until the checkpoint gets through', async () => {
    const rig = new StorageRig(18)
    const store = await rig.open()
    rig.table.full = true
    store.commit([put('a', '1')])
    const done = store.checkpoint()
    await rig.clock.runUntil(() => store.status().state === 'full')
    expect(code(() => store.commit([]))).toBe('STORE_FULL not-applied')
    rig.table.full = false
    await rig.clock.drive(done)
    expect(store.status().state).toBe('open')
    expect(contents(store)).toEqual([['ra', '1']])
  })

  test('no room for a new store: a clear refusal', async () => {
    const rig = new StorageRig(19)
    rig.disk.setCapacity(10)
    await expect(rig.clock.drive(rig.begin())).rejects.toMatchObject({ code: 'STORE_FULL' })
    rig.disk.setCapacity(1e6)
    expect(contents(await rig.open())).toEqual([])
  })
})

test('get and scan agree with a plain map, over memtable, frozen memtable and table', async () => {
  let drained = 0
  for (let seed = 1; seed <= 12; seed++) {
    const rig = new StorageRig(seed)
    const store = await rig.open({
      limits: { ...smallLimits, memtableBytesMax: 4_000, segmentBytesMax: 8_000 },
    })
    const random = new SeededRandom(seed * 7)
    const name = (): ByteString => row(`${randomBelow(random, 60)}`.padStart(2, '0'))
    const oracle = new Map<ByteString, Uint8Array>()
    rig.table.slowness = 20
    for (let step = 0; step < 300; step++) {
      const key = name()
      const value = randomBelow(random, 3) === 0 ? undefined : stringToBytes(`${step}`)
      if (code(() => store.commit([{ key, value }])) === 'no error') {
        if (value === undefined) oracle.delete(key)
        else oracle.set(key, value)
      }
      if (randomBelow(random, 40) === 0 && store.status().state === 'open') void store.checkpoint()
      let steps = randomBelow(random, 6)
      await rig.clock.runUntil(() => steps-- <= 0)
      const [from, to] = [name(), randomBelow(random, 4) === 0 ? undefined : name()]
      const reverse = randomBelow(random, 2) === 0
      const limit = randomBelow(random, 3) === 0 ? randomBelow(random, 10) : undefined
      const expected = [...oracle]
        .filter(([each]) => each >= from && (to === undefined || each < to))
        .sort(([a], [b]) => (a < b === !reverse ? -1 : 1))
        .slice(0, limit)
      const options = limit === undefined ? { reverse } : { reverse, limit }
      expect([...store.scan(from, to, options)]).toEqual(expected)
      const probe = name()
      expect(store.get(probe)).toEqual(oracle.get(probe))
    }
    drained += store.status().checkpoints
  }
  expect(drained).toBeGreaterThan(20)
})

test('a scan under which something is committed says so', async () => {
  const rig = new StorageRig(20)
  const store = await rig.open()
  store.commit([put('a', '1'), put('b', '2')])
  expect(() => {
    for (const [key] of store.scan(row(''), undefined)) store.commit([{ key, value: undefined }])
  }).toThrow(/finished before the next commit/)
})

test('a closed store refuses commits, and LogStore never resolves a wait it cannot keep', async () => {
  const rig = new StorageRig(21)
  const store = await rig.open()
  await rig.clock.drive(store.close({ checkpoint: true }))
  expect(store).toBeInstanceOf(LogStore)
  expect(store.status().state).toBe('closed')
  expect(code(() => store.commit([]))).toBe('STORE_FAILED not-applied')
})
