import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ByteString, nodeId } from '../base/ids.ts'
import {
  checkSplitPoints,
  growthPattern,
  mergeDecision,
  type RangeStats,
  rangeIndex,
  splitDecision,
  splitPointsFromSample,
} from './range-splits.ts'

const key = (text: string): ByteString => text as ByteString
const limits = { splitBytes: 1000, splitOperationsPerSecond: 100, samplesMin: 10 }
const stats = (more: Partial<RangeStats>): RangeStats => ({
  bytes: 10,
  rows: 5,
  operationsPerSecond: 1,
  firstKey: key('a'),
  lastKey: key('z'),
  medianKey: key('m'),
  sampledKeys: [],
  ...more,
})
const samples = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts).map(([text, count]) => ({ key: key(text), count }))

describe('a split', () => {
  it('is not made without need', () => {
    expect(splitDecision(stats({ bytes: 1000, operationsPerSecond: 100 }), limits)).toEqual({ kind: 'none' })
  })

  it('by size is at the median row, never with an empty side', () => {
    expect(splitDecision(stats({ bytes: 1001 }), limits)).toEqual({
      kind: 'split',
      at: 'm',
      why: '1001 bytes are more than 1000: halved at the median row',
    })
    for (const more of [{ rows: 1 }, { medianKey: key('a') }, { medianKey: key('') }])
      expect(splitDecision(stats({ bytes: 1001, ...more }), limits).kind).toBe('refused')
  })

  it('by load is at the median of the accesses, not of the rows', () => {
    const sampledKeys = samples({ b: 10, c: 10, d: 10, y: 2 })
    expect(splitDecision(stats({ operationsPerSecond: 200, sampledKeys }), limits)).toMatchObject({
      kind: 'split',
      at: 'd',
    })
  })

  it('of one hot key is refused, with its share', () => {
    const sampledKeys = samples({ b: 10, c: 80, d: 10 })
    expect(splitDecision(stats({ operationsPerSecond: 200, sampledKeys }), limits)).toEqual({
      kind: 'refused',
      why: '200 operations a second are more than 100, but one key is 80 % of the load: wherever the range is split, one side keeps it',
    })
  })

  it('on too few samples is refused', () => {
    const sampledKeys = samples({ b: 4, c: 4 })
    expect(splitDecision(stats({ operationsPerSecond: 200, sampledKeys }), limits).kind).toBe('refused')
  })

  it('by load gives both sides at least a quarter of the accesses, and the boundary to the right', () => {
    const sample = fc.record({
      key: fc.stringMatching(/^[b-y]{1,3}$/).map(key),
      count: fc.integer({ min: 1, max: 50 }),
    })
    fc.assert(
      fc.property(fc.array(sample, { minLength: 10, maxLength: 60 }), sampledKeys => {
        const decision = splitDecision(stats({ operationsPerSecond: 200, sampledKeys }), limits)
        if (decision.kind !== 'split') return
        const sum = (of: typeof sampledKeys): number => of.reduce((total, { count }) => total + count, 0)
        const left = sum(sampledKeys.filter(each => each.key < decision.at))
        expect(left / sum(sampledKeys)).toBeGreaterThanOrEqual(0.25)
        expect(left / sum(sampledKeys)).toBeLessThanOrEqual(0.75)
        expect(rangeIndex([decision.at], decision.at)).toBe(1)
      }),
    )
  })
})

describe('an ever-growing key', () => {
  it('is seen, random keys are not', () => {
    const times = Array.from({ length: 100 }, (_, i) => key(String(1_700_000_000 + i)))
    expect(growthPattern(times)).toEqual({ kind: 'ever-growing key', beyondShare: 1 })
    const mixed = times.map((_, i) => times[(i * 37) % 100]!)
    expect(growthPattern(mixed).kind).toBe('none')
    expect(growthPattern([...times].reverse()).kind).toBe('none')
    // Several writers are never quite in order.
    const jittered = times.map((_, i) => times[i ^ 1]!)
    expect(growthPattern([...jittered, ...times.slice(60)]).kind).toBe('none')
    expect(growthPattern(times.map((time, i) => (i % 4 === 0 ? times[0]! : time))).kind).toBe(
      'ever-growing key',
    )
  })

  it('needs some samples', () => {
    expect(growthPattern([])).toEqual({ kind: 'none', beyondShare: 0 })
    expect(growthPattern([key('a'), key('b')]).kind).toBe('none')
  })
})

describe('a merge', () => {
  const side = (bytes: number, operationsPerSecond = 0, ids = ['n1', 'n2']) => ({
    bytes,
    operationsPerSecond,
    replicas: ids.map(nodeId),
  })

  it('is for cold neighbours on the same nodes, well below what would split them again', () => {
    expect(mergeDecision(side(100), side(149, 0, ['n2', 'n1']), limits).kind).toBe('merge')
    expect(mergeDecision(side(100), side(150), limits).kind).toBe('none')
    expect(mergeDecision(side(1, 13), side(1, 12), limits).kind).toBe('none')
    expect(mergeDecision(side(1), side(1, 0, ['n1', 'n3']), limits)).toEqual({
      kind: 'none',
      why: 'they are on different nodes',
    })
  })
})

describe('split points', () => {
  it('from a sample make even parts, ascending and distinct, none of them empty', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3 }).map(key)), fc.nat(8), (keys, count) => {
        const points = splitPointsFromSample(keys, count)
        expect(points.length).toBeLessThanOrEqual(count)
        checkSplitPoints(points)
        const distinct = [...new Set(keys)]
        if (distinct.length > count) expect(points).toHaveLength(count)
        const parts = Array.from(
          { length: points.length + 1 },
          (_, i) => distinct.filter(each => rangeIndex(points, each) === i).length,
        )
        if (distinct.length > 0) expect(Math.min(...parts)).toBeGreaterThan(0)
        if (distinct.length > count) expect(Math.max(...parts) - Math.min(...parts)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('a boundary key belongs to the right side, once', () => {
    const points = ['c', 'f'].map(key)
    expect(['', 'b', 'c', 'c\0', 'e\xff', 'f', 'g'].map(text => rangeIndex(points, key(text)))).toEqual([
      0, 0, 1, 1, 1, 2, 2,
    ])
  })

  it.each([
    [[''], 'split point 0 is empty'],
    [['a', 'a'], 'split point 1 is the same as split point 0'],
    [['a', 'c', 'b'], 'split point 2 is before split point 1'],
  ])('%j are refused', (points, message) => {
    expect(() => checkSplitPoints(points.map(key))).toThrow(message)
  })
})
