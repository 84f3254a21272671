/**
 * A table: a partitioner × a replication protocol × a conflict rule, and the check that refuses settings
 * which make no sense together, naming the field.
 */

import { QuorateError } from '../base/errors.ts'
import { type TableId, tableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { conflictRule } from '../cells/rules.ts'
import { type Partitioning, partitioningOf } from './partitioning-settings.ts'
import { bad, count, objectAt } from './settings.ts'

export interface TableDescriptor {
  readonly id: TableId
  readonly name: string
  /** Names of the key fields of a row. */
  readonly key: { readonly partition: string; readonly sort: string | undefined }
  readonly partitioning: Partitioning
  readonly replication: LeaderlessReplication
  readonly conflict: { readonly kind: string }
  readonly hotKeys: HotKeys | undefined
  /** Pieces its partition map is kept in; not a setting. */
  readonly chunks: number
}

/** For tables whose keys are few and written often. */
export interface HotKeys {
  /**
   * The writes of each key go to so many parts on replicas of their own; a read asks them all. Fixed for the life of the
   * table: a reader must know of every part there may be.
   */
  readonly writeParts: number
}

export interface LeaderlessReplication {
  readonly kind: 'leaderless'
  /** Copies of each row. */
  readonly n: number
  /** Answers a read waits for, and acknowledgements a write waits for, when the request names none. */
  readonly r: number
  readonly w: number
  /** May nodes outside the home replicas stand in for dead ones? */
  readonly sloppy: boolean
  /** `blocking`: a read that found stale replicas answers after a quorum of them is repaired (monotonic quorum reads). */
  readonly readRepair: 'async' | 'blocking'
}

/** What a user gives; everything but the name and the partition key has a default. */
export interface TableSpecification {
  readonly name: string
  readonly key: string | { readonly partition: string; readonly sort?: string | undefined }
  readonly partitioning?: { readonly kind: string; readonly [setting: string]: unknown }
  readonly replication?: Partial<Omit<LeaderlessReplication, 'kind'>> & { readonly kind?: string }
  readonly conflict?: { readonly kind: string }
  readonly hotKeys?: HotKeys | undefined
}

/** Turns what a user gave into a full descriptor, or says which field is wrong and why. */
export function describeTable(id: number, given: unknown): TableDescriptor {
  const spec = objectAt(given, 'table', [
    'name',
    'key',
    'partitioning',
    'replication',
    'conflict',
    'hotKeys',
    'id',
    'chunks',
  ])
  const name = spec.name
  if (typeof name !== 'string' || !/^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/.test(name)) {
    throw bad('name', 'a table name starts with a letter and has up to 64 letters, digits, "_" or "-"')
  }
  const partitioning = partitioningOf(spec.partitioning)
  const conflict = conflictOf(spec.conflict)
  return {
    id: tableId(id),
    name,
    key: keyOf(spec.key),
    partitioning,
    replication: replicationOf(spec.replication),
    conflict,
    hotKeys: hotKeysOf(spec.hotKeys, partitioning, conflict),
    chunks: typeof spec.chunks === 'number' ? spec.chunks : 0,
  }
}

function keyOf(given: unknown): TableDescriptor['key'] {
  const parts =
    typeof given === 'string' ? { partition: given } : objectAt(given, 'key', ['partition', 'sort'])
  const { partition, sort } = parts as { partition?: unknown; sort?: unknown }
  if (typeof partition !== 'string' || partition === '')
    throw bad('key.partition', 'names the field rows are partitioned by')
  if (sort !== undefined && (typeof sort !== 'string' || sort === '' || sort === partition)) {
    throw bad('key.sort', 'names another field than key.partition')
  }
  return { partition, sort: sort as string | undefined }
}

function replicationOf(given: unknown): LeaderlessReplication {
  const spec = objectAt(given ?? {}, 'replication', ['kind', 'n', 'r', 'w', 'sloppy', 'readRepair'])
  if (spec.kind !== undefined && spec.kind !== 'leaderless') {
    throw bad('replication.kind', `"${String(spec.kind)}" is not known; known: leaderless`)
  }
  const n = count(spec.n ?? 3, 'replication.n', 1, 7)
  const quorum = Math.floor(n / 2) + 1
  const r = level(spec.r ?? quorum, 'replication.r', n)
  const w = level(spec.w ?? quorum, 'replication.w', n)
  const sloppy = spec.sloppy ?? false
  if (typeof sloppy !== 'boolean') throw bad('replication.sloppy', 'is true or false')
  const readRepair = spec.readRepair ?? 'async'
  if (readRepair !== 'async' && readRepair !== 'blocking')
    throw bad('replication.readRepair', 'is async or blocking')
  if (readRepair === 'blocking' && sloppy) {
    throw bad(
      'replication.readRepair',
      'blocking repair promises monotonic quorum reads, which a sloppy table cannot keep',
    )
  }
  return { kind: 'leaderless', n, r, w, sloppy, readRepair }
}

function level(value: unknown, field: string, n: number): number {
  if (value === 'one') return 1
  if (value === 'quorum') return Math.floor(n / 2) + 1
  if (value === 'all') return n
  if (typeof value === 'number' && value > n) {
    throw new QuorateError(
      'QUORUM_LARGER_THAN_N',
      `${field} is ${value}, but there are only n=${n} replicas`,
      {
        data: { field, asked: value, n },
      },
    )
  }
  return count(value, field, 1, n)
}

function conflictOf(given: unknown): TableDescriptor['conflict'] {
  if (given === undefined) return { kind: 'siblings' }
  const { kind } = objectAt(given, 'conflict', ['kind'])
  if (typeof kind !== 'string') throw bad('conflict.kind', 'must be a string')
  return { kind: conflictRule(kind).kind }
}

function hotKeysOf(
  given: unknown,
  partitioning: Partitioning,
  conflict: TableDescriptor['conflict'],
): HotKeys | undefined {
  if (given === undefined) return undefined
  const { writeParts } = objectAt(given, 'hotKeys', ['writeParts'])
  const field = 'hotKeys.writeParts'
  const parts = count(writeParts, field, limits.writePartsMin, limits.writePartsMax)
  if (partitioning.kind === 'range')
    throw bad(
      field,
      'a table partitioned by range keeps the parts of a key beside each other, on the same replicas: partition it by hash (ring, fixed or modulo)',
    )
  if (conflict.kind !== 'siblings')
    throw bad(
      field,
      `parts are written without knowing of each other, so all their values must stand until somebody has seen them: that is rule siblings, not ${conflict.kind}`,
    )
  return { writeParts: parts }
}

/** Parts that the writes of each key of a table go to: 1 where they are not split. */
export const writePartsOf = ({ hotKeys }: { readonly hotKeys: HotKeys | undefined }): number =>
  hotKeys?.writeParts ?? 1

export function refuseTooManyTables(countNow: number): void {
  if (countNow >= limits.tablesMax) {
    throw new QuorateError('BAD_TABLE', `the cluster already has ${limits.tablesMax} tables`, {
      data: { limit: limits.tablesMax },
    })
  }
}
