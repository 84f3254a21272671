/** Everything that tables with a leader for each partition need on a node, composed. */

import type { ByteString, Stamp, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { stampMs } from '../causality/hybrid-clock.ts'
import { decodeBody, keysOf } from '../leader/log-body.ts'
import type { Admission } from '../leaderless/admission.ts'
import { LatencyTracker } from '../leaderless/latency-tracker.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { settleRow } from '../leaderless/session-call.ts'
import { SessionFlows } from '../leaderless/session-flows.ts'
import { localCalls } from '../led/calls.ts'
import { Challenger } from '../led/challenger.ts'
import { ChangeFeed } from '../led/change-feed.ts'
import { cutRecords } from '../led/cut-ledger.ts'
import { FeedReaders } from '../led/feed-readers.ts'
import { Filler } from '../led/filler.ts'
import { HandOver } from '../led/hand-over.ts'
import { InSyncKeeper } from '../led/in-sync-keeper.ts'
import { LedPartitions } from '../led/led-partitions.ts'
import { LedTables } from '../led/led-tables.ts'
import { LogKeeper } from '../led/log-keeper.ts'
import { RowHealer } from '../led/row-healer.ts'
import { UncleanElections } from '../led/unclean.ts'
import type { RowEntry } from '../sessions/session-state.ts'
import type { Coordination } from './coordination.ts'
import type { LogSince } from './ledger-restore.ts'
import type { NodeTuning } from './node-config.ts'
import type { Rebuild } from './rebuild.ts'

export interface LeaderPartsOptions {
  readonly node: NodeContext
  readonly coordination: Coordination
  readonly rebuild: Rebuild
  readonly admission: Admission
  readonly tuning: NodeTuning
  readonly onTrouble: (message: string) => void
  readonly onNews: (message: string) => void
}

export class LeaderParts {
  readonly partitions: LedPartitions
  readonly tables: LedTables
  readonly handOver: HandOver
  readonly rowHealer: RowHealer
  readonly unclean: UncleanElections
  readonly readers: FeedReaders
  readonly #challenger: Challenger
  readonly #inSync: InSyncKeeper
  readonly #filler: Filler
  readonly #logs: LogKeeper
  readonly #node: NodeContext

  constructor({ node, coordination, rebuild, admission, tuning, onTrouble, onNews }: LeaderPartsOptions) {
    const { leaseMs, leaderBeatMs: beatMs, inSyncLagMs: lagMs, logEntriesKept, logEntriesMax } = tuning
    this.#node = node
    this.partitions = new LedPartitions({
      node,
      leaseMs,
      beatMs,
      inSyncLagMs: lagMs,
      // A store that the cluster does not know yet is one that was lost: what it held was another one's promise.
      isEmptied: (view, partition) =>
        node.catalog.member(node.self)?.incarnation !== node.store.incarnation ||
        !node.isReady(view, partition),
      onFilled: (view, partition) => {
        rebuild.filled(view, partition)
        rebuild.finishWhenReady(node.catalog)
      },
      onCut: (table, entry, unclean) => cutRecords(node, table, entry, unclean),
      onRows: (table, changes) => node.rows.replaced(table, changes),
      calls: localCalls(node),
      onTrouble,
      onNews,
    })
    const sessions = new SessionFlows(node, new LatencyTracker())
    const settle = (row: RowEntry, deadline: number): Promise<void> =>
      settleRow(node, sessions.reads(deadline), row)
    this.tables = new LedTables({ node, partitions: this.partitions, admission, settle })
    const changing = {
      node,
      partitions: this.partitions,
      beatMs,
      change: coordination.maps.change.bind(coordination.maps),
      operation: () => coordination.operation(),
    }
    this.handOver = new HandOver(changing)
    this.unclean = new UncleanElections({ ...changing, leaseMs })
    new ChangeFeed(node, this.partitions)
    this.readers = new FeedReaders({
      catalog: node.catalog,
      rpc: node.rpc,
      clock: node.clock,
      keptMs: Math.max(tuning.logKeptMs, tuning.lateWriteMs),
      nowMs: () => stampMs(node.hybrid.peek()),
      registers: () => (coordination.hasRegisters ? coordination.registers : undefined),
      operation: () => coordination.operation(),
    })
    this.rowHealer = new RowHealer(node, this.partitions)
    this.#challenger = new Challenger({
      ...changing,
      leaseMs,
      patience: () => coordination.membership.suspicionMultiplier(),
      onTrouble,
    })
    this.#inSync = new InSyncKeeper({ ...changing, lagMs })
    this.#filler = new Filler(node, this.partitions, onNews)
    this.#logs = new LogKeeper({
      clock: node.clock,
      now: () => node.hybrid.peek(),
      partitions: this.partitions,
      entriesKept: logEntriesKept,
      keptMs: tuning.logKeptMs,
      entriesMax: logEntriesMax,
      bytesMax: tuning.logBytesMax,
      readers: this.readers,
      youngMs: tuning.lateWriteMs,
      onTrouble,
    })
  }

  /** What the log of a row's partition here tells of the time behind a stamp; undefined: there is no log here. */
  logSince(
    { table, rowKey }: { readonly table: TableId; readonly rowKey: ByteString },
    stamp: Stamp,
  ): LogSince | undefined {
    const partition = this.#node.catalog.find(table)?.map.locate(rowKey)
    const replica = partition && this.partitions.find(table, partition.id)?.seat.replica
    if (replica === undefined) return undefined
    const { log, carriedOut } = replica
    // As far back as a leader remembers which operations the log has.
    const from = Math.max(log.first, log.shape.last - limits.logOperationsMax + 1)
    let changed = false
    for (let at = carriedOut; at >= from; at--) {
      const body = decodeBody(log.entry(at).body)
      if (body.stamp <= stamp) return { reachesBack: true, changed, carriedOut }
      changed ||= keysOf(body).includes(rowKey)
    }
    return { reachesBack: from === 1, changed, carriedOut }
  }

  start(): void {
    this.partitions.start()
    this.#challenger.start()
    this.#inSync.start()
    this.#logs.start()
  }

  stop(): void {
    this.#challenger.stop()
    this.#inSync.stop()
    this.#filler.stop()
    this.#logs.stop()
    this.partitions.stop()
  }
}
