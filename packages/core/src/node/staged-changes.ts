/** Checks of the changes that operators stage: each names what is wrong; nothing is staged then. */

import { stringToHex } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import { type ByteString, compareStrings } from '../base/ids.ts'
import { encodeKey, type KeyValue } from '../base/key-encoding.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { StagedChange } from '../catalog/cluster-changes.ts'
import { keyStart, tokenStart } from '../partitioning/row-key.ts'

export const WEIGHT_MAX = 64

const bad = (field: string, message: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `${field}: ${message}`, { data: { field } })

export function checkStaged(given: unknown, catalog: Catalog): StagedChange {
  if (typeof given !== 'object' || given === null) throw bad('change', 'must be an object')
  const field = given as Record<string, unknown>
  switch (field.kind) {
    case 'join':
      return { kind: 'join', node: member(field.node, 'node', catalog, ['staged']) }
    case 'leave':
      return { kind: 'leave', node: member(field.node, 'node', catalog, ['active']) }
    case 'replace': {
      const dead = member(field.dead, 'dead', catalog, ['active', 'leaving'])
      const { by = '' } = field
      return { kind: 'replace', dead, by: by === '' ? '' : member(by, 'by', catalog, ['staged']) }
    }
    case 'reweigh':
      return {
        kind: 'reweigh',
        node: member(field.node, 'node', catalog, ['active']),
        weight: weight(field.weight),
      }
    case 'move': {
      const { table, partition } = partitionAt(field, catalog)
      const from = member(field.from, 'from', catalog, ['active', 'leaving'])
      return { kind: 'move', table, partition, from, to: member(field.to, 'to', catalog, ['active']) }
    }
    case 'split':
      return split(field, catalog)
    case 'merge':
      return { kind: 'merge', ...partitionAt(field, catalog) }
    case 'rebalance':
      return { kind: 'rebalance' }
    default:
      throw bad(
        'kind',
        `"${String(field.kind)}" is not known; known: join, leave, replace, reweigh, move, split, merge, rebalance`,
      )
  }
}

function member(given: unknown, field: string, catalog: Catalog, states: readonly string[]): string {
  if (typeof given !== 'string' || given === '') throw bad(field, 'names a node')
  const found = catalog.members.members.find(({ id }) => (id as string) === given)
  if (found === undefined) {
    const known = catalog.members.members.map(({ id }) => id).sort(compareStrings)
    throw new QuorateError(
      'NOT_FOUND',
      `${field}: there is no member "${given}"; the members are ${known.join(', ')}`,
    )
  }
  if (states.includes(found.state)) return given
  if (found.state === 'staged') throw bad(field, `"${given}" has asked to join and owns nothing yet`)
  if (found.state === 'active' && states.includes('staged'))
    throw bad(field, `"${given}" is an active member already; a node joins by being started with --join`)
  throw bad(field, `"${given}" is ${found.state}`)
}

export function weight(given: unknown): number {
  if (typeof given !== 'number' || !(given > 0) || given > WEIGHT_MAX)
    throw bad('weight', `must be above 0 and at most ${WEIGHT_MAX}, not ${String(given)}`)
  return given
}

function partitionAt(field: Record<string, unknown>, catalog: Catalog): { table: string; partition: number } {
  const view = catalog.named(String(field.table ?? ''))
  const { partition } = field
  if (typeof partition !== 'number' || view.map.find(partition) === undefined)
    throw new QuorateError(
      'NOT_FOUND',
      `table "${view.descriptor.name}" has no partition ${String(partition)}`,
    )
  return { table: view.descriptor.name, partition }
}

function split(field: Record<string, unknown>, catalog: Catalog): StagedChange {
  const { descriptor, order, map } = catalog.named(String(field.table ?? ''))
  const { at } = field
  let start: ByteString
  if (order === 'ordered') {
    if (at === undefined || (typeof at === 'object' && at !== null)) throw bad('at', 'is a partition key')
    start = keyStart(encodeKey(at as KeyValue))
  } else {
    if (typeof at !== 'number' || !Number.isInteger(at) || at <= 0 || at >= 2 ** 32)
      throw bad('at', `"${descriptor.name}" is cut at tokens: a whole number from 1 to ${2 ** 32 - 1}`)
    start = tokenStart(at)
  }
  const prefix = map.partitions[0]!.from
  if (map.partitions.some(({ from }) => from === prefix + start))
    throw bad('at', `"${descriptor.name}" is cut at ${String(at)} already`)
  return { kind: 'split', table: descriptor.name, start: stringToHex(start), at: String(at) }
}
