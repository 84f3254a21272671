/**
 * What the cluster agrees on, as the values of registers: its members (with their tokens), its tables, and
 * the pieces of each table's partition map. Encoded as documents; decoded with every field checked, since
 * they also come over the wire.
 */

import { hexToString, stringToHex } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import {
  type ByteString,
  compareStrings,
  type Incarnation,
  type NodeId,
  type TableId,
  type Token,
} from '../base/ids.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'
import { type MapChunk, MOVE_STAGES, type Move, type PartitionEntry } from '../partitioning/partition-map.ts'
import { decodeLead, encodeLead } from './lead-codec.ts'
import { describeTable, type TableDescriptor } from './table-descriptor.ts'

/**
 * `staged`: known and heard, owns nothing until a plan is committed. `leaving`: owns what it has until it has
 * been moved, gets nothing new.
 */
export const MEMBER_STATES = ['active', 'staged', 'leaving'] as const
export type MemberState = (typeof MEMBER_STATES)[number]

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
  readonly state: MemberState
}

/** A node that was a member once: it may not come back with this store. */
export interface RemovedMember {
  readonly id: NodeId
  readonly incarnation: Incarnation
}

export interface MembersState {
  readonly version: number
  readonly members: readonly Member[]
  /** Newest last, bounded. */
  readonly removed: readonly RemovedMember[]
}

export interface TablesState {
  readonly version: number
  readonly nextId: number
  readonly tables: readonly TableDescriptor[]
}

export const noMembers: MembersState = { version: 0, members: [], removed: [] }
export const noTables: TablesState = { version: 0, nextId: 1, tables: [] }

export const REGISTER_MEMBERS = 'cluster/members'
export const REGISTER_TABLES = 'cluster/tables'
export const REGISTER_CHANGES = 'cluster/changes'
const MAP_PREFIX = 'map/'

export function mapRegister(table: TableId, chunk: number): string {
  return `${MAP_PREFIX}${table}/${chunk}`
}

export function encodeMembers(state: MembersState): Uint8Array {
  return encodeDocument({
    ...state,
    members: state.members.map(member => ({
      ...member,
      incarnation: stringToHex(member.incarnation),
      tokens: [...member.tokens],
    })),
    removed: state.removed.map(({ id, incarnation }) => ({ id, incarnation: stringToHex(incarnation) })),
  })
}

export function decodeMembers(bytes: Uint8Array): MembersState {
  const read = fields(decodeDocument(bytes), 'members')
  const members = array(read('members')).map((given): Member => {
    const field = fields(given, 'member')
    return {
      id: string(field('id')) as NodeId,
      incarnation: incarnation(field('incarnation')),
      address: string(field('address')),
      http: string(field('http')),
      zone: string(field('zone')),
      region: string(field('region')),
      weight: number(field('weight')),
      tokens: array(field('tokens')).map(token => number(token) as Token),
      state: choice(field('state'), MEMBER_STATES),
    }
  })
  members.sort((a, b) => compareStrings(a.id, b.id))
  const removed = array(read('removed')).map((given): RemovedMember => {
    const field = fields(given, 'removed member')
    return { id: string(field('id')) as NodeId, incarnation: incarnation(field('incarnation')) }
  })
  return { version: number(read('version')), members, removed }
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
    ...(table.hotKeys === undefined ? {} : { hotKeys: { ...table.hotKeys } }),
    ...(table.shadow === undefined ? {} : { shadow: table.shadow }),
    chunks: table.chunks,
  }
}

export function decodeTables(bytes: Uint8Array): TablesState {
  const read = fields(decodeDocument(bytes), 'tables')
  const tables = array(read('tables')).map(given =>
    describeTable(number(fields(given, 'table')('id')), given),
  )
  return { version: number(read('version')), nextId: number(read('nextId')), tables }
}

export function encodeChunk(chunk: MapChunk): Uint8Array {
  return encodeDocument({
    version: chunk.version,
    nextId: chunk.nextId,
    partitions: chunk.partitions.map(({ id, version, start, replicas, move, lead }) => {
      const moving = move === undefined ? null : [move.task, move.session, move.stage, [...move.to]]
      const entry = [id, version, start, [...replicas]]
      if (lead !== undefined) return [...entry, moving, encodeLead(lead)]
      return moving === null ? entry : [...entry, moving]
    }),
  })
}

export function decodeChunk(bytes: Uint8Array): MapChunk {
  const read = fields(decodeDocument(bytes), 'map')
  const partitions = array(read('partitions')).map((given): PartitionEntry => {
    const [id, version, start, replicas, move, lead] = array(given)
    return {
      id: number(id),
      version: number(version),
      start: byteString(start),
      replicas: nodes(replicas),
      move: move === undefined || move === null ? undefined : moveOf(array(move)),
      lead: lead === undefined ? undefined : decodeLead(lead),
    }
  })
  partitions.forEach(({ start }, at) => {
    if (at > 0 && start <= partitions[at - 1]!.start) throw malformed('partitions do not ascend')
  })
  if (partitions.length === 0) throw malformed('a piece of a map is empty')
  return { version: number(read('version')), nextId: number(read('nextId')), partitions }
}

function moveOf([task, session, stage, to]: readonly unknown[]): Move {
  return { task: string(task), session: number(session), stage: choice(stage, MOVE_STAGES), to: nodes(to) }
}

function nodes(given: unknown): NodeId[] {
  const ids = array(given).map(id => string(id) as NodeId)
  if (ids.length === 0 || new Set(ids).size !== ids.length) throw malformed('homes are not distinct nodes')
  return ids
}

function byteString(given: unknown): ByteString {
  const text = string(given)
  for (let at = 0; at < text.length; at++)
    if (text.charCodeAt(at) > 0xff) throw malformed('a boundary is not bytes')
  return text as ByteString
}

function incarnation(given: unknown): Incarnation {
  return hexToString(string(given)) as string as Incarnation
}

function choice<T extends string>(given: unknown, of: readonly T[]): T {
  const found = of.find(name => name === given)
  if (found === undefined) throw malformed(`"${String(given)}" is none of ${of.join(', ')}`)
  return found
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
