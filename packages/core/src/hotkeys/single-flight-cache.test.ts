import { beforeEach, describe, expect, it } from 'vitest'
import { SingleFlightCache } from './single-flight-cache.ts'

interface Answer {
  readonly version: number
}

const any = () => true
const atLeast = (version: number) => (answer: Answer) => answer.version >= version

/** Loads that end when the test says so. */
class Source {
  readonly waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = []
  readonly load = (): Promise<Answer> =>
    new Promise((resolve, reject) => this.waiting.push({ resolve, reject }))
}

describe('a cache of hot rows', () => {
  let source: Source
  let cache: SingleFlightCache<Answer>
  beforeEach(() => {
    source = new Source()
    cache = new SingleFlightCache({ leaseMs: 100, entriesMax: 2, bytesMax: 10_000, sizeOf: () => 10 })
  })
  const fill = async (key: string, nowMs: number, version: number) => {
    const got = cache.get(key, nowMs, source.load, any)
    source.waiting.at(-1)!.resolve({ version })
    await got
  }

  it('loads once for all who ask meanwhile, and answers from memory after', async () => {
    const asked = [1, 2, 3].map(() => cache.get('a', 0, source.load, any))
    expect(source.waiting).toHaveLength(1)
    source.waiting[0]!.resolve({ version: 7 })
    expect(await Promise.all(asked)).toEqual([{ version: 7 }, { version: 7 }, { version: 7 }])
    expect(await cache.get('a', 50, source.load, any)).toEqual({ version: 7 })
    expect(cache.counters).toMatchObject({ loads: 1, joined: 2, hits: 1, entries: 1 })
  })

  it('keeps an answer for the lease, counted from when its load began', async () => {
    const got = cache.get('a', 1_000, source.load, any)
    source.waiting[0]!.resolve({ version: 1 })
    await got
    await cache.get('a', 1_099, source.load, any)
    expect(source.waiting).toHaveLength(1)
    void cache.get('a', 1_100, source.load, any)
    expect(source.waiting).toHaveLength(2)
  })

  it('a quorum read neither takes from it nor waits for others', async () => {
    await fill('a', 0, 1)
    const fresh = cache.get('a', 1, source.load, 'fresh')
    expect(source.waiting).toHaveLength(2)
    const joining = cache.get('b', 1, source.load, any)
    const alone = cache.get('b', 1, source.load, 'fresh')
    expect(source.waiting).toHaveLength(4)
    for (const [i, { resolve }] of source.waiting.entries()) resolve({ version: i + 1 })
    expect([await fresh, await joining, await alone].map(({ version }) => version)).toEqual([2, 3, 4])
  })

  it('a session with a newer token reads for itself: what is kept, and what is loaded for another', async () => {
    await fill('a', 0, 1)
    const newer = cache.get('a', 1, source.load, atLeast(2))
    expect(source.waiting).toHaveLength(2)
    source.waiting[1]!.resolve({ version: 2 })
    expect(await newer).toEqual({ version: 2 })
    const first = cache.get('b', 1, source.load, any)
    const second = cache.get('b', 1, source.load, atLeast(5))
    source.waiting[2]!.resolve({ version: 4 })
    expect(await first).toEqual({ version: 4 })
    await Promise.resolve()
    source.waiting[3]!.resolve({ version: 5 })
    expect(await second).toEqual({ version: 5 })
  })

  it('a write here drops the answer at once', async () => {
    await fill('a', 0, 1)
    cache.invalidate('a')
    void cache.get('a', 1, source.load, any)
    expect(source.waiting).toHaveLength(2)
    expect(cache.counters).toMatchObject({ entries: 0, bytes: 0 })
  })

  it('a load begun before a write is not kept after it, nor joined by who comes after it', async () => {
    const before = cache.get('a', 0, source.load, any)
    cache.invalidate('a')
    const after = cache.get('a', 1, source.load, any)
    expect(source.waiting).toHaveLength(2)
    source.waiting[1]!.resolve({ version: 2 })
    expect(await after).toEqual({ version: 2 })
    source.waiting[0]!.resolve({ version: 1 })
    expect(await before).toEqual({ version: 1 })
    expect(await cache.get('a', 2, source.load, any)).toEqual({ version: 2 })
    expect(source.waiting).toHaveLength(2)
  })

  it('a load that ends after a write, with no other load begun, leaves nothing', async () => {
    const before = cache.get('a', 0, source.load, any)
    cache.invalidate('a')
    source.waiting[0]!.resolve({ version: 1 })
    await before
    expect(cache.counters.entries).toBe(0)
  })

  it('a load that takes longer than the lease is not joined any more', async () => {
    const slow = cache.get('a', 0, source.load, any)
    const late = cache.get('a', 100, source.load, any)
    expect(source.waiting).toHaveLength(2)
    for (const [i, { resolve }] of source.waiting.entries()) resolve({ version: i })
    expect([await slow, await late]).toEqual([{ version: 0 }, { version: 1 }])
    expect(await cache.get('a', 101, source.load, any)).toEqual({ version: 1 })
  })

  it('a failure reaches all who waited and is not kept', async () => {
    const asked = [1, 2].map(() => cache.get('a', 0, source.load, any))
    source.waiting[0]!.reject(new Error('down'))
    for (const one of asked) await expect(one).rejects.toThrow('down')
    const throws = () => {
      throw new Error('at once')
    }
    await expect(cache.get('a', 0, throws, any)).rejects.toThrow('at once')
    await fill('a', 0, 1)
    expect(cache.counters.entries).toBe(1)
  })

  it('forgets the least recently used, by count and by bytes', async () => {
    await fill('a', 0, 1)
    await fill('b', 0, 1)
    await cache.get('a', 1, source.load, any)
    await fill('c', 0, 1)
    await cache.get('a', 1, source.load, any)
    expect(source.waiting).toHaveLength(3)
    void cache.get('b', 1, source.load, any)
    expect(source.waiting).toHaveLength(4)
    const small = new SingleFlightCache({
      leaseMs: 9,
      entriesMax: 9,
      bytesMax: 500,
      sizeOf: (n: number) => n,
    })
    for (const n of [100, 200, 1_000]) await small.get(`k${n}`, 0, async () => n, any)
    expect(small.counters).toMatchObject({ entries: 1 })
    expect(small.counters.bytes).toBeLessThanOrEqual(500)
  })

  it('past the bound of shared loads each loads for itself', async () => {
    const narrow = new SingleFlightCache({
      leaseMs: 9,
      entriesMax: 9,
      bytesMax: 999,
      sizeOf: () => 1,
      loadsMax: 1,
    })
    for (const key of ['a', 'b', 'b']) void narrow.get(key, 0, source.load, any)
    expect(source.waiting).toHaveLength(3)
  })
})
