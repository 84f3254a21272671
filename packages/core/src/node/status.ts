/** What a node says of itself: one plain document for status pages, metrics and the command. */

import { stringToHex } from '../base/bytes.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { MemberState } from '../catalog/cluster-state.ts'
import { copiesAcknowledged } from '../catalog/replication-settings.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { stampMs } from '../causality/hybrid-clock.ts'
import type { Counters } from '../leaderless/counters.ts'
import type { StoreStatus } from '../store/store-face.ts'
import { type LedStatus, ledStatus } from './led-status.ts'
import type { Node } from './node.ts'
import type { ProofSummary } from './proof-ages.ts'

export interface NodeStatus {
  readonly node: string
  readonly cluster: string
  readonly incarnation: string
  readonly state: 'forming' | 'ready' | 'rebuilding' | 'full' | 'failed'
  readonly uptimeMs: number
  readonly members: readonly MemberStatus[]
  readonly tables: readonly TableStatus[]
  /** A range whose last proof is older than this is overdue. */
  readonly proofAgeMaxMs: number
  readonly registers:
    | { readonly epoch: number; readonly acceptors: readonly string[]; readonly changing: boolean }
    | undefined
  readonly store: StoreStatus
  readonly hints: readonly HintStatus[]
  readonly rebuild: { readonly ready: number; readonly total: number } | undefined
  readonly clock: { readonly ownOffsetMs: number; readonly reservedAheadMs: number }
  readonly coordinating: number
  readonly ledgerEntries: number
  readonly damagedRows: number
  readonly scrub:
    | {
        readonly finishedMs: number
        readonly cells: number
        readonly damaged: number
        readonly wrongLeaves: number
      }
    | undefined
  readonly counters: Counters & {
    /** Values a conflict rule or an expired hint gave up, all in the ledger. */
    readonly discarded: number
    /** Stamps refused as too far ahead, and cells refused by collection fences. */
    readonly driftRefused: number
    readonly fenced: number
  }
}

export interface MemberStatus {
  readonly id: string
  readonly address: string
  readonly http: string
  readonly zone: string
  readonly region: string
  readonly weight: number
  readonly state: MemberState
  readonly tokens: number
  readonly suspected: boolean
  readonly phi: number
  /** Hints that this member says it holds for others. */
  readonly hintsHeld: number
}

export interface TableStatus {
  readonly id: number
  readonly name: string
  readonly conflict: string
  readonly replication: string
  readonly n: number
  readonly r: number
  readonly w: number
  readonly sloppy: boolean
  /** Rows of this table on this node, tombstones included. */
  readonly rows: number
  readonly partitions: number
  readonly partitioning: string
  /** Of the table's whole map; and how many partitions are moving now. */
  readonly mapVersion: number
  readonly moving: number
  /** How well it is proven that this node and its peers hold the same. */
  readonly sweep: ProofSummary
  /** Of tables with leaders. */
  readonly led: LedStatus | undefined
}

export interface HintStatus {
  readonly target: string
  readonly count: number
  readonly bytes: number
  readonly oldestMs: number | undefined
}

export function nodeStatus(node: Node): NodeStatus {
  const { catalog, context, coordination, rebuild, time, scrubber } = node
  const store = node.store.status()
  const { membership, config } = coordination
  const self = node.config.id
  return {
    node: self,
    cluster: coordination.clusterId,
    incarnation: stringToHex(node.store.incarnation),
    state: stateOf(node, store),
    uptimeMs: Math.round(node.uptimeMs),
    members: catalog.members.members.map(member => ({
      id: member.id,
      address: member.address,
      http: member.http,
      zone: member.zone,
      region: member.region,
      weight: member.weight,
      state: member.state,
      tokens: member.tokens.length,
      suspected: membership.isSuspected(member.id),
      phi: Math.min(999, Math.round(membership.phi(member.id) * 10) / 10),
      hintsHeld: member.id === self ? context.hints.count : Number(membership.get(member.id, 'hints') ?? 0),
    })),
    tables: catalog.views().map(view => tableStatus(node, view)),
    proofAgeMaxMs: node.proofs.maxMs,
    registers:
      config === undefined
        ? undefined
        : {
            epoch: config.epoch,
            acceptors: config.acceptors.map(acceptor => acceptor.node),
            changing: config.joint !== undefined,
          },
    store,
    hints: context.hints.targets().map(target => {
      const { count, bytes } = context.hints.totals(target)
      const since = context.hints.oldestSince(target)
      return { target, count, bytes, oldestMs: since === undefined ? undefined : stampMs(since) }
    }),
    rebuild: rebuild.pending ? rebuild.progress(catalog) : undefined,
    clock: {
      ownOffsetMs: Math.round(time.ownOffsetMs),
      reservedAheadMs: Math.round(stampMs(context.hybrid.reserved) - time.now()),
    },
    coordinating: node.admission.coordinating,
    ledgerEntries: context.ledger.count,
    damagedRows: context.rows.damagedKeys.size,
    scrub:
      scrubber.lastReport === undefined
        ? undefined
        : {
            finishedMs: scrubber.lastFinishedMs ?? 0,
            cells: scrubber.lastReport.cells,
            damaged: scrubber.lastReport.damaged,
            wrongLeaves: scrubber.lastReport.wrongLeaves,
          },
    counters: {
      ...node.counters,
      discarded: context.ledger.recorded,
      driftRefused: context.hybrid.refused,
      fenced: context.fences.refused,
    },
  }
}

function tableStatus(node: Node, view: TableView): TableStatus {
  const { descriptor, map } = view
  return {
    id: descriptor.id as number,
    name: descriptor.name,
    conflict: descriptor.conflict.kind,
    n: descriptor.replication.n,
    replication: descriptor.replication.kind,
    ...(descriptor.replication.kind === 'leaderless'
      ? { r: descriptor.replication.r, w: descriptor.replication.w, sloppy: descriptor.replication.sloppy }
      : { r: 1, w: copiesAcknowledged(descriptor.replication), sloppy: false }),
    rows: node.trees.rows(descriptor.id),
    partitions: map.partitions.length,
    partitioning: descriptor.partitioning.kind,
    mapVersion: map.version,
    moving: map.partitions.filter(partition => partition.move !== undefined).length,
    sweep: node.proofs.of(view),
    led: ledOf(descriptor) === undefined ? undefined : ledStatus(node.leaders.partitions, descriptor.id),
  }
}

function stateOf(node: Node, store: StoreStatus): NodeStatus['state'] {
  if (store.state === 'failed' || store.state === 'closed') return 'failed'
  if (store.state === 'full') return 'full'
  if (node.catalog.members.members.length === 0) return 'forming'
  return node.rebuild.pending ? 'rebuilding' : 'ready'
}
