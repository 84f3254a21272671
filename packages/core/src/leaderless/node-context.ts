/** What the leaderless machinery needs of the node it runs in. */

import type { NodeId, PeerId, TableId } from '../base/ids.ts'
import type { Catalog, TableView } from '../catalog/catalog.ts'
import type { HybridClock } from '../causality/hybrid-clock.ts'
import type { HotPartitions } from '../hotkeys/hot-partitions.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import type { SessionSeal } from '../sessions/session-token.ts'
import type { Store } from '../store/store-face.ts'
import type { Fences } from '../sweep/fences.ts'
import type { Rpc } from '../wire/rpc.ts'
import type { Counters } from './counters.ts'
import type { HintStore } from './hint-store.ts'
import type { Ledger } from './ledger.ts'
import type { RowStore } from './row-store.ts'
import type { UserLatency } from './user-latency.ts'

export interface NodeContext {
  readonly self: NodeId
  readonly clock: Clock
  readonly random: Random
  readonly store: Store
  readonly hybrid: HybridClock
  readonly rpc: Rpc
  readonly catalog: Catalog
  readonly rows: RowStore
  readonly hints: HintStore
  readonly ledger: Ledger
  readonly fences: Fences
  readonly counters: Counters
  /** What users feel of this node as their coordinator. */
  readonly latency: UserLatency
  /** What this node coordinates, by partition and key. */
  readonly hot: HotPartitions
  /** What session tokens are sealed and opened with. Throws NOT_READY. */
  sealOfSessions(): SessionSeal
  /** Liveness only routes; it never decides who owns anything. */
  isSuspected(node: NodeId): boolean
  /** May this replica answer reads of the partition? Not while it is being rebuilt after losing its store. */
  isReady(view: TableView, partition: Partition): boolean
  /** Looks whether `from` (or, without one, the registers) has a newer version of this piece of a map. */
  catchUp(table: TableId, chunk: number, from?: PeerId): Promise<void>
}
