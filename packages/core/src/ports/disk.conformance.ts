/** What every `Disk` does. Cases about power need a subject that can lose it and are passed over otherwise. */

import { assert } from '../base/assert.ts'
import { bytesEqual, concatBytes } from '../base/bytes.ts'
import { type ConformanceCase, rejection, same } from './conformance-case.ts'
import { type Disk, DiskError } from './disk.ts'

export interface DiskSubject {
  readonly disk: Disk
  /** The same directory as a process started later sees it. */
  reopen(): Promise<Disk>
  /** The same directory after a power cut; left out where power cannot be cut. */
  powerCut?(): Promise<Disk>
}

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 255)

const kindOf = (error: unknown): string => (error instanceof DiskError ? error.kind : String(error))

export const diskConformance: readonly ConformanceCase<DiskSubject>[] = [
  {
    name: 'a new directory is empty; what is not there is NOT_FOUND to read and to remove',
    async run(make) {
      const { disk } = await make()
      same(await disk.list(), [], 'names')
      same(kindOf(await rejection(disk.read('absent'))), 'not-found', 'reading what is not there')
      same(kindOf(await rejection(disk.remove('absent'))), 'not-found', 'removing what is not there')
    },
  },
  {
    name: 'open creates, append adds at the end, size counts what was appended, read gives all of it',
    async run(make) {
      const { disk } = await make()
      const file = await disk.open('a.log')
      same(file.size(), 0, 'size of a new file')
      const parts = [pattern(10, 1), pattern(0, 2), pattern(5000, 3), pattern(1, 4)]
      for (const part of parts) await file.append(part)
      same(file.size(), 5011, 'size')
      await file.sync()
      assert(bytesEqual(await disk.read('a.log'), concatBytes(parts)), 'the content is what was appended')
      await file.close()
    },
  },
  {
    name: 'appends are ordered per file, without waiting for each other',
    async run(make) {
      const { disk } = await make()
      const file = await disk.open('a.log')
      const parts = Array.from({ length: 40 }, (_, i) => pattern(1 + ((i * 977) % 3000), i))
      await Promise.all([...parts.map(part => file.append(part)), file.sync()])
      assert(bytesEqual(await disk.read('a.log'), concatBytes(parts)), 'the order is that of the calls')
      await file.close()
    },
  },
  {
    name: 'opening again appends after what is there',
    async run(make) {
      const { disk, reopen } = await make()
      const file = await disk.open('a.log')
      await file.append(pattern(100, 1))
      await file.sync()
      await file.close()
      const later = await reopen()
      const again = await later.open('a.log')
      same(again.size(), 100, 'size when opened again')
      await again.append(pattern(7, 2))
      await again.sync()
      assert(bytesEqual(await later.read('a.log'), concatBytes([pattern(100, 1), pattern(7, 2)])), 'content')
      await again.close()
    },
  },
  {
    name: 'a large append arrives whole',
    async run(make) {
      const { disk } = await make()
      const large = pattern(3 * 1024 * 1024 + 11, 5)
      const file = await disk.open('large.log')
      await file.append(large)
      await file.sync()
      assert(bytesEqual(await disk.read('large.log'), large), 'the large content is what was appended')
      await file.close()
    },
  },
  {
    name: 'list is sorted; remove removes one; a name can be used again',
    async run(make) {
      const { disk } = await make()
      for (const name of ['wal-2.log', 'wal-10.log', 'b', 'wal-1.log']) {
        const file = await disk.open(name)
        await file.append(pattern(3, 1))
        await file.sync()
        await file.close()
      }
      same(await disk.list(), ['b', 'wal-1.log', 'wal-10.log', 'wal-2.log'], 'names')
      await disk.remove('wal-10.log')
      same(await disk.list(), ['b', 'wal-1.log', 'wal-2.log'], 'names after a remove')
      const again = await disk.open('wal-10.log')
      same(again.size(), 0, 'size of a file made anew')
      await again.close()
    },
  },
  {
    name: 'what read gave belongs to the reader',
    async run(make) {
      const { disk } = await make()
      const file = await disk.open('a.log')
      await file.append(pattern(50, 1))
      await file.sync()
      const first = await disk.read('a.log')
      first.fill(0)
      await file.append(pattern(5, 2))
      assert(bytesEqual((await disk.read('a.log')).subarray(0, 50), pattern(50, 1)), 'the file is unchanged')
      await file.close()
    },
  },
  {
    name: 'after a power cut everything synced is there, name included, and only appended bytes or zeros follow',
    async run(make) {
      for (let round = 0; round < 30; round++) {
        const { disk, powerCut } = await make()
        if (powerCut === undefined) return
        const file = await disk.open('a.log')
        await file.append(pattern(700, 1))
        await file.sync()
        await file.append(pattern(2000, 2))
        const unsynced = await disk.open('b.log')
        await unsynced.append(pattern(10, 3))
        const later = await powerCut()
        const content = await later.read('a.log')
        const whole = concatBytes([pattern(700, 1), pattern(2000, 2)])
        assert(bytesEqual(content.subarray(0, 700), pattern(700, 1)), 'synced bytes survive')
        assert(content.length <= whole.length, 'nothing was made up')
        for (let i = 700; i < content.length; i++) {
          assert(content[i] === whole[i] || content[i] === 0, 'an unsynced byte is kept, zero or gone', i)
        }
      }
    },
  },
]
