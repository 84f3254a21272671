/**
 * What the cluster agrees on, as the values of two registers: its members (with their tokens) and its
 * tables. Encoded as documents; decoded with every field checked, since they also come over the wire.
 *
 * `ringVersion` grows when ownership changes (members, tokens, zones); it is the map version of every ring
 * table. A member's new incarnation or address changes `version` only.
 */

import { hexToString, stringToHex } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import { compareStrings, type Incarnation, type NodeId, type Token } from '../base/ids.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'
import { describeTable, type TableDescriptor } from './table-descriptor.ts'

export interface Member {
  readonly id: NodeId
  /** Store the member runs on; the dots and promises it made belong to this. */
  readonly incarnation: Incarnation
  /** `host:port` of the data listener and of the admin interface. */
  readonly address: string
  readonly http: string
  readonly zone: string
  readonly region: string
  readonly weight: number
  readonly tokens: readonly Token[]
}

export interface MembersState {
  readonly version: number
  readonly ringVersion: number
  readonly members: readonly Member[]
}

export interface TablesState {
  readonly version: number
  readonly nextId: number
  readonly tables: readonly TableDescriptor[]
}

export const noMembers: MembersState = { version: 0, ringVersion: 0, members: [] }
export const noTables: TablesState = { version: 0, nextId: 1, tables: [] }

export const REGISTER_MEMBERS = 'cluster/members'
export const REGISTER_TABLES = 'cluster/tables'

export function encodeMembers(state: MembersState): Uint8Array {
  return encodeDocument({
    ...state,
    members: state.members.map(member => ({
      ...member,
      incarnation: stringToHex(member.incarnation),
      tokens: [...member.tokens],
    })),
  })
}

export function decodeMembers(bytes: Uint8Array): MembersState {
  const read = fields(decodeDocument(bytes), 'members')
  const members = array(read('members')).map((given): Member => {
    const field = fields(given, 'member')
    return {
      id: string(field('id')) as NodeId,
      incarnation: hexToString(string(field('incarnation'))) as string as Incarnation,
      address: string(field('address')),
      http: string(field('http')),
      zone: string(field('zone')),
      region: string(field('region')),
      weight: number(field('weight')),
      tokens: array(field('tokens')).map(token => number(token) as Token),
    }
  })
  members.sort((a, b) => compareStrings(a.id, b.id))
  return { version: number(read('version')), ringVersion: number(read('ringVersion')), members }
}

export function encodeTables(state: TablesState): Uint8Array {
  return encodeDocument({
    version: state.version,
    nextId: state.nextId,
    tables: state.tables.map(tableDocument),
  })
}

/** A descriptor as plain data: what goes into registers, over the wire and into JSON. */
export function tableDocument(table: TableDescriptor): Record<string, unknown> {
  const { sort } = table.key
  return {
    id: table.id,
    name: table.name,
    key: sort === undefined ? { partition: table.key.partition } : { partition: table.key.partition, sort },
    partitioning: { ...table.partitioning },
    replication: { ...table.replication },
    conflict: { ...table.conflict },
  }
}

export function decodeTables(bytes: Uint8Array): TablesState {
  const read = fields(decodeDocument(bytes), 'tables')
  const tables = array(read('tables')).map(given =>
    describeTable(number(fields(given, 'table')('id')), given),
  )
  return { version: number(read('version')), nextId: number(read('nextId')), tables }
}

const malformed = (what: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `malformed cluster state: ${what}`)

function fields(value: unknown, what: string): (name: string) => unknown {
  if (typeof value !== 'object' || value === null) throw malformed(`${what} is not an object`)
  return name => (value as Record<string, unknown>)[name]
}
function array(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed('a list is missing')
  return value
}
function string(value: unknown): string {
  if (typeof value !== 'string') throw malformed('a text is missing')
  return value
}
function number(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw malformed('a number is missing')
  return value
}
