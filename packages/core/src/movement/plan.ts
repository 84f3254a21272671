/**
 * Plans: what the cluster would look like with the staged changes, as the difference of two maps. Pure: from
 * the same state every node makes the same plan with the same id, so a plan need not be kept anywhere; to
 * commit one is to make it again and find the same id.
 *
 * Refused, with the reason: what cannot be placed (fewer nodes than copies), what is addressed to nobody, two
 * changes of one thing, a move that would leave a partition with fewer live copies than its writes need, and
 * rows for which a node has no room.
 */

import { stringToHex } from '../base/bytes.ts'
import type { ByteString } from '../base/ids.ts'
import { compareStrings, type NodeId, type TableId } from '../base/ids.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { StagedChange } from '../catalog/cluster-changes.ts'
import type { Member, MembersState, RemovedMember } from '../catalog/cluster-state.ts'
import { copiesAcknowledged } from '../catalog/replication-settings.ts'
import { placementOf } from '../partitioning/map-chunks.ts'
import { allocateTokens } from '../partitioning/token-allocation.ts'
import { survivability } from './survivability.ts'
import { type TargetPartition, targetOf } from './target.ts'

export interface Measured {
  readonly rows: number
  readonly bytes: number
}

export interface PlanInput {
  readonly changesVersion: number
  readonly staged: readonly StagedChange[]
  readonly members: MembersState
  readonly views: readonly TableView[]
  /** By `table/partition`; what no live home could tell is missing. */
  readonly measured: ReadonlyMap<string, Measured>
  /** Bytes free on the disk of each node; missing: not known. */
  readonly freeBytes: ReadonlyMap<NodeId, number>
  readonly isSuspected: (node: NodeId) => boolean
  readonly tokensPerNode: number
  readonly bytesPerSecond: number
}

export interface PlannedMove {
  readonly start: ByteString
  readonly from: readonly NodeId[]
  readonly to: readonly NodeId[]
  readonly rows: number
  /** Over all receivers. */
  readonly bytes: number
}

export interface TablePlan {
  readonly table: TableId
  readonly name: string
  readonly partitioning: string
  /** Of each piece of the map, what names where its rows are (`placementOf`). */
  readonly chunks: readonly number[]
  readonly splits: readonly ByteString[]
  readonly merges: readonly number[]
  readonly moves: readonly PlannedMove[]
  /** Greatest over mean copies per weight, in token range (hash) or partitions (range). */
  readonly balanceBefore: number
  readonly balanceAfter: number
  /** Partitions whose copies are in fewer zones than they could be. */
  readonly narrowBefore: number
  readonly narrowAfter: number
}

export interface NodePlan {
  readonly node: NodeId
  readonly zone: string
  readonly partitionsBefore: number
  readonly partitionsAfter: number
  readonly incomingBytes: number
  readonly outgoingBytes: number
  readonly freeBytes: number | undefined
}

export interface PlanProblem {
  readonly subject: string
  readonly message: string
}

export interface Plan {
  readonly id: string
  readonly changesVersion: number
  readonly membersVersion: number
  readonly staged: readonly StagedChange[]
  /** Members as they are from the commit on: newcomers active, leavers leaving. */
  readonly membersAfter: readonly Member[]
  readonly removed: readonly RemovedMember[]
  readonly tables: readonly TablePlan[]
  readonly nodes: readonly NodePlan[]
  readonly moves: number
  readonly rows: number
  readonly bytes: number
  readonly seconds: number
  readonly problems: readonly PlanProblem[]
  readonly warnings: readonly string[]
  /** What may fail before, during and after without an acknowledged write or a quorum lost. */
  readonly survives: readonly string[]
}

export function makePlan(input: PlanInput): Plan {
  const problems: PlanProblem[] = []
  const warnings: string[] = []
  const problem = (subject: string, message: string): void => void problems.push({ subject, message })
  const { members: membersAfter, removed } = membersAfterwards(input, problem)
  const tables = input.views.map(view => planTable(input, view, membersAfter, problem, warnings))
  const nodes = planNodes(input, membersAfter, tables)
  for (const { node, incomingBytes, freeBytes } of nodes) {
    // A copy is written to the log, then to the table, and the old one goes last.
    if (freeBytes !== undefined && incomingBytes * HEADROOM > freeBytes)
      problem(
        node,
        `would get ${incomingBytes} bytes and has ${freeBytes} bytes free; ${HEADROOM} times what comes is needed while it comes`,
      )
  }
  const moves = tables.reduce((sum, table) => sum + table.moves.length, 0)
  const bytes = sum(tables, table => sum(table.moves, move => move.bytes))
  const work = moves + sum(tables, table => table.splits.length + table.merges.length)
  const plan = {
    changesVersion: input.changesVersion,
    membersVersion: input.members.version,
    staged: input.staged,
    membersAfter,
    removed,
    tables,
    nodes,
    moves,
    rows: sum(tables, table => sum(table.moves, move => move.rows)),
    bytes,
    // Receivers take their parts at the same time.
    seconds: Math.ceil(
      Math.max(0, ...nodes.map(node => node.incomingBytes)) / input.bytesPerSecond + work * STEP_SECONDS,
    ),
    problems,
    warnings,
    survives: survivability(input.views, tables),
  }
  return { id: planId(plan), ...plan }
}

const HEADROOM = 2
/** Steps of a partition wait for barriers; many go at once. */
const STEP_SECONDS = 0.05

const sum = <T>(all: readonly T[], of: (one: T) => number): number =>
  all.reduce((total, one) => total + of(one), 0)

/** Of everything that decides what happens at the commit, and of what stands in its way; measurements do not. */
function planId(plan: Omit<Plan, 'id'>): string {
  const { changesVersion, membersVersion, staged, membersAfter, removed, tables, problems } = plan
  const text = JSON.stringify([
    changesVersion,
    membersVersion,
    staged,
    membersAfter.map(({ id, state, weight, tokens }) => [id, state, weight, tokens]),
    removed.map(({ id }) => id),
    tables.map(({ table, chunks, splits, merges, moves }) => [
      table,
      chunks,
      splits.map(stringToHex),
      merges,
      moves.map(({ start, to }) => [stringToHex(start), to]),
    ]),
    // Once a problem is gone it is another plan: what was shown as impossible is never carried out.
    problems.map(({ subject, message }) => [subject, message]),
  ])
  const hex = (seed: number): string => murmur3OfString(text, seed).toString(16).padStart(8, '0')
  return `p-${hex(1)}${hex(2).slice(0, 4)}`
}

type Complain = (subject: string, message: string) => void

function membersAfterwards(
  input: PlanInput,
  problem: Complain,
): { members: Member[]; removed: RemovedMember[] } {
  const { members, staged, tokensPerNode } = input
  let after: Member[] = [...members.members]
  const removed: RemovedMember[] = []
  const touched = new Set<string>()
  const once = (node: string): Member | undefined => {
    const member = after.find(({ id }) => id === node)
    if (member === undefined) problem(node, 'is no member of the cluster')
    if (touched.has(node)) problem(node, 'is changed twice in one plan')
    touched.add(node)
    return member
  }
  const set = (id: string, change: Partial<Member>): void => {
    after = after.map(member => (member.id === id ? { ...member, ...change } : member))
  }
  for (const change of staged) {
    switch (change.kind) {
      case 'join':
        if (once(change.node)?.state === 'staged') set(change.node, { state: 'active' })
        else problem(change.node, 'is not waiting to join')
        break
      case 'leave':
        if (once(change.node)?.state === 'active') set(change.node, { state: 'leaving' })
        else problem(change.node, 'is not an active member')
        break
      case 'reweigh':
        once(change.node)
        set(change.node, { weight: change.weight, tokens: [] })
        break
      case 'replace': {
        const dead = once(change.dead)
        const by = change.by === '' ? undefined : once(change.by)
        if (dead !== undefined && !input.isSuspected(dead.id))
          problem(change.dead, 'answers: a live node leaves (quorate cluster leave), it is not replaced')
        if (by !== undefined && by.state !== 'staged') problem(change.by, 'is not waiting to join')
        if (dead === undefined) break
        // The tokens go over, so that nothing else moves.
        if (by !== undefined) set(by.id, { state: 'active', tokens: dead.tokens, weight: dead.weight })
        after = after.filter(({ id }) => id !== dead.id)
        removed.push({ id: dead.id, incarnation: dead.incarnation })
        break
      }
      default:
        break
    }
  }
  return { members: withTokens(after, tokensPerNode), removed }
}

/** Newcomers get tokens; a node whose weight changed gets others. */
function withTokens(members: readonly Member[], tokensPerNode: number): Member[] {
  const needs = members.filter(({ state, tokens }) => state === 'active' && tokens.length === 0)
  if (needs.length === 0) return [...members]
  const existing = members.filter(({ state, tokens }) => state === 'active' && tokens.length > 0)
  const tokens = allocateTokens(needs, existing, { tokensPerNode, replicaCount: 3, random: false })
  return members.map(member => ({ ...member, tokens: tokens.get(member.id) ?? member.tokens }))
}

function planTable(
  input: PlanInput,
  view: TableView,
  membersAfter: readonly Member[],
  problem: Complain,
  warnings: string[],
): TablePlan {
  const { descriptor, map } = view
  const { id, name, partitioning, replication } = descriptor
  const prefixLength = map.partitions[0]!.from.length
  const current: TargetPartition[] = map.partitions.map(partition => ({
    start: partition.from.slice(prefixLength) as ByteString,
    replicas: partition.settled,
    id: partition.id,
  }))
  const active = membersAfter.filter(member => member.state === 'active')
  const plan = {
    table: id,
    name,
    partitioning: partitioning.kind,
    chunks: map.chunks.map(placementOf),
  }
  const shape = (list: readonly TargetPartition[], nodes: readonly Member[]) => balanceOf(view, list, nodes)
  const before = shape(current, input.members.members)
  const nothing = { splits: [], merges: [], moves: [] }
  const n = Math.min(replication.n, Math.max(current[0]!.replicas.length, active.length))
  if (active.length < Math.min(replication.n, current[0]!.replicas.length)) {
    problem(name, `keeps ${replication.n} copies of each row, and ${active.length} members would be left`)
    return { ...plan, ...nothing, ...betweenOf(before, before) }
  }
  const target = targetOf(view, current, active, n, input.staged, problem)
  const after = shape(target.partitions, active)
  const moves = movesBetween(input, view, current, target.partitions)
  for (const move of moves) refuseUnsafe(input, view, move, problem, warnings)
  if (partitioning.kind === 'modulo' && moves.length > 0) {
    const share = Math.round((moves.length / target.partitions.length) * 100)
    warnings.push(
      `"${name}" is cut modulo the nodes: ${share} % of its partitions move (of N nodes to N+1, N/(N+1) of the keys)`,
    )
  }
  return { ...plan, splits: target.splits, merges: target.merges, moves, ...betweenOf(before, after) }
}

interface Shape {
  readonly balance: number
  readonly narrow: number
}

const betweenOf = (before: Shape, after: Shape) => ({
  balanceBefore: before.balance,
  balanceAfter: after.balance,
  narrowBefore: before.narrow,
  narrowAfter: after.narrow,
})

function balanceOf(
  view: TableView,
  partitions: readonly TargetPartition[],
  members: readonly Member[],
): Shape {
  const holding = members.filter(member => member.state !== 'staged')
  const load = new Map<string, number>(holding.map(member => [member.id, 0]))
  const zoneOf = new Map(members.map(member => [member.id as string, member.zone]))
  const zones = new Set(holding.map(member => member.zone)).size
  let narrow = 0
  partitions.forEach(({ start, replicas }, at) => {
    const width = view.order === 'hashed' ? widthOf(start, partitions[at + 1]?.start) : 1
    for (const node of replicas) load.set(node, (load.get(node) ?? 0) + width)
    const inZones = new Set(replicas.map(node => zoneOf.get(node) ?? node)).size
    if (inZones < Math.min(replicas.length, zones)) narrow++
  })
  const perWeight = holding.map(member => (load.get(member.id) ?? 0) / member.weight)
  const mean = sum([...load.values()], n => n) / sum(holding, member => member.weight)
  return { balance: mean === 0 ? 1 : Math.round((Math.max(...perWeight) / mean) * 1000) / 1000, narrow }
}

function widthOf(start: string, end: string | undefined): number {
  const number = (bytes: string): number =>
    [0, 1, 2, 3].reduce((value, at) => value * 256 + (bytes.length > at ? bytes.charCodeAt(at) : 0), 0)
  return (end === undefined ? 2 ** 32 : number(end)) - number(start)
}

function movesBetween(
  input: PlanInput,
  view: TableView,
  current: readonly TargetPartition[],
  target: readonly TargetPartition[],
): PlannedMove[] {
  let at = 0
  const moves: PlannedMove[] = []
  for (const [index, { start, replicas: to }] of target.entries()) {
    while (at + 1 < current.length && current[at + 1]!.start <= start) at++
    const { replicas: from, id, start: whole } = current[at]!
    if (to.length === from.length && to.every(node => from.includes(node))) continue
    const share =
      view.order === 'hashed'
        ? widthOf(start, target[index + 1]?.start) / widthOf(whole, current[at + 1]?.start)
        : 1
    const { rows = 0, bytes = 0 } = input.measured.get(`${view.descriptor.id}/${id}`) ?? {}
    const coming = to.filter(node => !from.includes(node)).length
    moves.push({
      start,
      from,
      to,
      rows: Math.round(rows * share * coming),
      bytes: Math.round(bytes * share * coming),
    })
  }
  return moves
}

/** A move is made of copies that live, and must end with as many as there were. */
function refuseUnsafe(
  input: PlanInput,
  view: TableView,
  { from, to, start }: PlannedMove,
  problem: Complain,
  warnings: string[],
): void {
  const { name, replication } = view.descriptor
  const where = `the partition of "${name}" at ${start === '' ? 'its start' : stringToHex(start)}`
  const gone = from.filter(
    node => !input.members.members.some(member => member.id === node) || isReplaced(input, node),
  )
  const down = from.filter(node => !gone.includes(node) && input.isSuspected(node))
  if (to.length === 0) problem(name, `${where} would be kept by nobody`)
  if (new Set(to).size < to.length) problem(name, `${where} would be kept twice by one node`)
  if (to.length < from.length && to.length < replication.n)
    problem(name, `${where} would have ${to.length} copies, fewer than the ${from.length} it has`)
  for (const node of down)
    problem(name, `${where} has a copy on ${node}, which does not answer: start it, or replace it, first`)
  const comingDown = to.filter(node => !from.includes(node) && input.isSuspected(node))
  for (const node of comingDown) problem(name, `${where} would go to ${node}, which does not answer`)
  const needed = Math.min(from.length - 1, from.length - copiesAcknowledged(replication) + 1)
  if (gone.length > 0 && from.length - gone.length < needed) {
    const left = from.length - gone.length
    const text = `${where} has lost ${gone.join(', ')}: writes acknowledged by w=${copiesAcknowledged(replication)} may have been on ${gone.length === 1 ? 'it' : 'them'} alone`
    if (left === 0) problem(name, `${text}, and no copy is left`)
    else if (!warnings.includes(text)) warnings.push(text)
  }
}

function isReplaced({ staged }: PlanInput, node: NodeId): boolean {
  return staged.some(change => change.kind === 'replace' && change.dead === node)
}

function planNodes(
  input: PlanInput,
  membersAfter: readonly Member[],
  tables: readonly TablePlan[],
): NodePlan[] {
  const count = new Map<string, number>()
  for (const view of input.views)
    for (const { settled } of view.map.partitions)
      for (const node of settled) count.set(node, (count.get(node) ?? 0) + 1)
  const nodes = new Map<string, { incoming: number; outgoing: number; change: number }>()
  const of = (node: string) => {
    const known = nodes.get(node) ?? { incoming: 0, outgoing: 0, change: 0 }
    nodes.set(node, known)
    return known
  }
  for (const { moves } of tables) {
    for (const { from, to, bytes } of moves) {
      const coming = to.filter(node => !from.includes(node))
      for (const node of coming) {
        of(node).incoming += bytes / coming.length
        of(node).change++
      }
      for (const node of from.filter(home => !to.includes(home))) {
        of(node).outgoing += bytes / Math.max(1, coming.length)
        of(node).change--
      }
    }
  }
  return [...membersAfter]
    .sort((a, b) => compareStrings(a.id, b.id))
    .map(({ id, zone }) => ({
      node: id,
      zone,
      partitionsBefore: count.get(id) ?? 0,
      partitionsAfter: (count.get(id) ?? 0) + of(id).change,
      incomingBytes: Math.round(of(id).incoming),
      outgoingBytes: Math.round(of(id).outgoing),
      freeBytes: input.freeBytes.get(id),
    }))
}
