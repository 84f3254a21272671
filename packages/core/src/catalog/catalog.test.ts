import { describe, expect, it } from 'vitest'
import { isQuorateError } from '../base/errors.ts'
import { type Incarnation, nodeId, type Token } from '../base/ids.ts'
import { Catalog } from './catalog.ts'
import {
  decodeMembers,
  decodeTables,
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

describe('table settings', () => {
  it('have defaults for all but name and key', () => {
    expect(describeTable(1, { name: 't', key: 'id' })).toEqual({
      id: 1,
      name: 't',
      key: { partition: 'id', sort: undefined },
      partitioning: { kind: 'ring' },
      replication: { kind: 'leaderless', n: 3, r: 2, w: 2, sloppy: false, readRepair: 'async' },
      conflict: { kind: 'siblings' },
    })
  })

  it.each([
    [{ name: '1t', key: 'id' }, 'name'],
    [{ name: 't' }, 'key'],
    [{ name: 't', key: { partition: 'id', sort: 'id' } }, 'key.sort'],
    [{ name: 't', key: 'id', colour: 'red' }, 'table.colour'],
    [{ name: 't', key: 'id', partitioning: { kind: 'spiral' } }, 'partitioning.kind'],
    [{ name: 't', key: 'id', replication: { n: 0 } }, 'replication.n'],
    [{ name: 't', key: 'id', replication: { kind: 'single-leader' } }, 'replication.kind'],
    [{ name: 't', key: 'id', replication: { w: 1.5 } }, 'replication.w'],
    [{ name: 't', key: 'id', replication: { sloppy: 'yes' } }, 'replication.sloppy'],
    [
      { name: 't', key: 'id', replication: { sloppy: true, readRepair: 'blocking' } },
      'replication.readRepair',
    ],
    [{ name: 't', key: 'id', conflict: { kind: 'merge:newest' } }, 'conflict.kind'],
  ])('%j is refused, naming the field', (given, field) => {
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
  const members = (version: number, ringVersion = 1): MembersState => ({
    version,
    ringVersion,
    members: ['n1', 'n2', 'n3'].map((id, i) => ({
      id: nodeId(id),
      incarnation: `${i}`.repeat(8) as Incarnation,
      address: `h${i}:1`,
      http: `h${i}:2`,
      zone: id,
      region: 'r',
      weight: 1,
      tokens: [i * 1_000_000 + 5] as Token[],
    })),
  })
  const tables = (version: number) => ({
    version,
    nextId: 2,
    tables: [describeTable(1, { name: 't', key: 'id' })],
  })

  it('members survive being a register value', () => {
    expect(decodeMembers(encodeMembers(members(4)))).toEqual(members(4))
  })

  it('takes only what is newer, and keeps maps whose ring did not move', () => {
    const catalog = new Catalog()
    let changes = 0
    catalog.onChange(() => changes++)
    catalog.learn(members(2), tables(1))
    const { map } = catalog.named('t')
    expect(map.partitions[0]!.replicas).toHaveLength(3)
    catalog.learn(members(1, 9), tables(1))
    expect(catalog.members.version).toBe(2)
    expect(changes).toBe(1)
    catalog.learn(members(3), tables(1))
    expect(catalog.named('t').map).toBe(map)
    catalog.learn(members(4, 2), tables(1))
    expect(catalog.named('t').map.version).toBe(2)
    expect(() => catalog.named('u')).toThrow(/no table "u"/)
  })
})
