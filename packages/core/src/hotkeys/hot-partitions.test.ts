import { describe, expect, it } from 'vitest'
import { randomBelow, SeededRandom } from '../base/prng.ts'
import { HotPartitions } from './hot-partitions.ts'
import { describePartition, mergeReports } from './hot-report.ts'

const key = (n: number) => `key-${String(n).padStart(9, '0')}`

describe('busy partitions', () => {
  it('rates of reads and writes come out apart, young and old alike', () => {
    for (const seconds of [5, 30, 300]) {
      const hot = new HotPartitions()
      for (let ms = 0; ms < seconds * 1000; ms += 10) {
        hot.noteRead(1, 7, key(ms % 50), ms)
        if (ms % 100 === 0) hot.noteWrite(1, 7, key(ms % 30), ms)
      }
      const [report, ...others] = hot.report(seconds * 1000)
      expect(others).toEqual([])
      expect(report).toMatchObject({ table: 1, partition: 7 })
      expect(report!.readsPerSecond / 100).toBeCloseTo(1, 1)
      expect(report!.writesPerSecond / 10).toBeCloseTo(1, 1)
    }
  })

  it('the busiest comes first; who is idle is forgotten', () => {
    const hot = new HotPartitions({ halfLifeMs: 1_000 })
    for (let n = 0; n < 100; n++) hot.noteRead(1, n % 4 === 0 ? 1 : 2, key(n), n)
    expect(hot.report(100).map(({ partition }) => partition)).toEqual([2, 1])
    expect(hot.report(100_000)).toEqual([])
    expect(hot.counters).toMatchObject({ partitions: 0, bytes: 0, partitionsDropped: 0 })
  })

  it('a single hot key is named, with bounds that hold', () => {
    const hot = new HotPartitions()
    const random = new SeededRandom(1)
    const truth = new Map<string, number>()
    for (let n = 0; n < 20_000; n++) {
      const asked = n % 10 < 7 ? key(0) : key(1 + randomBelow(random, 5_000))
      truth.set(asked, (truth.get(asked) ?? 0) + 1)
      // All at one time, so that nothing decays and the truth is a plain count.
      if (n % 2 === 0) hot.noteRead(2, 3, asked, 1_000)
      else hot.noteWrite(2, 3, asked, 1_000)
    }
    const [report] = hot.report(1_000)
    expect(report!.pattern).toBe('single key')
    expect(report!.keys[0]!.key).toBe(key(0))
    expect(report!.keys[0]!.error).toBeLessThan(0.05)
    for (const { key: named, share, error } of report!.keys) {
      const real = truth.get(named)! / 20_000
      expect(share).toBeGreaterThanOrEqual(real - 1e-9)
      expect(share - error).toBeLessThanOrEqual(real + 1e-9)
    }
    expect(describePartition(report!, named => named)).toMatch(
      /^2\/3: \d+ reads\/s, \d+ writes\/s, single key "key-000000000" \(7\d %\)$/,
    )
  })

  describe('the pattern', () => {
    const patternOf = (keyOf: (n: number) => number): string => {
      const hot = new HotPartitions()
      for (let n = 0; n < 6_000; n++) hot.noteWrite(1, 1, key(keyOf(n)), n * 5)
      return hot.report(30_000)[0]!.pattern
    }
    const random = new SeededRandom(2)

    it('keys that only grow, also from writers out of step, or beside updates of known rows', () => {
      expect(patternOf(n => n)).toBe('ever-growing key')
      expect(patternOf(n => n + randomBelow(random, 200))).toBe('ever-growing key')
      expect(patternOf(n => (n % 3 === 0 ? randomBelow(random, 10) : 1_000 + n))).toBe('ever-growing key')
    })

    it('keys in no order, keys that fall, and keys that come again are spread', () => {
      expect(patternOf(() => randomBelow(random, 1_000_000))).toBe('spread')
      expect(patternOf(n => 10_000 - n)).toBe('spread')
      expect(patternOf(n => n % 20)).toBe('spread')
      expect(patternOf(n => n % 500)).toBe('spread')
    })

    it('one key is one key, however the others grow', () => {
      expect(patternOf(n => (n % 4 === 0 ? n : 0))).toBe('single key')
    })
  })

  describe('a partition that is cut', () => {
    const fed = (keyOf: (n: number) => number) => {
      const hot = new HotPartitions()
      for (let n = 0; n < 600; n++) hot.noteWrite(1, 1, key(keyOf(n)), n * 50)
      hot.cut(1, 1, 2)
      return hot.report(30_000)
    }

    it('gives what is known of growing keys to its upper part, where they go on', () => {
      expect(fed(n => n)).toMatchObject([{ partition: 2, pattern: 'ever-growing key' }])
    })

    it('keeps what is known of other keys', () => {
      expect(fed(n => n % 20)).toMatchObject([{ partition: 1 }])
    })

    it('is known for what it is however often it is cut', () => {
      const hot = new HotPartitions()
      let last = 1
      for (let n = 0; n < 3_000; n++) {
        hot.noteWrite(1, last, key(n), n * 20)
        if (n % 150 === 149) hot.cut(1, last, ++last)
      }
      expect(hot.report(60_000)[0]).toMatchObject({ partition: last, pattern: 'ever-growing key' })
    })
  })

  it('a report leaves out other tables, and partitions with fewer requests than asked for', () => {
    const hot = new HotPartitions()
    for (let n = 0; n < 1_000; n++) {
      hot.noteRead(1, 1, key(n), n * 10)
      if (n % 100 === 0) hot.noteRead(1, 2, key(n), n * 10)
      hot.noteRead(2, 1, key(n), n * 10)
    }
    const named = (options: Parameters<HotPartitions['report']>[1]) =>
      hot.report(10_000, options).map(({ table, partition }) => `${table}/${partition}`)
    expect(named({ table: 1 })).toEqual(['1/1', '1/2'])
    expect(named({ leastPerSecond: 10 })).toEqual(['1/1', '2/1'])
    expect(named({ partitionsShown: 1 })).toEqual(['1/1'])
  })

  it('memory is bounded: partitions by count, sketches by bytes; the busy stay', () => {
    const hot = new HotPartitions({ partitionsMax: 100, bytesMax: 200_000 })
    for (let n = 0; n < 200_000; n++) {
      const ms = n / 10
      if (n % 4 === 0) hot.noteWrite(1, 5, key(n), ms)
      else hot.noteRead(1, 10 + (n % 20_000), `${key(n)}${'x'.repeat(500)}`, ms)
      const { partitions, bytes } = hot.counters
      if (partitions > 100 || bytes > 200_000) throw new Error(`${partitions} partitions, ${bytes} bytes`)
    }
    const [first] = hot.report(20_000)
    expect(first).toMatchObject({ partition: 5, pattern: 'ever-growing key' })
    expect(first!.writesPerSecond).toBeGreaterThan(2_000)
    expect(hot.counters.partitionsDropped).toBeGreaterThan(0)
    const long = new HotPartitions({ bytesMax: 50_000 })
    for (let n = 0; n < 20_000; n++) long.noteRead(1, n % 20, `${n}${'x'.repeat(200)}`, 1)
    expect(long.counters.sketchesDropped).toBeGreaterThan(0)
    expect(long.counters.bytes).toBeLessThanOrEqual(50_000)
    // Without a sketch the rates are still known.
    expect(long.report(1)).toHaveLength(20)
  })

  it('the reports of nodes become one, as if one node had seen everything', () => {
    const nodes = [0, 1, 2].map(() => new HotPartitions())
    const all = new HotPartitions()
    const random = new SeededRandom(3)
    for (let n = 0; n < 30_000; n++) {
      const asked = n % 10 < 6 ? key(0) : key(randomBelow(random, 3_000))
      const node = nodes[randomBelow(random, 3)]!
      const partition = n % 3 === 0 ? 1 : 2
      for (const hot of [node, all]) {
        if (n % 2 === 0) hot.noteRead(1, partition, asked, n)
        else hot.noteWrite(1, partition, asked, n)
      }
    }
    const merged = mergeReports(nodes.map(node => node.report(30_000)))
    const seen = all.report(30_000)
    expect(merged.map(({ partition, pattern }) => [partition, pattern])).toEqual([
      [2, 'single key'],
      [1, 'single key'],
    ])
    for (const [i, report] of merged.entries()) {
      expect(report.readsPerSecond / seen[i]!.readsPerSecond).toBeCloseTo(1, 1)
      expect(report.writesPerSecond / seen[i]!.writesPerSecond).toBeCloseTo(1, 1)
      const [ours, theirs] = [report.keys[0]!, seen[i]!.keys[0]!]
      expect(ours.key).toBe(key(0))
      expect(ours.share).toBeGreaterThanOrEqual(theirs.share - theirs.error)
      expect(ours.share - ours.error).toBeLessThanOrEqual(theirs.share)
    }
    expect(mergeReports([])).toEqual([])
  })
})
