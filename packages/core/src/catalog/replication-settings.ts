/** How the rows of a table are replicated: the protocol and its settings, each checked and named when it is wrong. */

import { QuorateError } from '../base/errors.ts'
import {
  ACKNOWLEDGEMENTS,
  type Acknowledgement,
  copiesPromised,
  whyImpossible,
} from '../leadership/acknowledgement.ts'
import { LOG_KINDS, type LogKind } from '../leadership/log-kinds.ts'
import { majorityOf } from '../quorum/quorum-tally.ts'
import { bad, count, objectAt } from './settings.ts'

export const REPLICATION_KINDS = ['leaderless', 'single-leader', 'consensus'] as const

export interface LeaderlessReplication {
  readonly kind: 'leaderless'
  /** Copies of each row. */
  readonly n: number
  /** Answers a read waits for, and acknowledgements a write waits for, when the request names none. */
  readonly r: number
  readonly w: number
  /** May nodes outside the home replicas stand in for dead ones? */
  readonly sloppy: boolean
  /** `blocking`: a read that found stale replicas answers after a quorum of them is repaired (monotonic quorum reads). */
  readonly readRepair: 'async' | 'blocking'
}

export interface SingleLeaderReplication {
  readonly kind: 'single-leader'
  readonly n: number
  /** Copies that exist before a writer hears "committed" (leadership/acknowledgement.ts). */
  readonly ack: Acknowledgement
  /** Of `in-sync`: fewer members of the set refuse writes. */
  readonly minInSync: number
  readonly log: LogKind
  /**
   * Of calls whose result differs wherever they are made (`now()`, `uuid()` …): `true` puts their results into the entry,
   * `refuse` refuses statements with them, `false` ships them as they are, and replicas diverge.
   */
  readonly freeze: boolean | 'refuse'
  /** Of `one`: the copy is in another zone than the leader's while any replica there can be reached. */
  readonly otherZone: boolean
}

/** Each row is agreed on by more than half of its replicas, write by write; nobody leads. */
export interface ConsensusReplication {
  readonly kind: 'consensus'
  readonly n: number
}

export type Replication = LeaderlessReplication | SingleLeaderReplication | ConsensusReplication

/** Copies that a write has at least when it is acknowledged. */
export function copiesAcknowledged(replication: Replication): number {
  if (replication.kind === 'consensus') return majorityOf(replication.n)
  return replication.kind === 'leaderless' ? replication.w : copiesPromised(replication)
}

type Settings<R extends Replication> = Partial<Omit<R, 'kind'>>

/** What a user gives; everything has a default. */
export type LeaderlessSpecification = Settings<LeaderlessReplication> & {
  readonly kind?: 'leaderless' | undefined
}
export type ReplicationSpecification =
  | LeaderlessSpecification
  | (Settings<SingleLeaderReplication> & { readonly kind: 'single-leader' })
  | (Settings<ConsensusReplication> & { readonly kind: 'consensus' })

export const N_MAX = 7

export function replicationOf(given: unknown): Replication {
  const kind = (given as { kind?: unknown } | undefined)?.kind ?? 'leaderless'
  if (kind === 'leaderless') return leaderlessOf(given)
  if (kind === 'single-leader') return singleLeaderOf(given)
  if (kind === 'consensus') return consensusOf(given)
  throw bad('replication.kind', `"${String(kind)}" is not known; known: ${REPLICATION_KINDS.join(', ')}`)
}

function leaderlessOf(given: unknown): LeaderlessReplication {
  const spec = objectAt(given ?? {}, 'replication', ['kind', 'n', 'r', 'w', 'sloppy', 'readRepair'])
  const n = count(spec.n ?? 3, 'replication.n', 1, N_MAX)
  const quorum = Math.floor(n / 2) + 1
  const r = level(spec.r ?? quorum, 'replication.r', n)
  const w = level(spec.w ?? quorum, 'replication.w', n)
  const sloppy = flag(spec.sloppy ?? false, 'replication.sloppy')
  const readRepair = choice(spec.readRepair ?? 'async', 'replication.readRepair', [
    'async',
    'blocking',
  ] as const)
  if (readRepair === 'blocking' && sloppy) {
    throw bad(
      'replication.readRepair',
      'blocking repair promises monotonic quorum reads, which a sloppy table cannot keep',
    )
  }
  return { kind: 'leaderless', n, r, w, sloppy, readRepair }
}

function consensusOf(given: unknown): ConsensusReplication {
  const spec = objectAt(given, 'replication', ['kind', 'n'])
  return { kind: 'consensus', n: count(spec.n ?? 3, 'replication.n', 1, N_MAX) }
}

function singleLeaderOf(given: unknown): SingleLeaderReplication {
  const known = ['kind', 'n', 'ack', 'minInSync', 'log', 'freeze', 'otherZone'] as const
  const spec = objectAt(given, 'replication', known)
  const n = count(spec.n ?? 3, 'replication.n', 1, N_MAX)
  const ack = choice(spec.ack ?? 'majority', 'replication.ack', ACKNOWLEDGEMENTS)
  if (ack !== 'in-sync' && spec.minInSync !== undefined && spec.minInSync !== 1)
    throw bad('replication.minInSync', `is of ack "in-sync"; ack "${ack}" says by itself how many copies`)
  const minInSync = ack === 'in-sync' ? wholeNumber(spec.minInSync ?? Math.min(2, n)) : 1
  const impossible = whyImpossible({ ack, n, minInSync })
  if (impossible !== undefined)
    throw bad(ack === 'in-sync' ? 'replication.minInSync' : 'replication.ack', impossible)
  const log = choice(spec.log ?? 'logical', 'replication.log', LOG_KINDS)
  const freeze = spec.freeze ?? true
  if (freeze !== 'refuse' && typeof freeze !== 'boolean')
    throw bad('replication.freeze', 'is true, false or "refuse"')
  if (freeze !== true && log !== 'statement')
    throw bad('replication.freeze', `is of log "statement"; a ${log} log carries results, never calls`)
  const otherZone = flag(spec.otherZone ?? false, 'replication.otherZone')
  if (otherZone && ack !== 'one')
    throw bad('replication.otherZone', `is of ack "one": where its one copy is; ack is "${ack}"`)
  return { kind: 'single-leader', n, ack, minInSync, log, freeze, otherZone }
}

function wholeNumber(given: unknown): number {
  if (typeof given === 'number' && Number.isInteger(given)) return given
  throw bad('replication.minInSync', `is a whole number, not ${JSON.stringify(given)}`)
}

function flag(given: unknown, field: string): boolean {
  if (typeof given !== 'boolean') throw bad(field, 'is true or false')
  return given
}

function choice<T extends string>(given: unknown, field: string, of: readonly T[]): T {
  const found = of.find(name => name === given)
  if (found === undefined) throw bad(field, `is ${of.join(', ')}; not ${JSON.stringify(given)}`)
  return found
}

function level(value: unknown, field: string, n: number): number {
  if (value === 'one') return 1
  if (value === 'quorum') return Math.floor(n / 2) + 1
  if (value === 'all') return n
  if (typeof value === 'number' && value > n) {
    throw new QuorateError(
      'QUORUM_LARGER_THAN_N',
      `${field} is ${value}, but there are only n=${n} replicas`,
      {
        data: { field, asked: value, n },
      },
    )
  }
  return count(value, field, 1, n)
}
