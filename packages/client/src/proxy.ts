/**
 * The router in its third seat: a process between clients that should see one address and the cluster.
 *
 * Problem: some clients may not reach every node, or should not open a connection to each. Mechanism: the proxy
 * is a smart client towards the cluster, with the same router and the same retries, and answers the messages of
 * clients by sending them on to a home of the row under the map that it knows. What a client of the proxy sees
 * as the cluster is the proxy: its one member is the home of every partition. Map changes stop here: they reach
 * the proxy by STALE_MAP and by looking around, and its clients never hear of them.
 *
 * Invariants: the operation id of a write is the client's, so a retry through the proxy, or around it, applies
 * nothing twice; receipts are those of the nodes, unchanged; an outcome that is unknown is passed on as unknown.
 */

import {
  alterTableMessage,
  type ByteString,
  changeMessage,
  changesMessage,
  clusterMessage,
  createTableMessage,
  encodeChunk,
  encodeMembers,
  encodeTables,
  feedReadersMessage,
  handedOn,
  type Incarnation,
  keyOfRow,
  keyOfWrite,
  type MapChunk,
  type Message,
  mapMessage,
  mergeMessage,
  type NodeId,
  QuorateError,
  type Respond,
  type Rpc,
  rangeMessage,
  readMessage,
  saveFeedReaderMessage,
  type TableId,
  type TableView,
  type WireReceipt,
  writeMessage,
} from '@quorate/core'
import type { QuorateClient } from './client.ts'

const nobody = '\0\0\0\0\0\0\0\0' as Incarnation
/** Of the time its client waits, for the cluster; the rest is for the way back. */
const ANSWER_SHARE = 0.9

export interface ProxyIdentity {
  /** What clients take for the one node of the cluster. */
  readonly id: NodeId
  /** `host:port` that clients reach it at. */
  readonly address: string
}

/** `client` talks to the cluster; `rpc` is what the clients of the proxy reach. */
export class RoutingProxy {
  readonly #client: QuorateClient
  readonly #rpc: Rpc
  readonly #identity: ProxyIdentity
  /** Requests answered, and those that ended with an error. */
  readonly counters = { requests: 0, failures: 0 }

  constructor(client: QuorateClient, rpc: Rpc, identity: ProxyIdentity) {
    this.#client = client
    this.#rpc = rpc
    this.#identity = identity
    this.#serveData()
    this.#serveCatalog()
  }

  #serveData(): void {
    const rpc = this.#rpc
    rpc.handle(writeMessage, (request, respond, _, deadline) =>
      this.#pass(writeMessage, request, respond, deadline, true, view => keyOfWrite(view, request)),
    )
    rpc.handle(mergeMessage, (request, respond, _, deadline) =>
      this.#pass(
        mergeMessage,
        request,
        respond,
        deadline,
        true,
        view => (keyOfRow(view, request.partitionKey, request.sortKey) + request.field) as ByteString,
      ),
    )
    rpc.handle(changeMessage, (request, respond, _, deadline) =>
      this.#pass(changeMessage, request, respond, deadline, true, view =>
        keyOfRow(view, request.partitionKey, request.sortKey),
      ),
    )
    rpc.handle(changesMessage, (request, respond, _, deadline) => {
      const place = () => {
        const { map } = this.#view(request.table)
        const partition = map.find(request.partition)
        if (partition === undefined)
          throw new QuorateError('NOT_FOUND', `the table has no partition ${request.partition}`)
        return { map, partition }
      }
      const options = { timeoutMs: this.#left(deadline) }
      const sent = this.#known(request.table).then(() =>
        this.#client.send(changesMessage, place, () => request, options, false),
      )
      this.#answer(sent, respond)
    })
    rpc.handle(feedReadersMessage, (request, respond, _, deadline) =>
      this.#answer(
        this.#client.passOn(feedReadersMessage, request, { timeoutMs: this.#left(deadline) }),
        respond,
      ),
    )
    rpc.handle(saveFeedReaderMessage, (request, respond, _, deadline) =>
      this.#answer(
        this.#client.passOn(saveFeedReaderMessage, request, { timeoutMs: this.#left(deadline) }),
        respond,
      ),
    )
    rpc.handle(readMessage, (request, respond, _, deadline) =>
      this.#pass(readMessage, request, respond, deadline, false, view =>
        keyOfRow(view, request.partitionKey, request.sortKey),
      ),
    )
    rpc.handle(rangeMessage, (request, respond, _, deadline) => this.#range(request, respond, deadline))
  }

  #left(deadline: number): number {
    return Math.max(1, (deadline - this.#client.clock.monotonicMs()) * ANSWER_SHARE)
  }

  #view(table: number): TableView {
    return this.#client.router.catalog.view(table)
  }

  #pass<
    Request extends { readonly table: number; readonly mapVersion: number },
    Reply extends { receipt: WireReceipt },
  >(
    message: Message<Request, Reply>,
    request: Request,
    respond: Respond<Reply>,
    deadline: number,
    isWrite: boolean,
    keyOf: (view: TableView) => ByteString,
  ): void {
    const place = () => {
      const { map, ...view } = this.#view(request.table)
      return { map, partition: map.locate(keyOf({ map, ...view })) }
    }
    const sent = this.#known(request.table).then(() =>
      this.#client.send(
        message,
        place,
        partition => ({ ...request, mapVersion: partition.version }),
        { timeoutMs: this.#left(deadline) },
        isWrite,
      ),
    )
    this.#answer(
      sent.then(reply => handedOn(reply, this.#identity.id)),
      respond,
    )
  }

  /**
   * A page of a range comes from one partition. The proxy's may be smaller than its client's: then the page ends
   * where the partition does, and says where to go on.
   */
  #range(
    request: Parameters<typeof rangeMessage.request.write>[1],
    respond: Respond<ReturnType<typeof rangeMessage.reply.read>>,
    deadline: number,
  ): void {
    const { from, to, reverse } = request
    let asked = { from, to }
    const place = () => {
      const { map } = this.#view(request.table)
      const at = map.locate(reverse ? to : from)
      // `to` is exclusive: when it is a boundary, the rows before it are in the partition before.
      const partition = reverse && at.from >= to ? map.partitions[map.partitions.indexOf(at) - 1]! : at
      return { map, partition }
    }
    const sent = this.#known(request.table)
      .then(() =>
        this.#client.send(
          rangeMessage,
          place,
          partition => {
            asked = {
              from: from > partition.from ? from : partition.from,
              to: to < partition.to ? to : partition.to,
            }
            return { ...request, ...asked, mapVersion: partition.version }
          },
          { timeoutMs: this.#left(deadline) },
          false,
        ),
      )
      .then(reply => {
        const edge = reverse ? asked.from : asked.to
        const isWhole = reverse ? asked.from === from : asked.to === to
        const { id } = this.#identity
        return handedOn({ ...reply, resume: reply.resume ?? (isWhole ? undefined : edge) }, id)
      })
    this.#answer(sent, respond)
  }

  async #known(table: number): Promise<void> {
    if (this.#client.router.catalog.find(table) === undefined) await this.#client.router.refresh()
  }

  #answer<Reply>(work: Promise<Reply>, respond: Respond<Reply>): void {
    this.counters.requests++
    work.then(
      reply => respond.ok(reply),
      (error: unknown) => {
        this.counters.failures++
        respond.fail(error)
      },
    )
  }

  // ── what its clients take for the cluster ──

  #serveCatalog(): void {
    const rpc = this.#rpc
    const { router } = this.#client
    rpc.handle(clusterMessage, (_, respond) => this.#answer(this.#cluster(), respond))
    rpc.handle(mapMessage, ({ table, index }, respond) => {
      const chunk = router.catalog.chunk(table as TableId, index)
      respond.ok({ chunk: chunk === undefined ? undefined : encodeChunk(this.#ownChunk(chunk)) })
    })
    rpc.handle(alterTableMessage, (request, respond, _, deadline) =>
      this.#answer(
        this.#client.passOn(alterTableMessage, request, { timeoutMs: this.#left(deadline) }),
        respond,
      ),
    )
    rpc.handle(createTableMessage, (request, respond, _, deadline) => {
      const made = this.#client.passOn(createTableMessage, request, { timeoutMs: this.#left(deadline) })
      this.#answer(
        made.then(async reply => {
          await router.refresh()
          return reply
        }),
        respond,
      )
    })
  }

  async #cluster() {
    const { router } = this.#client
    await router.refresh()
    const { catalog } = router
    if (catalog.members.members.length === 0)
      throw new QuorateError('NOT_READY', 'the proxy has not reached the cluster yet')
    const { id, address } = this.#identity
    const self = {
      id,
      address,
      http: '',
      zone: 'proxy',
      region: 'proxy',
      weight: 1,
      tokens: [],
      incarnation: nobody,
      state: 'active' as const,
    }
    return {
      clusterId: router.clusterId,
      members: encodeMembers({ version: catalog.members.version, members: [self], removed: [] }),
      tables: encodeTables(catalog.tables),
      voters: new Uint8Array(0),
      maps: catalog.chunks().map(({ table, index, chunk }) => ({
        table,
        index,
        chunk: encodeChunk(this.#ownChunk(chunk)),
      })),
    }
  }

  #ownChunk(chunk: MapChunk): MapChunk {
    const replicas = [this.#identity.id]
    return {
      ...chunk,
      partitions: chunk.partitions.map(entry => ({ ...entry, replicas, move: undefined, lead: undefined })),
    }
  }
}
