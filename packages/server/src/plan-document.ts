/** A plan as JSON: boundaries in words, and nothing that only a node can read. */

import {
  type ByteString,
  describeBoundary,
  describeChange,
  type LedPartition,
  type Node,
  type Plan,
  planChangesNothing,
  spreadLeaders,
  stringToU32,
  type TablePlan,
} from '@quorate/core'

import type { AutoDocument } from './auto-document.ts'

export interface PlanDocument extends Pick<Plan, 'id' | 'moves' | 'rows' | 'bytes' | 'seconds'> {
  /** In words. */
  readonly changes: readonly string[]
  readonly isEmpty: boolean
  readonly members: readonly {
    readonly id: string
    readonly zone: string
    readonly state: string
    readonly weight: number
  }[]
  readonly tables: readonly TablePlanDocument[]
  readonly nodes: readonly {
    readonly node: string
    readonly zone: string
    readonly partitionsBefore: number
    readonly partitionsAfter: number
    readonly incomingBytes: number
    readonly outgoingBytes: number
    readonly freeBytes: number | null
  }[]
  readonly problems: readonly { readonly subject: string; readonly message: string }[]
  readonly warnings: readonly string[]
  readonly survives: readonly string[]
  /** Leaders of partitions, and the hand-overs that would spread them; a plan does not make them: spread-leaders does. */
  readonly leaders: LeadersSpreadDocument
  /** Plans may be made without an operator: by this. */
  readonly auto: AutoDocument | null
}

export interface LeadersSpreadDocument {
  readonly loads: readonly { readonly node: string; readonly before: number; readonly after: number }[]
  readonly moves: readonly {
    readonly table: string
    readonly partition: number
    readonly from: string
    readonly to: string
  }[]
}

export interface TablePlanDocument {
  readonly table: string
  readonly partitioning: string
  readonly splits: readonly string[]
  readonly merges: readonly number[]
  readonly moves: readonly {
    /** Where the partition starts, in words. */
    readonly first: string
    readonly from: readonly string[]
    readonly to: readonly string[]
    readonly rows: number
    readonly bytes: number
  }[]
  readonly bytes: number
  readonly balanceBefore: number
  readonly balanceAfter: number
  readonly narrowBefore: number
  readonly narrowAfter: number
}

export function planDocument(node: Node, plan: Plan, auto: AutoDocument | null): PlanDocument {
  const { id, moves, rows, bytes, seconds, staged, problems, warnings, survives } = plan
  return {
    id,
    moves,
    rows,
    bytes,
    seconds,
    changes: staged.map(describeChange),
    isEmpty: planChangesNothing(plan, node.catalog.members),
    members: plan.membersAfter.map(member => ({
      id: member.id,
      zone: member.zone,
      state: member.state,
      weight: member.weight,
    })),
    tables: plan.tables.map(table => tableDocument(node, table)),
    nodes: plan.nodes.map(({ freeBytes, ...figures }) => ({ ...figures, freeBytes: freeBytes ?? null })),
    problems,
    warnings,
    survives,
    leaders: leadersSpread(node),
    auto,
  }
}

/** Of all tables together, as the maps have it here. */
export function leadersSpread(node: Node): LeadersSpreadDocument {
  const { catalog, context } = node
  const led = catalog.views().flatMap(({ descriptor, map }) =>
    map.partitions.flatMap(({ id, lead, move }): LedPartition[] =>
      // A partition that moves gets a leader by its move.
      lead?.leader === undefined || move !== undefined
        ? []
        : [{ table: descriptor.id, partition: id, leader: lead.leader, heirs: lead.inSync }],
    ),
  )
  if (led.length === 0) return { loads: [], moves: [] }
  const able = catalog.members.members.filter(
    ({ id, state }) => state === 'active' && !context.isSuspected(id),
  )
  const { loads, moves } = spreadLeaders(led, new Map(able.map(({ id, weight }) => [id, weight])))
  return { loads, moves: moves.map(move => ({ ...move, table: catalog.find(move.table)!.descriptor.name })) }
}

function tableDocument(node: Node, plan: TablePlan): TablePlanDocument {
  const { name, partitioning, merges, balanceBefore, balanceAfter, narrowBefore, narrowAfter } = plan
  const { order, map } = node.catalog.named(name)
  const prefix = map.partitions[0]!.from
  const inWords = (start: ByteString): string => {
    if (order === 'hashed') return String(start === '' ? 0 : stringToU32(start, 0))
    return describeBoundary(start === '' ? prefix : ((prefix + start) as ByteString))
  }
  return {
    table: name,
    partitioning,
    splits: plan.splits.map(inWords),
    merges,
    moves: plan.moves.map(({ start, ...move }) => ({ first: inWords(start), ...move })),
    bytes: plan.moves.reduce((sum, move) => sum + move.bytes, 0),
    balanceBefore,
    balanceAfter,
    narrowBefore,
    narrowAfter,
  }
}
