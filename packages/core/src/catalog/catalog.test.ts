import { describe, expect, it } from 'vitest'
import { isQuorateError } from '../base/errors.ts'
import { type Incarnation, nodeId, type Token, tableId } from '../base/ids.ts'
import { changeChunk, firstChunks, withMove } from '../partitioning/map-chunks.ts'
import { tokenStart } from '../partitioning/row-key.ts'
import { Catalog } from './catalog.ts'
import {
  decodeChunk,
  decodeMembers,
  decodeTables,
  encodeChunk,
  encodeMembers,
  encodeTables,
  type MembersState,
  tableDocument,
} from './cluster-state.ts'
import { describeTable } from './table-descriptor.ts'

const refused = (given: unknown): { code: string; field: unknown; message: string } => {
  try {
    describeTable(1, given)
  } catch (error) {
    if (isQuorateError(error)) return { code: error.code, field: error.data.field, message: error.message }
    throw error
  }
  throw new Error('was not refused')
}

const led = (settings: object): object => ({ kind: 'single-leader', ...settings })

describe('table settings', () => {
  it('have defaults for all but name and key', () => {
    expect(describeTable(1, { name: 't', key: 'id' })).toEqual({
      id: 1,
      name: 't',
      key: { partition: 'id', sort: undefined },
      partitioning: { kind: 'ring' },
      replication: { kind: 'leaderless', n: 3, r: 2, w: 2, sloppy: false, readRepair: 'async' },
      conflict: { kind: 'siblings' },
      chunks: 0,
    })
  })

  it('with parts of keys survive their document, and are part of what "the same settings" means', () => {
    const split = describeTable(1, { name: 't', key: 'id', hotKeys: { writeParts: 8 } })
    expect(split.hotKeys).toEqual({ writeParts: 8 })
    expect(describeTable(1, tableDocument(split))).toEqual(split)
    expect(tableDocument(describeTable(1, { name: 't', key: 'id' }))).not.toHaveProperty('hotKeys')
  })

  it.each([
    [{ name: '1t', key: 'id' }, 'name'],
    [{ name: 't' }, 'key'],
    [{ name: 't', key: { partition: 'id', sort: 'id' } }, 'key.sort'],
    [{ name: 't', key: 'id', colour: 'red' }, 'table.colour'],
    [{ name: 't', key: 'id', partitioning: { kind: 'spiral' } }, 'partitioning.kind'],
    [{ name: 't', key: 'id', replication: { n: 0 } }, 'replication.n'],
    [{ name: 't', key: 'id', replication: { kind: 'raft' } }, 'replication.kind'],
    [{ name: 't', key: 'id', replication: led({ ack: 'one', n: 1 }) }, 'replication.ack'],
    [{ name: 't', key: 'id', replication: led({ ack: 'two' }) }, 'replication.ack'],
    [{ name: 't', key: 'id', replication: led({ ack: 'in-sync', minInSync: 4 }) }, 'replication.minInSync'],
    [{ name: 't', key: 'id', replication: led({ ack: 'in-sync', minInSync: 0 }) }, 'replication.minInSync'],
    [{ name: 't', key: 'id', replication: led({ minInSync: 2 }) }, 'replication.minInSync'],
    [{ name: 't', key: 'id', replication: led({ log: 'logical', freeze: false }) }, 'replication.freeze'],
    [{ name: 't', key: 'id', replication: led({ otherZone: true }) }, 'replication.otherZone'],
    [{ name: 't', key: 'id', replication: led({ w: 2 }) }, 'replication.w'],
    [{ name: 't', key: 'id', replication: led({}), conflict: { kind: 'lww' } }, 'conflict.kind'],
    [{ name: 't', key: 'id', conflict: { kind: 'ordered' } }, 'conflict.kind'],
    [{ name: 't', key: 'id', replication: { w: 1.5 } }, 'replication.w'],
    [{ name: 't', key: 'id', replication: { sloppy: 'yes' } }, 'replication.sloppy'],
    [
      { name: 't', key: 'id', replication: { sloppy: true, readRepair: 'blocking' } },
      'replication.readRepair',
    ],
    [{ name: 't', key: 'id', conflict: { kind: 'merge:No Name' } }, 'conflict.kind'],
    [{ name: 't', key: 'id', conflict: { kind: 'crdt' } }, 'conflict.fields'],
    [{ name: 't', key: 'id', conflict: { kind: 'crdt', fields: { a: 'number' } } }, 'conflict.fields.a'],
    [{ name: 't', key: 'id', conflict: { kind: 'lww', fields: { a: 'counter' } } }, 'conflict.fields'],
    [
      {
        name: 't',
        key: 'id',
        partitioning: { kind: 'range' },
        conflict: { kind: 'crdt', fields: { a: 'counter' } },
      },
      'partitioning.kind',
    ],
    ...[1, 65, 2.5, '8', undefined].map(writeParts => [
      { name: 't', key: 'id', hotKeys: { writeParts } },
      'hotKeys.writeParts',
    ]),
    ...['lww', 'merge:union'].map(kind => [
      { name: 't', key: 'id', hotKeys: { writeParts: 8 }, conflict: { kind } },
      'hotKeys.writeParts',
    ]),
    [
      { name: 't', key: 'id', hotKeys: { writeParts: 8 }, partitioning: { kind: 'range' } },
      'hotKeys.writeParts',
    ],
    [{ name: 't', key: 'id', hotKeys: { parts: 8 } }, 'hotKeys.parts'],
  ] as [object, string][])('%j is refused, naming the field', (given, field) => {
    const { code, field: named } = refused(given)
    expect(code).toBe('BAD_TABLE')
    if (field !== 'key') expect(named).toBe(field)
  })

  it('r or w above n has a code of its own', () => {
    expect(refused({ name: 't', key: 'id', replication: { n: 3, w: 4 } })).toMatchObject({
      code: 'QUORUM_LARGER_THAN_N',
      field: 'replication.w',
    })
  })

  it('survive being a register value', () => {
    const table = describeTable(7, {
      name: 't',
      key: { partition: 'a', sort: 'b' },
      conflict: { kind: 'lww' },
    })
    const state = { version: 3, nextId: 8, tables: [table] }
    expect(decodeTables(encodeTables(state))).toEqual(state)
    expect(describeTable(7, tableDocument(table))).toEqual(table)
  })
})

describe('catalog', () => {
  const members = (version: number): MembersState => ({
    version,
    removed: [{ id: nodeId('n9'), incarnation: '9'.repeat(8) as Incarnation }],
    members: ['n1', 'n2', 'n3'].map((id, i) => ({
      id: nodeId(id),
      incarnation: `${i}`.repeat(8) as Incarnation,
      address: `h${i}:1`,
      http: `h${i}:2`,
      zone: id,
      region: 'r',
      weight: 1,
      tokens: [i * 1_000_000 + 5] as Token[],
      state: i === 2 ? ('leaving' as const) : ('active' as const),
    })),
  })
  const tables = (version: number) => ({
    version,
    nextId: 2,
    tables: [describeTable(1, { name: 't', key: 'id', chunks: 2 })],
  })
  const homes = ['n1', 'n2', 'n3'].map(nodeId)
  const starts = Array.from({ length: 128 }, (_, i) => tokenStart(i * 2 ** 25))
  const pieces = firstChunks(starts.map(start => ({ start, replicas: homes })))
  const known = (index: number, chunk = pieces[index]!) => ({ table: tableId(1), index, chunk })

  it('members survive being a register value', () => {
    expect(decodeMembers(encodeMembers(members(4)))).toEqual(members(4))
  })

  it('shows a table when its whole map is known', () => {
    const catalog = new Catalog()
    catalog.learn({ members: members(1), tables: tables(1), chunks: [known(0)] })
    expect(catalog.findNamed('t')).toBeUndefined()
    catalog.learn({ chunks: [known(1)] })
    expect(catalog.named('t').map.partitions).toHaveLength(128)
    expect(() => catalog.named('u')).toThrow(/no table "u"/)
  })

  it('takes only what is newer, and keeps the pieces that did not change', () => {
    const catalog = new Catalog()
    let changes = 0
    catalog.onChange(() => changes++)
    catalog.learn({ members: members(2), tables: tables(1), chunks: [known(0), known(1)] })
    const { map } = catalog.named('t')
    expect(map.version).toBe(1)
    catalog.learn({ members: members(1), chunks: [known(0)] })
    expect(catalog.members.version).toBe(2)
    expect(changes).toBe(1)
    const moved = changeChunk(pieces[1]!, entry =>
      entry.id === 100
        ? withMove(entry, { task: 't1', session: 2, stage: 'write-both', to: [homes[0]!] })
        : entry,
    )!
    catalog.learn({ chunks: [known(1, moved)] })
    const after = catalog.named('t').map
    expect(after.version).toBe(2)
    expect(after.find(100)).toMatchObject({ version: 2, writeSets: [homes, [homes[0]]] })
    expect(after.find(99)).toBe(after.partitions[99])
    expect(after.find(99)!.version).toBe(1)
    expect(after.partitions[3]).toBe(map.partitions[3])
  })

  it('pieces survive being register values', () => {
    const moved = changeChunk(pieces[1]!, entry =>
      entry.id === 100 ? withMove(entry, { task: 't1', session: 2, stage: 'prepare', to: homes }) : entry,
    )!
    expect(decodeChunk(encodeChunk(moved))).toEqual(moved)
  })
})
