/** What every `Table` does. */

import { assert } from '../base/assert.ts'
import { byteString, bytesEqual, stringToBytes } from '../base/bytes.ts'
import type { ByteString } from '../base/ids.ts'
import { compareStrings } from '../base/ids.ts'
import { randomBelow, randomByteString, SeededRandom } from '../base/prng.ts'
import { type ConformanceCase, same } from './conformance-case.ts'
import type { ScanOptions, Table, TableWrite } from './table.ts'

export interface TableSubject {
  readonly table: Table
  /** Closes nothing; the same table as a process started later sees it. */
  reopen(): Promise<Table>
  /** The same table after a power cut; left out where power cannot be cut. */
  powerCut?(): Promise<Table>
}

const key = (text: string): ByteString => text as ByteString
const put = (name: string, value: string): TableWrite => ({ key: key(name), value: stringToBytes(value) })

function rows(table: Table, from = 'a', to?: string, options?: ScanOptions): string[] {
  const found: string[] = []
  for (const [name, value] of table.scan(key(from), to === undefined ? undefined : key(to), options)) {
    found.push(`${name}=${String.fromCharCode(...value)}`)
  }
  return found
}

export const tableConformance: readonly ConformanceCase<TableSubject>[] = [
  {
    name: 'an empty table has nothing to get or scan',
    async run(make) {
      const { table } = await make()
      same(table.get(key('a')), undefined, 'get')
      same(rows(table), [], 'scan')
      same(rows(table, 'a', undefined, { reverse: true }), [], 'reverse scan')
      await table.write([])
    },
  },
  {
    name: 'a read right after write resolved sees the batch, puts, overwrites and removes alike',
    async run(make) {
      const { table } = await make()
      for (let round = 0; round < 50; round++) {
        await table.write([
          put('a', `${round}`),
          put(`k${round}`, 'x'),
          { key: key(`k${round - 1}`), value: undefined },
        ])
        same(table.get(key('a')), stringToBytes(`${round}`), 'get')
        same(rows(table), [`a=${round}`, `k${round}=x`], 'scan')
      }
    },
  },
  {
    name: 'within a batch a later write of a key wins',
    async run(make) {
      const { table } = await make()
      await table.write([put('a', '1'), put('a', '2'), put('b', '1'), { key: key('b'), value: undefined }])
      same(rows(table), ['a=2'], 'rows')
    },
  },
  {
    name: 'values are bytes of any content and length, the empty one and a large one included',
    async run(make) {
      const { table } = await make()
      const all = Uint8Array.from({ length: 256 }, (_, i) => i)
      const large = new Uint8Array(3_000_000).map((_, i) => i * 7)
      await table.write([
        { key: key('empty'), value: new Uint8Array(0) },
        { key: key('all'), value: all },
        { key: key('part'), value: all.subarray(10, 20) },
        { key: key('large'), value: large },
      ])
      same(table.get(key('empty')), new Uint8Array(0), 'the empty value')
      same(table.get(key('all')), all, 'all bytes')
      same(table.get(key('part')), all.slice(10, 20), 'a view of a larger buffer')
      const stored = table.get(key('large'))
      assert(stored !== undefined && bytesEqual(stored, large), 'the large value')
    },
  },
  {
    name: 'keys are bytes in byte order, up to 1,978 of them',
    async run(make) {
      const { table } = await make()
      const keys = [
        byteString(0),
        byteString(0, 0),
        byteString(1),
        'A',
        'a',
        'a'.repeat(1978),
        byteString(127),
        byteString(128),
        byteString(255),
        byteString(255, 255),
      ].map(key)
      await table.write(
        keys.toReversed().map((each, index) => ({ key: each, value: stringToBytes(`${index}`) })),
      )
      same(
        [...table.scan(byteString(0), undefined)].map(([each]) => each),
        [...keys].sort(compareStrings),
        'order',
      )
      for (const each of keys) assert(table.get(each) !== undefined, 'each key is found')
    },
  },
  {
    name: 'scan: from inclusive, to exclusive, limit and reverse, also between keys and past the ends',
    async run(make) {
      const { table } = await make()
      await table.write(['b', 'd', 'f', 'h'].map(name => put(name, name)))
      const scan = (...args: [string, string?, ScanOptions?]): string =>
        rows(table, ...args)
          .map(row => row[0])
          .join('')
      same(scan('a'), 'bdfh', 'everything')
      same(scan('b', 'f'), 'bd', 'from in, to out')
      same(scan('c', 'g'), 'df', 'between keys')
      same(scan('f', 'f'), '', 'an empty range')
      same(scan('x', 'b'), '', 'a range upside down')
      same(scan('i'), '', 'past the end')
      same(scan('a', undefined, { limit: 2 }), 'bd', 'limit')
      same(scan('a', undefined, { limit: 0 }), '', 'limit 0')
      same(scan('a', undefined, { reverse: true }), 'hfdb', 'reverse')
      same(scan('b', 'f', { reverse: true }), 'db', 'reverse, from in, to out')
      same(scan('c', 'g', { reverse: true }), 'fd', 'reverse between keys')
      same(scan('a', 'z', { reverse: true, limit: 3 }), 'hfd', 'reverse with limit')
      same(scan('a', 'b', { reverse: true }), '', 'reverse before the first')
    },
  },
  {
    name: 'a scan may be left early, and another one begun',
    async run(make) {
      const { table } = await make()
      await table.write(Array.from({ length: 500 }, (_, i) => put(`k${String(i).padStart(3, '0')}`, 'x')))
      for (let round = 0; round < 30; round++) {
        for (const [name] of table.scan(key('k'), undefined)) {
          same(name, 'k000', 'the first key')
          break
        }
      }
      await table.write([put('k', 'first')])
      same(rows(table, 'k', 'k001'), ['k=first', 'k000=x'], 'a later write is seen')
    },
  },
  {
    name: 'values given out are the reader’s to keep: nothing later changes them, nor the other way round',
    async run(make) {
      const { table } = await make()
      await table.write([put('a', 'one'), put('b', 'two')])
      const first = table.get(key('a'))!
      const scanned = [...table.scan(key('a'), undefined)]
      table.get(key('b'))
      for (let i = 0; i < 20; i++) await table.write([put('a', `later${i}`), put('b', `later${i}`)])
      for (let i = 0; i < 100; i++) table.get(key('b'))
      same(first, stringToBytes('one'), 'a value kept over later reads and writes')
      same(
        scanned.map(([, value]) => value),
        [stringToBytes('one'), stringToBytes('two')],
        'scanned values',
      )
      table.get(key('a'))!.fill(0)
      same(table.get(key('a')), stringToBytes('later19'), 'the stored value')
    },
  },
  {
    name: 'agrees with a sorted map over random batches',
    async run(make) {
      const { table } = await make()
      const random = new SeededRandom(7)
      const oracle = new Map<ByteString, Uint8Array>()
      for (let round = 0; round < 60; round++) {
        const batch: TableWrite[] = []
        for (let i = randomBelow(random, 20); i >= 0; i--) {
          const name = key(`k${randomByteString(random, 1 + randomBelow(random, 2))}`)
          const value = randomBelow(random, 3) === 0 ? undefined : stringToBytes(randomByteString(random, 5))
          batch.push({ key: name, value })
          if (value === undefined) oracle.delete(name)
          else oracle.set(name, value)
        }
        await table.write(batch)
        const [from, to] = [key(`k${randomByteString(random, 1)}`), key(`k${randomByteString(random, 1)}`)]
        const reverse = randomBelow(random, 2) === 0
        const expected = [...oracle]
          .filter(([name]) => name >= from && name < to)
          .sort(([a], [b]) => (reverse ? compareStrings(b, a) : compareStrings(a, b)))
        same([...table.scan(from, to, { reverse })], expected, 'scan')
      }
    },
  },
  {
    name: 'what was written is there for a process started later',
    async run(make) {
      const { table, reopen } = await make()
      await table.write([put('a', '1'), put('b', '2')])
      same(rows(await reopen()), ['a=1', 'b=2'], 'rows')
    },
  },
  {
    name: 'after a power cut a batch is there whole when its write had resolved, and whole or not at all otherwise',
    async run(make) {
      const seen = new Set<number>()
      for (let round = 0; round < 40; round++) {
        const { table, powerCut } = await make()
        if (powerCut === undefined) return
        await table.write([put('a', '1'), put('b', '1')])
        void table.write([put('a', '2'), put('b', '2'), put('c', '2')])
        const found = rows(await powerCut())
        const whole = found.length === 3
        same(found, whole ? ['a=2', 'b=2', 'c=2'] : ['a=1', 'b=1'], 'rows after the power cut')
        seen.add(found.length)
      }
      same(seen.size, 2, 'both outcomes of an unanswered write')
    },
  },
]
