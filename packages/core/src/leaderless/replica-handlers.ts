/**
 * What one replica asks of another: merge a cell, give a cell or a page of them, keep a hint. Nobody but a node
 * that keeps the rows of the partition, under the version the sender has, does any of it.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { assertKeyOf, type TableView } from '../catalog/catalog.ts'
import { isAgreed } from '../catalog/table-descriptor.ts'
import type { Cell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import {
  replicaRangeMessage,
  replicaReadMessage,
  replicaWriteMessage,
  storeHintMessage,
} from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import { winnerOf } from './ledger.ts'
import { collectedUpTo, promiseFloorOf } from './losses.ts'
import type { NodeContext } from './node-context.ts'
import { type PartitionDoors, refuseOutside } from './partition-doors.ts'
import { localPage } from './range-flow.ts'
import { ballotOf } from './row-promises.ts'

export function serveReplicas(node: NodeContext, doors: PartitionDoors): void {
  new ReplicaHandlers(node, doors).serve()
}

class ReplicaHandlers {
  readonly #node: NodeContext
  readonly #doors: PartitionDoors

  constructor(node: NodeContext, doors: PartitionDoors) {
    this.#node = node
    this.#doors = doors
  }

  serve(): void {
    this.#serveWrites()
    this.#serveReads()
    this.#serveHints()
  }

  #serveWrites(): void {
    const { rpc, rows, store, fences, counters } = this.#node
    rpc.handle(replicaWriteMessage, (request, respond, from) => {
      assertKeyOf(this.#doors.view(request.table), request.key)
      this.#doors.at(request, request.key, respond, from, ({ view, partition }) => {
        this.#refuseUnlessAmong(partition.holders, partition)
        fences.check(request.key, request.kind, request.asOf)
        counters.replicaWrites++
        if (request.kind === 'hint') counters.hintsReceived++
        const { position } =
          request.kind === 'delta'
            ? rows.mergeDelta(view, request.key, request.cell)
            : rows.merge(view, request.key, request.cell)
        store.whenDurable(position, () => respond.ok({}))
      })
    })
  }

  #serveReads(): void {
    const { rpc, rows, store, hybrid, counters } = this.#node
    rpc.handle(replicaReadMessage, (request, respond, from) => {
      this.#doors.at(request, request.key, respond, from, ({ view, partition }) => {
        counters.replicaReads++
        if (request.fallback) return this.#readHints(view, partition, request.key, respond)
        this.#refuseUnlessAmong(partition.replicas, partition)
        this.#refuseRebuilding(view, partition)
        const asOf = hybrid.peek()
        const cell = rows.read(request.key)
        if (isAgreed(view.descriptor)) this.#refuseUnconfirmed(cell)
        const position = rows.positionOf(request.key)
        const collected = collectedUpTo(this.#node, request.key)
        if (position === 0) respond.ok({ cell, asOf, collected })
        else store.whenDurable(position, () => respond.ok({ cell, asOf, collected }))
      })
    })

    rpc.handle(replicaRangeMessage, (request, respond, from) => {
      this.#doors.at(request, request.from, respond, from, ({ view, partition }) => {
        this.#refuseUnlessAmong(partition.replicas, partition)
        refuseOutside(partition, request)
        this.#refuseRebuilding(view, partition)
        const page = localPage(
          this.#node,
          request.from,
          request.to,
          request.reverse,
          Math.min(request.limit, limits.pageRowsMax),
        )
        store.whenDurable(store.handed, () => respond.ok(page))
      })
    })
  }

  #serveHints(): void {
    const { rpc, store, fences, hybrid, hints, catalog, self } = this.#node
    rpc.handle(storeHintMessage, (request, respond, from) => {
      assertKeyOf(this.#doors.view(request.table), request.key)
      this.#doors.at(request, request.key, respond, from, ({ partition }) => {
        if (!partition.holders.includes(request.target)) {
          throw new QuorateError(
            'BAD_REQUEST',
            `${request.target} is no home of the row: nobody would ask for the hint`,
          )
        }
        // It goes when it keeps nothing any more: what came after it was last asked would go with it.
        if (catalog.member(self)?.state === 'leaving')
          throw new QuorateError('NOT_REPLICA', `${self} is leaving and keeps nothing new for others`)
        decodeCell(request.cell)
        fences.check(request.key, 'store-hint', request.asOf)
        const position = hints.put(
          request.target,
          request.key,
          request.cell.slice(),
          request.asOf,
          hybrid.peek(),
        )
        if (position === undefined) {
          throw new QuorateError(
            'OVERLOADED',
            `${this.#node.self} holds all the hints it may for ${request.target}`,
            {
              data: { retryAfterMs: 1_000 },
            },
          )
        }
        store.whenDurable(position, () => respond.ok({}))
      })
    })
  }

  /**
   * What a store that took the place of a lost one has from others it may have promised not to accept; a round under a
   * later ballot shows that it may stand.
   */
  #refuseUnconfirmed(cell: Uint8Array | undefined): void {
    const floor = promiseFloorOf(this.#node.store)
    if (floor === 0) return
    const ballot = cell === undefined ? undefined : ballotOf(decodeCell(cell))
    if ((ballot?.stamp ?? 0) <= floor)
      throw new QuorateError('NOT_READY', 'this replica lost its disk, and the row was not agreed on since')
  }

  #refuseUnlessAmong(nodes: readonly string[], partition: Partition): void {
    if (nodes.includes(this.#node.self)) return
    throw new QuorateError(
      'NOT_REPLICA',
      `${this.#node.self} is not a home of this row under map version ${partition.version}`,
    )
  }

  #refuseRebuilding(view: TableView, partition: Partition): void {
    if (this.#node.isReady(view, partition)) return
    throw new QuorateError(
      'NOT_READY',
      `${this.#node.self} lost its store and is being rebuilt; it cannot answer reads of this partition yet`,
    )
  }

  /** A fallback answers with what it keeps for dead homes. */
  #readHints(
    view: TableView,
    partition: Partition,
    key: ByteString,
    respond: Respond<{ cell: Uint8Array | undefined; asOf: Stamp; collected: Stamp }>,
  ): void {
    const { hints, hybrid, ledger, store } = this.#node
    let asOf = hybrid.peek()
    let cell: Cell | undefined
    for (const target of partition.holders) {
      const hint = hints.get(target, key)
      if (hint === undefined) continue
      asOf = Math.min(asOf, hint.asOf) as typeof asOf
      const held = decodeCell(hint.cell)
      if (cell === undefined) {
        cell = held
        continue
      }
      const merged = view.rule.merge(cell, held)
      cell = merged.cell
      // What is answered covers the loser, whose only other record is a hint: the ledger has it first.
      if (merged.discarded.length > 0) {
        store.commit(
          ledger.entries(view.descriptor.id, key, merged.discarded, 'concurrent-loser', {
            winner: winnerOf(merged.cell),
          }),
        )
      }
    }
    store.whenDurable(store.handed, () =>
      respond.ok({ cell: cell === undefined ? undefined : encodeCell(cell), asOf, collected: 0 as Stamp }),
    )
  }
}
