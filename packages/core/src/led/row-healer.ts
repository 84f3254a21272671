/**
 * Heals a row of a replica whose bytes are damaged: as another replica has it, brought to the moment that this one is at.
 *
 * Rows are a function of the log. What a replica that is not further than this one has, with the entries since, is the
 * row here. When the others are all further, the row is theirs if it has not changed since; when that cannot be told,
 * the whole replica is filled anew, and a leader steps down for it.
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import { decodeBody, documentOf, effectOf, keysOf } from '../leader/log-body.ts'
import type { Replica } from '../leader/replica.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { epochAt, type LogPoint } from '../leadership/epoch-history.ts'
import { DAMAGED } from '../store/store-face.ts'
import { logRowMessage } from '../wire/led-messages.ts'
import type { Held, LedPartitions } from './led-partitions.ts'

interface Copy {
  /** Last entry that the other replica has carried out. */
  readonly carriedOut: LogPoint
  readonly cell: Uint8Array | undefined
}

export class RowHealer {
  readonly #node: NodeContext
  readonly #partitions: LedPartitions

  constructor(node: NodeContext, partitions: LedPartitions) {
    this.#node = node
    this.#partitions = partitions
    const { rpc, store } = node
    rpc.handle(logRowMessage, ({ table, partition, key }, respond) => {
      const held = partitions.find(table, partition)
      const cell = held === undefined ? undefined : store.get(key)
      if (held?.seat.isReadable !== true || cell === DAMAGED)
        return respond.fail(partitions.notLeading(table, partition))
      const { log, carriedOut: position } = held.seat.replica
      const carriedOut = { epoch: epochAt(log.shape, position), position }
      store.whenDurable(store.handed, () => respond.ok({ carriedOut, cell }))
    })
  }

  /** True when the row is whole again. */
  async heal(table: number, partition: number, key: ByteString): Promise<boolean> {
    const held = this.#partitions.find(table, partition)
    if (held === undefined || held.seat.replica.isLoading) return false
    const others = held.partition.holders.filter(home => home !== this.#node.self)
    const copies = await Promise.all(others.map(home => this.#ask(home, held, key)))
    const { replica, leading } = held.seat
    const found = copies.flatMap(copy => (copy === undefined ? [] : this.#asOfHere(replica, key, copy)))
    const heard = copies.some(copy => copy !== undefined)
    try {
      if (found.length > 0) {
        this.#node.rows.healLed(held.view, key, found[0]!.cell)
        return true
      }
      if (!heard) return false
      if (leading !== undefined) leading.end('a row is damaged here, and healed by filling the replica anew')
      else replica.giveUpRows()
    } catch (error) {
      // A full store: tried again with everything else that is damaged.
      if (!isQuorateError(error)) throw error
    }
    return false
  }

  async #ask(home: NodeId, { seat }: Held, key: ByteString): Promise<Copy | undefined> {
    const { table, partition } = seat.place
    try {
      const peer = home as string as PeerId
      const reply = await this.#node.rpc.request(
        peer,
        logRowMessage,
        { table: table as number, partition, key },
        limits.replicaTimeoutMs,
      )
      return { carriedOut: reply.carriedOut, cell: reply.cell?.slice() }
    } catch (error) {
      // Not there, or no better off: others are asked.
      if (!isQuorateError(error)) throw error
      return undefined
    }
  }

  /** The row at the moment this replica is at; none: it cannot be told. */
  #asOfHere(
    replica: Replica,
    key: ByteString,
    { carriedOut: at, cell }: Copy,
  ): { cell: Uint8Array | undefined }[] {
    const { log } = replica
    // One that has carried out what this log does not have may show what was given up.
    const isShared = at.position <= log.shape.last ? log.has(at) : at.epoch >= log.end.epoch
    if (!isShared) return []
    const carriedOut = at.position
    if (carriedOut > replica.carriedOut) {
      const here = replica.carriedOut >= log.first ? decodeBody(log.entry(replica.carriedOut).body).stamp : 0
      const isOld = cell !== undefined && (decodeCell(cell).values[0]?.stamp ?? 0) <= here
      return isOld ? [{ cell }] : []
    }
    if (carriedOut < log.first - 1) return []
    let now = cell
    for (let next = carriedOut + 1; next <= replica.carriedOut; next++) {
      const body = decodeBody(log.entry(next).body)
      if (!keysOf(body).includes(key)) continue
      const effect = effectOf(body, () => documentOf(now), replica.calls).find(one => one.key === key)
      if (effect !== undefined) now = effect.cell
    }
    return [{ cell: now }]
  }
}
