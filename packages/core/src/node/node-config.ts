import { QuorateError } from '../base/errors.ts'
import type { NodeId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'

/** A member as the configuration names it before the cluster exists. */
export interface InitialMember {
  readonly id: NodeId
  /** `host:port` of the data listener and of the admin interface. */
  readonly address: string
  readonly http: string
  readonly zone: string
  readonly region: string
  readonly weight: number
}

export interface NodeTuning {
  readonly gossipIntervalMs: number
  readonly sweepIntervalMs: number
  readonly sweepRecheckMs: number
  readonly collectIntervalMs: number
  /** How long clients may go on trying one write, with the clocks' drift: nothing younger is collected. */
  readonly lateWriteMs: number
  readonly scrubIntervalMs: number
  /** What each node takes of rows that are moved to it, at most, per second; and partitions that move at once. */
  readonly moveBytesPerSecond: number
  readonly movesAtOnce: number
  /** Of rows that come in one message while a partition is moved: merged in one turn, so users wait for it. */
  readonly movePageBytes: number
  /** How often partitions of range tables are looked at, whether to split or merge them. */
  readonly splitIntervalMs: number
  /** How often it is looked whether members are even, where an operator has switched balancing on. */
  readonly autoIntervalMs: number
  /** How old an answer to a read at r = 1 may be, from the memory of its coordinator; 0: off. */
  readonly hotReadCacheMs: number
  /** How long followers promise to answer no election after they have heard their leader; and how often they do. */
  readonly leaseMs: number
  readonly leaderBeatMs: number
  /** A follower that was not up to date for so long leaves the in-sync set. */
  readonly inSyncLagMs: number
  /** Entries of a log that are kept at least, for followers and readers that were away. */
  readonly logEntriesKept: number
  /** What is younger is kept, too. */
  readonly logKeptMs: number
  /** What a log keeps at most for replicas and readers that are behind, in entries and bytes of one partition. */
  readonly logEntriesMax: number
  readonly logBytesMax: number
  /** Rows of a cut or joined partition that are counted at once for its tree. */
  readonly treeSliceRows: number
  /** 16 allocated, or 256 random. */
  readonly tokensPerNode: number
  readonly randomTokens: boolean
}

export const defaultTuning: NodeTuning = {
  gossipIntervalMs: 1_000,
  sweepIntervalMs: 30_000,
  sweepRecheckMs: 500,
  collectIntervalMs: 60_000,
  lateWriteMs: limits.requestTimeoutMaxMs + limits.clockDriftMaxMs,
  scrubIntervalMs: 3_600_000,
  moveBytesPerSecond: 16 * 1024 * 1024,
  movesAtOnce: 32,
  movePageBytes: 64 * 1024,
  splitIntervalMs: 5_000,
  autoIntervalMs: 10_000,
  hotReadCacheMs: 0,
  leaseMs: 1_000,
  leaderBeatMs: 200,
  inSyncLagMs: 3_000,
  logEntriesKept: 10_000,
  logKeptMs: 600_000,
  logEntriesMax: 1_000_000,
  logBytesMax: 1024 * 1024 * 1024,
  treeSliceRows: 2_000,
  tokensPerNode: 16,
  randomTokens: false,
}

export interface NodeConfig {
  readonly id: NodeId
  /** All initial members, this one included: the same list on every node. A node that joins: itself alone. */
  readonly members: readonly InitialMember[]
  /** Set on a node that joins a cluster that exists: whom it asks. */
  readonly join?: JoinConfig
  readonly tuning: NodeTuning
}

export interface JoinConfig {
  /** Some members: `host:port` of their data listeners, and how the transport names them. */
  readonly seeds: readonly { readonly peer: PeerId; readonly address: string }[]
  /** Id of the cluster; empty: whichever answers. */
  readonly cluster: string
  /** Its zone is meant to be one that no member is in yet. */
  readonly newZone: boolean
}

export interface NodeConfigProblem {
  /** The member it is about; undefined: the list of members. */
  readonly member: NodeId | undefined
  readonly field: 'members' | 'id' | 'weight' | 'zone'
  readonly message: string
}

/** Everything that is wrong with a configuration. */
export function nodeConfigProblems({
  id: self,
  members,
}: Pick<NodeConfig, 'id' | 'members'>): NodeConfigProblem[] {
  const out: NodeConfigProblem[] = []
  const wrong = (member: NodeId | undefined, field: NodeConfigProblem['field'], message: string): void => {
    out.push({ member, field, message })
  }
  const ids = members.map(member => member.id)
  if (!ids.includes(self)) wrong(undefined, 'members', `the node "${self}" is not among the initial members`)
  if (new Set(ids).size !== ids.length) wrong(undefined, 'members', 'two members have the same id')
  for (const { id, weight, zone } of members) {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,31}$/.test(id))
      wrong(id, 'id', `"${id}" is no node id (letters, digits, . _ -, up to 32)`)
    if (!(weight > 0) || weight > 64) wrong(id, 'weight', `of "${id}" must be above 0 and at most 64`)
    if (zone === '') wrong(id, 'zone', `of "${id}" is empty`)
  }
  return out
}

export function checkNodeConfig(config: NodeConfig): void {
  const [first, ...more] = nodeConfigProblems(config).map(({ field, message }) => `${field}: ${message}`)
  if (first === undefined) return
  throw new QuorateError('BAD_REQUEST', [first, ...more].join('; '), {
    data: { field: first.split(':')[0]! },
  })
}

const VOTERS_MAX = 5

/** The nodes that hold the registers: the first by id, an odd number up to five. */
export function initialVoters(members: readonly InitialMember[]): NodeId[] {
  return members
    .map(member => member.id)
    .sort()
    .slice(0, votersOf(members.length))
}

/** How many of so many members hold the registers: an odd number, so that none is there for nothing. */
export function votersOf(members: number): number {
  const count = Math.min(VOTERS_MAX, members)
  return count % 2 === 0 && count > 0 ? count - 1 : count
}
