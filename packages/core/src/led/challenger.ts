/**
 * Elections: what a follower does that has heard no leader for longer than the lease.
 *
 * Mechanism: first it asks everyone whether they would vote (nothing is promised: a follower that alone has lost its
 * leader disturbs nobody, and a leader that is merely slow says that it leads). If that would make an election clean it
 * reads the register, asks for real votes, each of which is a durable fence against the old epoch, and writes the next
 * epoch by compare-and-set with the votes as evidence. The leader is whoever has the most, mostly not the challenger.
 *
 * Load alone is no failure: the silence that is tolerated grows with how late this node's own timers run. Attempts that
 * fail, and elections that follow each other, wait longer each time; after many an operator is told.
 *
 * Invariants: votes are asked for the epoch that the register had; nothing is written that is not clean; what this
 * node believes of the result it has from the register.
 */

import type { QuorateError } from '../base/errors.ts'
import type { NodeId, OperationId, PeerId, TableId } from '../base/ids.ts'
import { randomUnit } from '../base/prng.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { electOver, type Vote } from '../leadership/election.ts'
import { elected } from '../leadership/leadership.ts'
import { changeChunk } from '../partitioning/map-chunks.ts'
import type { MapChunk } from '../partitioning/partition-map.ts'
import { partitionSets } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import type { ChangeOutcome } from '../register/changes.ts'
import { type LogVote, logVoteMessage, mapChangedMessage } from '../wire/led-messages.ts'
import type { Held, LedPartitions } from './led-partitions.ts'

export interface ChallengerOptions {
  readonly node: NodeContext
  readonly partitions: LedPartitions
  readonly leaseMs: number
  readonly beatMs: number
  /** How much longer than others this node should wait, by the lateness of its own timers: 1 and more. */
  readonly patience: () => number
  readonly change: (
    table: TableId,
    chunk: number,
    change: (chunk: MapChunk | undefined) => MapChunk | string,
    operation: OperationId,
  ) => Promise<ChangeOutcome>
  readonly operation: () => OperationId
  readonly onTrouble: (message: string) => void
}

const BACKOFF_MAX_MS = 20_000
/** Elections of one partition in this time that are one failure, not a series of them. */
const SERIES_MS = 60_000
/** So many in a series, and a person should look. */
const SERIES_MAX = 5

interface Record {
  /** Not before this moment. */
  nextMs: number
  failures: number
  /** When its leader changed, as seen here, lately. */
  changes: number[]
  epoch: number
}

export class Challenger {
  readonly #options: ChallengerOptions
  readonly #records = new Map<string, Record>()
  readonly #running = new Set<string>()
  #stopped = false

  constructor(options: ChallengerOptions) {
    this.#options = options
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    const { node, partitions, beatMs } = this.#options
    while (!this.#stopped) {
      // Chance keeps challengers apart; where there is nothing to challenge none is drawn.
      const isIdle = partitions.held().length === 0
      await pause(node.clock, beatMs * (isIdle ? 0.5 : 0.25 + randomUnit(node.random) / 2))
      if (!this.#stopped) this.#look()
    }
  }

  #look(): void {
    const byPiece = new Map<string, Held[]>()
    for (const held of this.#options.partitions.held()) {
      this.#note(held)
      if (!this.#isDue(held)) continue
      const piece = `${held.view.descriptor.id}/${held.partition.chunk}`
      if (this.#running.has(piece)) continue
      byPiece.set(piece, [...(byPiece.get(piece) ?? []), held])
    }
    for (const [piece, held] of byPiece) {
      this.#running.add(piece)
      void this.#challenge(held).finally(() => this.#running.delete(piece))
    }
  }

  /** Leaders that follow each other fast are waited for longer each time. */
  #note({ seat, partition }: Held): void {
    const record = this.#record(seat.place.table, partition.id)
    const epoch = partition.lead?.epoch ?? 0
    if (epoch === record.epoch) return
    const nowMs = this.#options.node.clock.monotonicMs()
    const isFirst = record.epoch === 0
    record.epoch = epoch
    record.failures = 0
    if (isFirst || partition.lead?.evidence.kind !== 'elected') return
    record.changes = [...record.changes.filter(at => nowMs - at < SERIES_MS), nowMs]
    const series = record.changes.length
    if (series > 1) record.nextMs = nowMs + Math.min(BACKOFF_MAX_MS, 500 * 2 ** series)
    if (series === SERIES_MAX)
      this.#options.onTrouble(
        `partition ${partition.id} of table ${seat.place.table} has changed its leader ${series} times in a minute: the network or a disk should be looked at; further elections wait up to ${BACKOFF_MAX_MS / 1_000} s`,
      )
  }

  #record(table: TableId, partition: number): Record {
    const name = `${table}/${partition}`
    const record = this.#records.get(name) ?? { nextMs: 0, failures: 0, changes: [], epoch: 0 }
    this.#records.set(name, record)
    return record
  }

  #isDue({ seat, partition }: Held): boolean {
    const { node, leaseMs, patience } = this.#options
    if (seat.leading !== undefined || partition.lead === undefined || !seat.isReadable) return false
    const nowMs = node.clock.monotonicMs()
    // A leader that has begun anew need not wait for itself.
    const tolerated = partition.lead.leader === node.self ? 0 : leaseMs * patience()
    return nowMs >= seat.heardMs + tolerated && nowMs >= this.#record(seat.place.table, partition.id).nextMs
  }

  /** Partitions of one piece of a map. */
  async #challenge(all: readonly Held[]): Promise<void> {
    const likely = await this.#votes(all, true)
    const promising = likely.filter(asked => this.#isClean(asked) && !asked.votes.some(({ leads }) => leads))
    for (const asked of likely) if (!promising.includes(asked)) this.#failed(asked.held)
    if (promising.length === 0 || this.#stopped) return
    const { table } = promising[0]!.held.seat.place
    const { chunk } = promising[0]!.held.partition
    // The register's word on which epoch it is; what gossip told may be old.
    await this.#options.node.catchUp(table, chunk)
    const still = promising.flatMap(({ held, epoch }) => {
      const now = this.#options.partitions.find(table, held.partition.id)
      return now?.partition.lead?.epoch === epoch && now.seat.leading === undefined ? [now] : []
    })
    if (still.length === 0 || this.#stopped) return
    const asked = (await this.#votes(still, false)).filter(
      one => this.#isClean(one) || this.#failed(one.held),
    )
    if (asked.length > 0 && !this.#stopped) await this.#write(table, chunk, asked)
  }

  #failed({ seat, partition }: Held): false {
    const { node, leaseMs } = this.#options
    const record = this.#record(seat.place.table, partition.id)
    record.failures++
    const waitMs = Math.min(BACKOFF_MAX_MS, (leaseMs / 4) * 2 ** Math.min(record.failures, 8))
    record.nextMs = node.clock.monotonicMs() + waitMs * (0.5 + randomUnit(node.random))
    return false
  }

  async #write(table: TableId, chunk: number, asked: readonly Asked[]): Promise<void> {
    const { node, change, operation } = this.#options
    const byId = new Map(asked.map(one => [one.held.partition.id, one]))
    const outcome = await change(
      table,
      chunk,
      current => {
        if (current === undefined) return 'there is no such piece of a map'
        const changed = changeChunk(current, entry => {
          const one = byId.get(entry.id)
          if (one === undefined || entry.lead === undefined) return entry
          const { replicas, writeSets: sets } = partitionSets(entry)
          const lead = elected({ ...entry.lead, replicas, sets }, this.#challengeOf(one))
          if (typeof lead === 'string') return entry
          const { leader, epoch, inSync, evidence, unclean } = lead
          return { ...entry, lead: { leader, epoch, inSync, evidence, unclean } }
        })
        return changed ?? 'other leaders have been elected meanwhile'
      },
      operation(),
    )
    if (outcome.kind === 'committed') node.counters.elections++
    else for (const { held } of asked) this.#failed(held)
    this.#tell(table, chunk, asked)
  }

  #challengeOf({ held, epoch, votes }: Asked) {
    const { ack, minInSync } = ledOf(held.view.descriptor)!
    return {
      rule: { ack, minInSync, n: held.partition.replicas.length },
      seenEpoch: epoch,
      votes: votes
        .filter(({ granted }) => granted)
        .map(({ node, end, emptied }): Vote => (emptied ? { node, end, isEmptied: true } : { node, end })),
      preferred: held.partition.replicas,
    }
  }

  #isClean(asked: Asked): boolean {
    const { rule, votes, preferred } = this.#challengeOf(asked)
    const { partition } = asked.held
    const { inSync } = partition.lead!
    return electOver(partition.writeSets, { rule, inSync, votes, preferred }).kind === 'clean'
  }

  /** Everyone concerned looks at once, the new leaders among them. */
  #tell(table: TableId, index: number, asked: readonly Asked[]): void {
    const { node } = this.#options
    for (const holder of new Set(asked.flatMap(({ held }) => held.partition.holders)))
      if (holder !== node.self) node.rpc.tell(holder as string as PeerId, mapChangedMessage, { table, index })
  }

  /** Asks all holders for their votes. */
  async #votes(all: readonly Held[], dry: boolean): Promise<Asked[]> {
    const asked = all.map(held => ({ held, epoch: held.partition.lead!.epoch, votes: [] as Answered[] }))
    const holders = new Set(asked.flatMap(({ held }) => held.partition.holders))
    await Promise.all([...holders].map(holder => this.#ask(holder, asked, dry)))
    return asked
  }

  #ask(holder: NodeId, all: readonly Asked[], dry: boolean): Promise<void> {
    const { node, leaseMs } = this.#options
    const concerned = all.filter(({ held }) => held.partition.holders.includes(holder))
    const partitions = concerned.map(({ held, epoch }) => ({
      table: held.seat.place.table as number,
      partition: held.partition.id,
      epoch,
    }))
    const request = { candidate: node.self, dry, partitions }
    return new Promise(resolve => {
      const onReply = (
        _: PeerId,
        reply: { votes: readonly LogVote[] } | undefined,
        __: QuorateError | undefined,
      ): void => {
        for (const [at, vote] of (reply?.votes ?? []).entries()) {
          const mine = concerned[at]
          if (mine !== undefined) mine.votes.push({ node: holder, ...vote })
        }
        resolve()
      }
      node.rpc.call([holder as string as PeerId], logVoteMessage, request, leaseMs / 3, onReply)
    })
  }
}

interface Answered extends LogVote {
  readonly node: NodeId
}

interface Asked {
  readonly held: Held
  /** The epoch that the votes were asked for. */
  readonly epoch: number
  readonly votes: Answered[]
}
