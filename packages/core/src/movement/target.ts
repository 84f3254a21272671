/** Where the partitions of a table would be: what its partitioner says of other members, and what operators ask for. */

import { hexToString } from '../base/bytes.ts'
import type { ByteString, NodeId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { StagedChange } from '../catalog/cluster-changes.ts'
import type { Member } from '../catalog/cluster-state.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { assignReplicas } from '../partitioning/assignment.ts'
import { moduloArcs } from '../partitioning/modulo.ts'
import { ringArcs } from '../partitioning/ring.ts'
import { tokenStart } from '../partitioning/row-key.ts'

export interface TargetPartition {
  readonly start: ByteString
  readonly replicas: readonly NodeId[]
  /** Of the partition it is, or is cut from. */
  readonly id: number
}

export interface Target {
  readonly partitions: readonly TargetPartition[]
  readonly splits: readonly ByteString[]
  /** Partitions that join the one before them. */
  readonly merges: readonly number[]
}

type Complain = (subject: string, message: string) => void

export function targetOf(
  view: TableView,
  current: readonly TargetPartition[],
  active: readonly Member[],
  n: number,
  staged: readonly StagedChange[],
  problem: Complain,
): Target {
  const { name } = view.descriptor
  const own = staged.filter(change => 'table' in change && change.table === name)
  // Also when a copy is on a node that should keep none any more.
  const isStray = (node: NodeId): boolean => !active.some(member => member.id === node)
  const places =
    staged.some(change => !('table' in change)) || current.some(({ replicas }) => replicas.some(isStray))
  const placed = places ? byPartitioner(view, current, active, n) : [...current]
  const splits = placed
    .filter(({ start }) => !current.some(partition => partition.start === start))
    .map(({ start }) => start)
  let partitions: TargetPartition[] = placed
  const merges: number[] = []
  for (const change of own) {
    if ((change.kind === 'split' || change.kind === 'merge') && ledOf(view.descriptor) !== undefined) {
      problem(name, 'has a leader and a log for each partition: a log cannot be cut or joined')
      continue
    }
    if (change.kind === 'split') {
      const start = hexToString(change.start)
      const at = lastAt(partitions, start)
      if (partitions[at]!.start === start) problem(name, `${change.at} is a boundary already`)
      else {
        splits.push(start)
        partitions = [
          ...partitions.slice(0, at + 1),
          { ...partitions[at]!, start },
          ...partitions.slice(at + 1),
        ]
      }
    } else if (change.kind === 'merge') {
      merges.push(...mergeOf(name, current, change.partition, problem))
    } else if (change.kind === 'move') {
      partitions = withMove(name, partitions, change, active, problem)
    }
  }
  return { partitions, splits: [...new Set(splits)].sort(), merges }
}

function lastAt(partitions: readonly TargetPartition[], start: ByteString): number {
  let at = 0
  while (at + 1 < partitions.length && partitions[at + 1]!.start <= start) at++
  return at
}

function mergeOf(name: string, current: readonly TargetPartition[], id: number, problem: Complain): number[] {
  const at = current.findIndex(partition => partition.id === id)
  const [left, right] = [current[at - 1], current[at]]
  if (right === undefined) problem(name, `has no partition ${id}`)
  else if (left === undefined)
    problem(name, `partition ${id} is the first: there is none before it to merge into`)
  else if (
    left.replicas.length !== right.replicas.length ||
    !left.replicas.every(node => right.replicas.includes(node))
  )
    problem(name, `partition ${id} and the one before it are kept by different nodes: move one first`)
  else return [id]
  return []
}

function withMove(
  name: string,
  partitions: readonly TargetPartition[],
  { partition: id, from, to }: Extract<StagedChange, { kind: 'move' }>,
  active: readonly Member[],
  problem: Complain,
): TargetPartition[] {
  const found = partitions.find(partition => partition.id === id)
  const replicas = found?.replicas ?? []
  const target = active.find(member => (member.id as string) === to)
  if (found === undefined) problem(name, `has no partition ${id}`)
  else if (!replicas.includes(from as NodeId)) problem(name, `partition ${id} is not kept by ${from}`)
  else if (target === undefined) problem(to, 'is no active member: nothing can move to it')
  else if (replicas.includes(target.id)) problem(name, `partition ${id} is kept by ${to} already`)
  else {
    const zoneOf = new Map(active.map(member => [member.id, member.zone]))
    const others = replicas.filter(node => node !== (from as NodeId))
    const zones = new Set(active.map(member => member.zone)).size
    const taken = new Set(others.map(node => zoneOf.get(node)))
    if (taken.has(target.zone) && taken.size < Math.min(zones, replicas.length))
      problem(
        name,
        `partition ${id} would have two copies in zone ${target.zone} while another zone has none`,
      )
    return partitions.map(partition =>
      partition === found
        ? { ...partition, replicas: replicas.map(node => (node === (from as NodeId) ? target.id : node)) }
        : partition,
    )
  }
  return [...partitions]
}

/** What the table's partitioner makes of these members, with as little movement as it can. */
function byPartitioner(
  view: TableView,
  current: readonly TargetPartition[],
  active: readonly Member[],
  n: number,
): TargetPartition[] {
  const { partitioning } = view.descriptor
  const idAt = (start: ByteString): number => current[lastAt(current, start)]!.id
  switch (partitioning.kind) {
    case 'ring':
      return overlay(current, ringArcs(active, n), idAt)
    case 'modulo':
      return overlay(current, moduloArcs(active, n, partitioning.buckets), idAt)
    case 'fixed':
    case 'range': {
      const assigned = assignReplicas(
        current.map(partition => partition.replicas),
        active,
        n,
      )
      return current.map((partition, at) => ({ ...partition, replicas: assigned[at]! }))
    }
  }
}

/** The arcs of the target, cut also where the table is cut now: boundaries that nobody needs any more stay. */
function overlay(
  current: readonly TargetPartition[],
  arcs: readonly { readonly start: number; readonly replicas: readonly NodeId[] }[],
  idAt: (start: ByteString) => number,
): TargetPartition[] {
  const wanted = arcs.map(({ start, replicas }) => ({ start: tokenStart(start), replicas }))
  const starts = [
    ...new Set([...current.map(({ start }) => start), ...wanted.map(({ start }) => start)]),
  ].sort()
  let at = 0
  return starts.map(start => {
    while (at + 1 < wanted.length && wanted[at + 1]!.start <= start) at++
    return { start, replicas: wanted[at]!.replicas, id: idAt(start) }
  })
}
