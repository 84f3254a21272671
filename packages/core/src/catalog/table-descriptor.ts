/**
 * A table: a partitioner × a replication protocol × a conflict rule, and the check that refuses settings
 * which make no sense together, naming the field.
 */

import { QuorateError } from '../base/errors.ts'
import { type TableId, tableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { orderedRule } from '../cells/ordered.ts'
import { fieldRule } from '../crdt/field-rule.ts'
import { checkFields, type Fields } from '../crdt/fields.ts'
import { majorityOf } from '../quorum/quorum-tally.ts'
import { ruleNamed } from './conflict-rules.ts'
import { type Partitioning, partitioningOf } from './partitioning-settings.ts'
import {
  type LeaderlessReplication,
  type Replication,
  type ReplicationSpecification,
  replicationOf,
  type SingleLeaderReplication,
} from './replication-settings.ts'
import { bad, count, objectAt } from './settings.ts'

export interface TableDescriptor {
  readonly id: TableId
  readonly name: string
  /** Names of the key fields of a row. */
  readonly key: { readonly partition: string; readonly sort: string | undefined }
  readonly partitioning: Partitioning
  readonly replication: Replication
  readonly conflict: Conflict
  readonly hotKeys: HotKeys | undefined
  /** What its conflicts are measured against; changes nothing (leaderless/shadow.ts). */
  readonly shadow: ShadowRule | undefined
  /** Pieces its partition map is kept in; not a setting. */
  readonly chunks: number
}

export interface Conflict {
  readonly kind: string
  /** Of `crdt`: what the fields of its rows are. */
  readonly fields?: Fields | undefined
}

/** For tables whose keys are few and written often. */
export interface HotKeys {
  /**
   * The writes of each key go to so many parts on replicas of their own; a read asks them all. Fixed for the life of the
   * table: a reader must know of every part there may be.
   */
  readonly writeParts: number
}

/** What a user gives; everything but the name and the partition key has a default. */
export interface TableSpecification {
  readonly name: string
  readonly key: string | { readonly partition: string; readonly sort?: string | undefined }
  readonly partitioning?: { readonly kind: string; readonly [setting: string]: unknown }
  readonly replication?: ReplicationSpecification
  readonly conflict?: Conflict
  readonly hotKeys?: HotKeys | undefined
  readonly shadow?: ShadowRule | undefined
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
    'shadow',
    'id',
    'chunks',
  ])
  const name = spec.name
  if (typeof name !== 'string' || !/^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/.test(name)) {
    throw bad('name', 'a table name starts with a letter and has up to 64 letters, digits, "_" or "-"')
  }
  const replication = replicationOf(spec.replication)
  const partitioning = partitionedFor(replication, spec.partitioning)
  const conflict = conflictOf(spec.conflict, replication)
  if (conflict.fields !== undefined && partitioning.kind === 'range')
    throw bad(
      'partitioning.kind',
      'fields of a row that merges by itself stand beside each other, and a cut could part them: partition the table by hash (ring, fixed or modulo)',
    )
  return {
    id: tableId(id),
    name,
    key: keyOf(spec.key),
    partitioning,
    replication,
    conflict,
    hotKeys: hotKeysOf(spec.hotKeys, partitioning, conflict),
    shadow: shadowOf(spec.shadow, conflict),
    chunks: typeof spec.chunks === 'number' ? spec.chunks : 0,
  }
}

/** Partitions of a table with leaders, when its maker names no number: each has a log, a lease and followers of its own. */
const LED_PARTITIONS = 64

/** A log belongs to one partition from its first entry on: the boundaries of a table with leaders stay where they are. */
function partitionedFor(replication: Replication, given: unknown): Partitioning {
  if (replication.kind === 'leaderless') return partitioningOf(given)
  if (replication.kind === 'consensus') return agreedPartitioning(given)
  if (given === undefined) return { kind: 'fixed', partitions: LED_PARTITIONS }
  const { kind, partitions, auto } = given as { kind?: unknown; partitions?: unknown; auto?: unknown }
  if (kind === 'fixed' && partitions === undefined)
    return partitioningOf({ ...(given as object), partitions: LED_PARTITIONS })
  if (kind === 'ring')
    throw bad(
      'partitioning.kind',
      'the ring cuts partitions anew where nodes come and go, and a log cannot be cut: for a table with leaders use "fixed" (or "range" with split points, or "modulo")',
    )
  if (kind === 'range') {
    if (auto === true)
      throw bad('partitioning.auto', 'partitions of a table with leaders do not split: a log cannot be cut')
    return partitioningOf({ ...(given as object), auto: false })
  }
  return partitioningOf(given)
}

/** A cut would part the promises of a row from it. */
function agreedPartitioning(given: unknown): Partitioning {
  const partitioning = partitioningOf(given)
  if (partitioning.kind !== 'range' || partitioning.auto === false) return partitioning
  return partitioningOf({ ...(given as object), auto: false })
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

function conflictOf(given: unknown, replication: Replication): TableDescriptor['conflict'] {
  if (given === undefined) return { kind: replication.kind === 'leaderless' ? 'siblings' : orderedRule.kind }
  const { kind, fields } = objectAt(given, 'conflict', ['kind', 'fields'])
  if (typeof kind !== 'string') throw bad('conflict.kind', 'must be a string')
  const isOrdered = kind === orderedRule.kind
  if (isOrdered === (replication.kind === 'leaderless'))
    throw bad(
      'conflict.kind',
      isOrdered
        ? 'needs somebody who orders the writes of a row: replication.kind "single-leader" or "consensus"'
        : `is of tables on which writes can be concurrent; here they are ordered ("${orderedRule.kind}")`,
    )
  const rule = ruleNamed(kind)
  if (rule === fieldRule) return { kind, fields: checkFields(fields) }
  if (fields !== undefined) throw bad('conflict.fields', `are of rule "${fieldRule.kind}", not of "${kind}"`)
  return { kind: rule.kind }
}

/** What the fields of the rows are; undefined where they do not merge by themselves. */
export const fieldsOf = ({ conflict }: Pick<TableDescriptor, 'conflict'>): Fields | undefined =>
  conflict.fields

/** The settings of a table whose reads and writes go to quorums; of consensus tables, which quorums those are. */
export function leaderlessOf({
  name,
  replication,
}: Pick<TableDescriptor, 'name' | 'replication'>): LeaderlessReplication {
  if (replication.kind === 'leaderless') return replication
  if (replication.kind === 'consensus') {
    const majority = majorityOf(replication.n)
    return {
      kind: 'leaderless',
      n: replication.n,
      r: majority,
      w: majority,
      sloppy: false,
      readRepair: 'async',
    }
  }
  throw new QuorateError(
    'BAD_REQUEST',
    `table "${name}" has a leader for each partition (${replication.kind}): this is for leaderless tables`,
  )
}

/** The settings of a table with one leader for each partition; undefined when it is of another kind. */
export const ledOf = ({
  replication,
}: Pick<TableDescriptor, 'replication'>): SingleLeaderReplication | undefined =>
  replication.kind === 'single-leader' ? replication : undefined

/** Has each row one state at a time, whoever orders its writes? */
export const isOrdered = ({ replication }: Pick<TableDescriptor, 'replication'>): boolean =>
  replication.kind !== 'leaderless'

/** Are the writes of each row agreed on by its replicas, without a leader? */
export const isAgreed = ({ replication }: Pick<TableDescriptor, 'replication'>): boolean =>
  replication.kind === 'consensus'

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

export const SHADOW_RULES = ['siblings'] as const
/** What a table can be measured against. */
export type ShadowRule = (typeof SHADOW_RULES)[number]

function shadowOf(given: unknown, { kind }: Conflict): ShadowRule | undefined {
  if (given === undefined) return undefined
  if (!SHADOW_RULES.includes(given as ShadowRule))
    throw bad('shadow', `is ${SHADOW_RULES.join(', ')}; not ${JSON.stringify(given)}`)
  if (kind !== 'lww')
    throw bad(
      'shadow',
      `measures what rule lww replaces without its having been seen; this table has ${kind}`,
    )
  return given as ShadowRule
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
