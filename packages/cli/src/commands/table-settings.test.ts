import { expect, it } from 'vitest'
import { byteCount } from '../arguments.ts'
import { tableSettings } from './table-settings.ts'

const partitioning = (options: object) => tableSettings({ key: 'id', ...options }).partitioning

it('a flag of one partitioner names it; one of another is refused', () => {
  expect(partitioning({})).toBeUndefined()
  expect(partitioning({ partitions: 64 })).toEqual({ kind: 'fixed', partitions: 64 })
  expect(partitioning({ buckets: 8 })).toEqual({ kind: 'modulo', buckets: 8 })
  expect(partitioning({ splitAt: ['a', 5] })).toEqual({ kind: 'range', splitPoints: ['a', 5] })
  expect(() => partitioning({ partitioning: 'ring', partitions: 8 })).toThrow(
    '--partitions is for tables that are partitioned by fixed, not by ring',
  )
  expect(() => partitioning({ buckets: 8, partitions: 8 })).toThrow('--buckets is for tables')
})

it('flags are stronger than a preset, setting by setting', () => {
  expect(tableSettings({ key: 'id,at', like: 'riak', n: 5, conflict: 'lww' })).toEqual({
    key: { partition: 'id', sort: 'at' },
    partitioning: { kind: 'fixed', partitions: 64 },
    replication: { kind: 'leaderless', n: 5, r: 2, w: 2, sloppy: true, readRepair: 'async' },
    conflict: { kind: 'lww' },
  })
  expect(partitioning({ like: 'hbase', splitAt: ['m'] })).toMatchObject({
    kind: 'range',
    splitPoints: ['m'],
    auto: true,
  })
  expect(partitioning({ like: 'hbase', partitioning: 'ring' })).toEqual({ kind: 'ring' })
})

it('parts of hot keys are a setting of the table', () => {
  expect(tableSettings({ key: 'id', writeParts: 8 })).toMatchObject({ hotKeys: { writeParts: 8 } })
  expect(tableSettings({ key: 'id' })).not.toHaveProperty('hotKeys')
})

it.each([
  ['10MiB', 10_485_760],
  ['10MiB/s', 10_485_760],
  ['1.5KiB', 1_536],
  ['2MB', 2_000_000],
  ['4096', 4_096],
  ['1GiB', 1_073_741_824],
])('%s is %i bytes', (text, bytes) => expect(byteCount('--limit')(text)).toBe(bytes))

it.each(['', '0', '-1', '10 apples', '1023', 'MiB'])('"%s" is no number of bytes', text =>
  expect(() => byteCount('--limit')(text)).toThrow('--limit is a number of bytes from 1KiB'))
