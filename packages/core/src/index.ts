/** The one door of the package: everything other packages may use. */

export * from './base/assert.ts'
export * from './base/base64.ts'
export * from './base/bytes.ts'
export * from './base/crc32c.ts'
export * from './base/errors.ts'
export * from './base/ids.ts'
export * from './base/key-encoding.ts'
export * from './base/limits.ts'
export * from './base/murmur3.ts'
export * from './base/prng.ts'
export * from './base/sorted-tree.ts'
export * from './catalog/catalog.ts'
export * from './catalog/cluster-changes.ts'
export * from './catalog/cluster-state.ts'
export * from './catalog/partitioning-settings.ts'
export * from './catalog/replication-settings.ts'
export * from './catalog/table-descriptor.ts'
export * from './causality/context.ts'
export * from './causality/hybrid-clock.ts'
export * from './cells/cell.ts'
export * from './cells/cell-codec.ts'
export * from './cells/context-token.ts'
export * from './cells/document.ts'
export type { MergeFunction } from './cells/merge-functions.ts'
export { isMergeRule, MERGE_STOPPED, MergeModules } from './cells/merge-modules.ts'
export * from './cells/rules.ts'
export * from './cells/superseded.ts'
export * from './crdt/field-key.ts'
export * from './crdt/fields.ts'
export * from './crdt/steps.ts'
export { updatesTogether } from './crdt/yjs-updates.ts'
export {
  type HotCounters,
  HotPartitions,
  type HotPartitionsOptions,
} from './hotkeys/hot-partitions.ts'
export * from './hotkeys/hot-report.ts'
export * from './hotkeys/single-flight-cache.ts'
export * from './hotkeys/space-saving.ts'
export { encodeStatement } from './leader/change-input.ts'
export { decodeBody, documentOf, type LogBody, type Statement } from './leader/log-body.ts'
export { type LogEntry, PartitionLog } from './leader/partition-log.ts'
export type { Counters } from './leaderless/counters.ts'
export { describeBoundary, type RowWords, rowWords } from './leaderless/describe-row.ts'
export { handedOn } from './leaderless/handed-on.ts'
export { LatencyTracker } from './leaderless/latency-tracker.ts'
export { LEDGER_REASONS, type LedgerEntry } from './leaderless/ledger.ts'
export * from './leadership/acknowledgement.ts'
export * from './leadership/election.ts'
export * from './leadership/epoch-history.ts'
export * from './leadership/leadership.ts'
export * from './leadership/log-kinds.ts'
export * from './leadership/spread.ts'
export type { MoveReport } from './movement/mover.ts'
export type { NodePlan, Plan, PlannedMove, PlanProblem, TablePlan } from './movement/plan.ts'
export { defaultAutoPolicy } from './node/auto-policy.ts'
export { createTable } from './node/catalog-handlers.ts'
export type { ClusterControl } from './node/cluster-control.ts'
export * from './node/explain.ts'
export { type HotDocument, type HotKey, type HotPartition, hotPartitions } from './node/hot.ts'
export * from './node/led-status.ts'
export { type Restored, type RestoreOptions, restoreEntry, valueOfEntry } from './node/ledger-restore.ts'
export { Node, type NodeHooks, type World } from './node/node.ts'
export {
  defaultTuning,
  type InitialMember,
  type JoinConfig,
  type NodeConfig,
  type NodeTuning,
  nodeConfigProblems,
} from './node/node-config.ts'
export { planChangesNothing } from './node/plan-input.ts'
export type { OverdueRange, ProofSummary } from './node/proof-ages.ts'
export * from './node/status.ts'
export { type PartitionVerdict, verifyPartition } from './node/verify.ts'
export * from './partitioning/arc-map.ts'
export { assignReplicas } from './partitioning/assignment.ts'
export { fixedArcs } from './partitioning/fixed.ts'
export * from './partitioning/key-split.ts'
export * from './partitioning/map-chunks.ts'
export { moduloArcs } from './partitioning/modulo.ts'
export * from './partitioning/movement-report.ts'
export * from './partitioning/partition-map.ts'
export * from './partitioning/placement.ts'
export * from './partitioning/range-splits.ts'
export * from './partitioning/ring.ts'
export * from './partitioning/row-key.ts'
export * from './partitioning/token-allocation.ts'
export * from './ports/clock.ts'
export * from './ports/disk.ts'
export * from './ports/pause.ts'
export * from './ports/random.ts'
export * from './ports/table.ts'
export * from './ports/transport.ts'
export type { ChangeDecision, ChangeFunction, ChangeOutcome } from './register/changes.ts'
export { agreeOnCluster, REGISTER_IDENTITY } from './register/cluster-identity.ts'
export {
  type DoneOperation,
  decodeRegisterValue,
  encodeRegisterValue,
  type RegisterValue,
  registerAbsent,
  type Versioned,
} from './register/register-value.ts'
export {
  boundedChange,
  compareAndSetFunction,
  deleteFunction,
  type MakeRegisters,
  type OpenRegisters,
  type RegisterCallOptions,
  type RegisterListener,
  type Registers,
} from './register/registers.ts'
export * from './sessions/session-state.ts'
export * from './sessions/session-token.ts'
export * from './store/keyspace.ts'
export { LogStore, type LogStoreOptions } from './store/log-store.ts'
export type { LogDamage, ScrubStep } from './store/scrub.ts'
export * from './store/store-face.ts'
export type { StoreLimits } from './store/store-limits.ts'
export * from './updates/condition.ts'
export * from './updates/update.ts'
export * from './wire/agreed-messages.ts'
export * from './wire/byte-reader.ts'
export * from './wire/byte-writer.ts'
export * from './wire/led-messages.ts'
export * from './wire/messages.ts'
export * from './wire/protocol-version.ts'
export * from './wire/rpc.ts'
