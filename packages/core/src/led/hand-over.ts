/**
 * Planned changes of leader: the old one stops, the new one has everything, the register says so. No lease is waited
 * for, since the one who held it gives it up; no write is lost, since none was under way.
 *
 * Invariants: from the moment it closes until the register has said no, the old leader acknowledges and answers nothing;
 * when nobody knows what the register said, it stays closed until its map tells, or its patience ends.
 */

import { QuorateError } from '../base/errors.ts'
import type { NodeId, PeerId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { handedOver } from '../leadership/leadership.ts'
import { changeChunk } from '../partitioning/map-chunks.ts'
import { type Partition, partitionSets } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import { mapChangedMessage, moveLeaderMessage } from '../wire/led-messages.ts'
import type { ChallengerOptions } from './challenger.ts'
import type { Leading } from './leading.ts'
import type { Held } from './led-partitions.ts'

type Options = Pick<ChallengerOptions, 'node' | 'partitions' | 'change' | 'operation'>

const POLL_MS = 2
/** The follower that is to lead may be behind by so much time of catching up, and writes wait for it. */
const CATCH_UP_MS = 1_000
/** So many entries it may lack when writes are stopped for it. */
const NEAR = 256
const BETWEEN_TRIES_MS = 3_000

export class HandOver {
  readonly #options: Options
  /** By partition: when the next try of a move may be made. */
  readonly #notBefore = new Map<string, number>()

  constructor(options: Options) {
    this.#options = options
    const { rpc, self } = options.node
    rpc.handle(moveLeaderMessage, ({ table, partition, to }, respond) => {
      const held = options.partitions.find(table, partition)
      const leading = held?.seat.leading
      if (held === undefined || leading === undefined)
        return respond.fail(options.partitions.notLeading(table, partition))
      if (to === self) return respond.ok({ epoch: leading.epoch })
      void this.run(held, leading, to).then(
        epoch => respond.ok({ epoch }),
        (error: unknown) => respond.fail(error),
      )
    })
  }

  /** Does a node lead that keeps the partition after its move? If this one leads, it hands over first, which takes a while. */
  async toOneOf({ descriptor }: TableView, { id, move, lead }: Partition): Promise<boolean> {
    const { node, partitions } = this.#options
    const to = move?.to ?? []
    if (lead?.leader !== node.self) return lead?.leader !== undefined && to.includes(lead.leader)
    const held = partitions.find(descriptor.id, id)
    const leading = held?.seat.leading
    if (held === undefined || leading === undefined) return false
    const has = (home: NodeId): number => leading.replication.matchedOf(home)
    const [heir] = to
      .filter(home => home !== node.self && !node.isSuspected(home))
      .sort((a, b) => has(b) - has(a))
    const name = `${descriptor.id}/${id}`
    if (heir === undefined || node.clock.monotonicMs() < (this.#notBefore.get(name) ?? 0)) return false
    // Each try closes the partition for as long as it takes.
    this.#notBefore.set(name, node.clock.monotonicMs() + BETWEEN_TRIES_MS)
    try {
      await this.run(held, leading, heir)
    } catch (error) {
      // It is not up to date now, or the register cannot be reached: asked again.
      if (!(error instanceof QuorateError)) throw error
    }
    return false
  }

  /** Resolves with the new epoch. */
  async run({ view, partition, seat }: Held, leading: Leading, to: NodeId): Promise<number> {
    const where = `partition ${partition.id} of "${view.descriptor.name}"`
    if (!partition.writeSets.flat().includes(to))
      throw new QuorateError(
        'BAD_REQUEST',
        partition.holders.includes(to)
          ? `${to} is still getting ready to keep ${where} and cannot lead it yet`
          : `${to} keeps no copy of ${where} and cannot lead it; ${partition.holders.join(', ')} do`,
      )
    await this.#nearlyCaughtUp(leading, seat.replica, to, where)
    // Another may have begun meanwhile: one seal is not two.
    if (leading.isClosing) throw new QuorateError('CONFLICT', `${where} is being handed over already`)
    leading.close()
    let isDecided = true
    try {
      await this.#caughtUp(leading, seat.replica, to, where)
      const { end } = seat.replica.log
      isDecided = false
      leading.seal()
      const epoch = await this.#write({ view, partition, seat }, leading, to, end)
      isDecided = true
      // Whatever the map here says yet: the register has another leader.
      leading.end(`${to} leads epoch ${epoch}`)
      return epoch
    } catch (error) {
      if (error instanceof QuorateError && error.outcome === 'not-applied') isDecided = true
      throw error
    } finally {
      // Nobody knows what the register says: an election settles it.
      if (!isDecided) leading.end('it was not learned whether it has handed over')
      else if (!leading.hasEnded) leading.reopen()
    }
  }

  /** With writes going on: they stop only for what is left then. */
  async #nearlyCaughtUp(
    leading: Leading,
    { log }: Held['seat']['replica'],
    to: NodeId,
    where: string,
  ): Promise<void> {
    const { clock } = this.#options.node
    const untilMs = clock.monotonicMs() + CATCH_UP_MS
    while (leading.replication.matchedOf(to) < log.shape.last - NEAR) {
      if (leading.hasEnded) throw new QuorateError('NOT_LEADER', `another node leads ${where} already`)
      if (clock.monotonicMs() >= untilMs)
        throw new QuorateError(
          'UNAVAILABLE',
          `${to} lacks ${leading.replication.lagOf(to)} entries of ${where}: it is not the time to hand over to it`,
        )
      await pause(clock, POLL_MS)
    }
    if (leading.isClosing) throw new QuorateError('CONFLICT', `${where} is being handed over already`)
  }

  async #caughtUp(
    leading: Leading,
    replica: Held['seat']['replica'],
    to: NodeId,
    where: string,
  ): Promise<void> {
    const { clock } = this.#options.node
    const untilMs = clock.monotonicMs() + CATCH_UP_MS
    for (;;) {
      const { last } = replica.log.shape
      if (leading.hasEnded) throw new QuorateError('NOT_LEADER', `another node leads ${where} already`)
      if (leading.replication.matchedOf(to) === last && replica.carriedOut === last) return
      if (clock.monotonicMs() >= untilMs)
        throw new QuorateError(
          'UNAVAILABLE',
          `${to} lacks ${leading.replication.lagOf(to)} entries of ${where} and did not catch up within ${CATCH_UP_MS} ms`,
        )
      await pause(clock, POLL_MS)
    }
  }

  async #write(
    { view, partition }: Held,
    leading: Leading,
    to: NodeId,
    end: Parameters<typeof handedOver>[1]['end'],
  ): Promise<number> {
    const { node, change, operation } = this.#options
    const by = { node: node.self, epoch: leading.epoch, end }
    const table = view.descriptor.id
    let epoch = 0
    const outcome = await change(
      table,
      partition.chunk,
      current => {
        let refusal = 'there is no such partition'
        const changed =
          current &&
          changeChunk(current, entry => {
            if (entry.id !== partition.id || entry.lead === undefined) return entry
            const { writeSets, holders } = partitionSets(entry)
            // It has everything, as this leader knows; whoever is in sync is another question.
            const inSync = [...new Set([...entry.lead.inSync, to])].filter(one => holders.includes(one))
            const lead = handedOver({ ...entry.lead, inSync, replicas: writeSets.flat() }, by, to)
            if (typeof lead === 'string') {
              refusal = lead
              return entry
            }
            epoch = lead.epoch
            const { leader, evidence, unclean } = lead
            return { ...entry, lead: { leader, epoch, inSync: lead.inSync, evidence, unclean } }
          })
        return changed ?? refusal
      },
      operation(),
    )
    if (outcome.kind === 'committed') {
      for (const holder of partition.holders)
        if (holder !== node.self)
          node.rpc.tell(holder as string as PeerId, mapChangedMessage, { table, index: partition.chunk })
      return epoch
    }
    throw new QuorateError('UNAVAILABLE', `the leader could not be changed: ${outcome.reason}`, {
      outcome: outcome.kind === 'unknown' ? 'unknown' : 'not-applied',
    })
  }
}
