/**
 * The doors of the data path: client requests (coordinated here or handed to a home) and what one replica
 * asks of another. Each checks the map version it was sent with before anything else, and says
 * STALE_MAP with its own, never "not found".
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, PeerId, Stamp, Token } from '../base/ids.ts'
import { assertEncodedKey } from '../base/key-encoding.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import { type Cell, emptyCell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import { encodeContextToken } from '../cells/context-token.ts'
import { checkEncodedDocument } from '../cells/document.ts'
import { seenOf } from '../cells/superseded.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { assertRowKey, rowKey, rowToken, tokenOf, tokenRange } from '../partitioning/row-key.ts'
import { DAMAGED } from '../store/store-face.ts'
import { asQuorateError } from '../wire/error-schema.ts'
import {
  inspectMessage,
  type Message,
  type ReadReply,
  rangeMessage,
  readMessage,
  replicaRangeMessage,
  replicaReadMessage,
  replicaWriteMessage,
  storeHintMessage,
  type WriteReply,
  writeMessage,
} from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import type { Admission } from './admission.ts'
import { LatencyTracker } from './latency-tracker.ts'
import { answersNeeded } from './levels.ts'
import type { NodeContext } from './node-context.ts'
import { localPage, runRange } from './range-flow.ts'
import { ReadFlow } from './read-flow.ts'
import { WriteFlow } from './write-flow.ts'

const HOPS_MAX = 2
const FORWARD_SHARE_MS = 1_500

export interface DataHandlersOptions {
  readonly node: NodeContext
  readonly admission: Admission
  /** A request came with a newer map than this node has: time to look at the registers. */
  readonly onBehind: () => void
  /** May this node take client requests yet? Throws NOT_READY. */
  readonly refuseUnready: () => void
}

interface Routed {
  readonly view: TableView
  readonly partition: Partition
}

export class DataHandlers {
  readonly #node: NodeContext
  readonly #options: DataHandlersOptions
  readonly #latency = new LatencyTracker()

  constructor(options: DataHandlersOptions) {
    this.#options = options
    this.#node = options.node
    this.#serveClients()
    this.#serveReplicas()
  }

  #view(request: { table: number; mapVersion: number }): TableView {
    const { catalog, counters } = this.#node
    const view = catalog.find(request.table)
    if (view === undefined) {
      this.#options.onBehind()
      throw new QuorateError(
        'UNKNOWN_TABLE',
        `there is no table with id ${request.table} (it may be too new for ${this.#node.self})`,
        {
          data: { tableId: request.table },
        },
      )
    }
    if (request.mapVersion === view.map.version) return view
    counters.staleMap++
    if (request.mapVersion > view.map.version) this.#options.onBehind()
    throw new QuorateError(
      'STALE_MAP',
      `the request was made with map version ${request.mapVersion} of "${view.descriptor.name}", this node has ${view.map.version}`,
      { data: { version: view.map.version, sent: request.mapVersion } },
    )
  }

  #route(request: { table: number; mapVersion: number }, token: Token): Routed {
    this.#options.refuseUnready()
    const view = this.#view(request)
    return { view, partition: view.map.locate(token) }
  }

  #key(view: TableView, request: { partitionKey: ByteString; sortKey: ByteString }): ByteString {
    assertEncodedKey(request.partitionKey, 'partition key')
    const { name, key } = view.descriptor
    if (key.sort === undefined) {
      if (request.sortKey !== '')
        throw new QuorateError('BAD_REQUEST', `table "${name}" has no sort key, but one was given`)
    } else if (request.sortKey === '') {
      throw new QuorateError(
        'BAD_REQUEST',
        `table "${name}" has the sort key "${key.sort}", but none was given`,
      )
    } else assertEncodedKey(request.sortKey, 'sort key')
    return rowKey(view.descriptor.id, tokenOf(request.partitionKey), request.partitionKey, request.sortKey)
  }

  #serveClients(): void {
    this.#serveWrites()
    this.#serveReads()
    this.#serveRanges()
    this.#serveInspections()
  }

  #serveWrites(): void {
    this.#node.rpc.handle(writeMessage, (request, respond, _, deadline) => {
      const { view, partition } = this.#route(request, tokenOf(request.partitionKey))
      const key = this.#key(view, request)
      // Rubbish is refused here, once: stored, it would fail every reader of the row.
      if (request.value !== undefined) checkEncodedDocument(request.value, 'value')
      answersNeeded(request.level, partition.replicas.length, view.descriptor.replication.w, 'w')
      const coordinate = (to: Respond<WriteReply> = respond): void =>
        this.#admitted(to, leave =>
          new WriteFlow({
            context: this.#node,
            view,
            partition,
            key,
            request,
            respond: to,
            deadline,
            onDone: leave,
          }).start(),
        )
      const sloppy = view.descriptor.replication.sloppy && !request.strict
      this.#coordinateOrForward(
        writeMessage,
        request,
        respond,
        partition,
        deadline,
        coordinate,
        sloppy ? coordinate : undefined,
      )
    })
  }

  #serveReads(): void {
    this.#node.rpc.handle(readMessage, (request, respond, _, deadline) => {
      const { view, partition } = this.#route(request, tokenOf(request.partitionKey))
      const key = this.#key(view, request)
      const needed = answersNeeded(
        request.level,
        partition.replicas.length,
        view.descriptor.replication.r,
        'r',
      )
      const coordinate = (to: Respond<ReadReply> = respond): void =>
        this.#admitted(to, leave =>
          this.#read({ view, partition }, key, needed, request.hops, deadline, to, leave),
        )
      // Any node can coordinate a read: it needs no store of its own.
      if (partition.replicas.includes(this.#node.self) || request.hops > 0) coordinate()
      else
        this.#coordinateOrForward(readMessage, request, respond, partition, deadline, coordinate, coordinate)
    })
  }

  #serveRanges(): void {
    this.#node.rpc.handle(rangeMessage, (request, respond, _, deadline) => {
      const { view, partition } = this.#route(request, request.token as Token)
      refuseOutside(view, partition, request)
      const needed = answersNeeded(
        request.level,
        partition.replicas.length,
        view.descriptor.replication.r,
        'r',
      )
      this.#admitted(respond, leave => {
        void runRange({ context: this.#node, view, partition, request, needed, deadline })
          .then(
            reply => respond.ok(reply),
            (error: unknown) => respond.fail(error),
          )
          .then(leave)
      })
    })
  }

  #serveInspections(): void {
    this.#node.rpc.handle(inspectMessage, (request, respond) => {
      const view = this.#node.catalog.view(request.table)
      assertRowKey(view.descriptor.id, request.key)
      const partition = view.map.locate(rowToken(request.key))
      const stored = this.#node.store.get(request.key)
      const damaged = stored === DAMAGED || this.#node.rows.damagedKeys.has(request.key)
      const hints = this.#node.hints
        .targets()
        .filter(target => this.#node.hints.get(target, request.key) !== undefined)
      const ready = this.#node.isReady(view, partition)
      respond.ok({ cell: stored === DAMAGED ? undefined : stored, damaged, ready, hints: [...hints] })
    })
  }

  #admitted<Reply>(respond: Respond<Reply>, run: (leave: () => void) => void): void {
    this.#options.admission.enter()
    let left = false
    const leave = (): void => {
      if (!left) this.#options.admission.leave()
      left = true
    }
    try {
      run(leave)
    } catch (error) {
      leave()
      respond.fail(error)
    }
  }

  #read(
    routed: Routed,
    key: ByteString,
    needed: number,
    hops: number,
    deadline: number,
    respond: Respond<ReadReply>,
    leave: () => void,
  ): void {
    const { view, partition } = routed
    new ReadFlow({
      context: this.#node,
      view,
      partition,
      key,
      needed,
      hops,
      deadline,
      latency: this.#latency,
      onResult: (cell: Cell | undefined, receipt) => {
        guarded(respond, () => {
          const values = cell === undefined ? [] : view.rule.read(cell)
          respond.ok({ receipt, values, context: encodeContextToken(seenOf(cell ?? emptyCell), key) })
        })
      },
      onError: error => respond.fail(error),
      onDone: leave,
    }).start()
  }

  /** Homes coordinate; any other node hands the request to a home, and only then may stand in for one. */
  #coordinateOrForward<Request extends { hops: number }, Reply>(
    message: Message<Request, Reply>,
    request: Request,
    respond: Respond<Reply>,
    partition: Partition,
    deadline: number,
    coordinate: () => void,
    standIn: ((respond: Respond<Reply>) => void) | undefined,
  ): void {
    const { self, clock, rpc, counters } = this.#node
    if (partition.replicas.includes(self)) return coordinate()
    if (request.hops >= HOPS_MAX)
      throw new QuorateError(
        'NOT_REPLICA',
        `${self} is no home of this row, and the request has been handed on enough`,
      )
    const homes = partition.replicas.filter(home => !this.#node.isSuspected(home))
    const attempts: string[] = []
    let maybeApplied = false
    /** Once a home may have taken the write, no answer of another makes it not applied. */
    const honest: Respond<Reply> = {
      ok: reply => respond.ok(reply),
      fail: error => respond.fail(maybeApplied ? asUnknown(error) : error),
    }
    const tryNext = (at: number): void => {
      const home = homes[at]
      const leftMs = deadline - clock.monotonicMs()
      if (home === undefined || leftMs <= 0) {
        if (standIn !== undefined && leftMs > 0) return standIn(honest)
        const message = `none of the home replicas ${partition.replicas.join(', ')} could take the request`
        return honest.fail(new QuorateError('UNAVAILABLE', message, { attempts }))
      }
      counters.forwarded++
      const timeoutMs = Math.min(leftMs, at + 1 < homes.length ? FORWARD_SHARE_MS : leftMs)
      rpc.call(
        [home as string as PeerId],
        message,
        { ...request, hops: request.hops + 1 },
        timeoutMs,
        (_, reply, error) => {
          if (error === undefined) return respond.ok(reply as Reply)
          attempts.push(`${home}: ${error.code}`)
          maybeApplied ||= error.outcome === 'unknown'
          // The operation id makes a second try safe; only what another home could answer better is tried again.
          if (
            error.code === 'UNREACHABLE' ||
            error.code === 'DEADLINE' ||
            error.code === 'OVERLOADED' ||
            error.code === 'NOT_READY'
          ) {
            return guarded(honest, () => tryNext(at + 1))
          }
          honest.fail(error)
        },
      )
    }
    tryNext(0)
  }

  #serveReplicas(): void {
    this.#serveReplicaWrites()
    this.#serveReplicaReads()
    this.#serveHints()
  }

  #serveReplicaWrites(): void {
    const { rpc, rows, store, fences, counters } = this.#node
    rpc.handle(replicaWriteMessage, (request, respond) => {
      const view = this.#view(request)
      assertRowKey(view.descriptor.id, request.key)
      const partition = this.#homePartition(view, request.key)
      fences.check(view.descriptor.id, partition, request.kind, request.asOf)
      counters.replicaWrites++
      if (request.kind === 'hint') counters.hintsReceived++
      const { position } = rows.merge(view, request.key, request.cell)
      store.whenDurable(position, () => respond.ok({}))
    })
  }

  #serveReplicaReads(): void {
    const { rpc, rows, store, hybrid, counters } = this.#node
    rpc.handle(replicaReadMessage, (request, respond) => {
      const view = this.#view(request)
      counters.replicaReads++
      if (request.fallback) return this.#readHints(view, request.key, respond)
      const partition = this.#homePartition(view, request.key)
      this.#refuseRebuilding(view, partition)
      const asOf = hybrid.peek()
      const cell = rows.read(request.key)
      const position = rows.positionOf(request.key)
      if (position === 0) respond.ok({ cell, asOf })
      else store.whenDurable(position, () => respond.ok({ cell, asOf }))
    })

    rpc.handle(replicaRangeMessage, (request, respond) => {
      const view = this.#view(request)
      const partition = this.#homePartition(view, request.from)
      refuseOutside(view, partition, request)
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
  }

  #serveHints(): void {
    const { rpc, store, fences, hybrid, hints } = this.#node
    rpc.handle(storeHintMessage, (request, respond) => {
      const view = this.#view(request)
      assertRowKey(view.descriptor.id, request.key)
      const partition = view.map.locate(rowToken(request.key))
      if (!partition.replicas.includes(request.target)) {
        throw new QuorateError(
          'BAD_REQUEST',
          `${request.target} is no home of the row: nobody would ask for the hint`,
        )
      }
      decodeCell(request.cell)
      fences.check(view.descriptor.id, partition, 'store-hint', request.asOf)
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
  }

  #homePartition(view: TableView, key: ByteString): Partition {
    const partition = view.map.locate(rowToken(key))
    if (!partition.replicas.includes(this.#node.self)) {
      throw new QuorateError(
        'NOT_REPLICA',
        `${this.#node.self} is not a home of this row under map version ${view.map.version}`,
      )
    }
    return partition
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
    key: ByteString,
    respond: Respond<{ cell: Uint8Array | undefined; asOf: Stamp }>,
  ): void {
    const { hints, hybrid, ledger, store } = this.#node
    let asOf = hybrid.peek()
    let cell: Cell | undefined
    for (const target of view.map.locate(rowToken(key)).replicas) {
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
        store.commit(ledger.entries(view.descriptor.id, key, merged.discarded, 'concurrent-loser'))
      }
    }
    store.whenDurable(store.handed, () =>
      respond.ok({ cell: cell === undefined ? undefined : encodeCell(cell), asOf }),
    )
  }
}

/** A range lies inside one partition: its homes speak for it, and for nothing beyond. */
function refuseOutside(
  view: TableView,
  partition: Partition,
  request: { readonly from: ByteString; readonly to: ByteString },
): void {
  const { from, to } = tokenRange(view.descriptor.id, partition.start, partition.end)
  if (request.from < from || request.to > to || request.from > request.to) {
    throw new QuorateError('BAD_REQUEST', 'the range is outside its partition, or ends before it starts')
  }
}

function asUnknown(error: unknown): QuorateError {
  const known = asQuorateError(error)
  const { code, message, data, attempts } = known
  return new QuorateError(code, message, { outcome: 'unknown', data, attempts, cause: known })
}

function guarded(respond: { fail(error: unknown): void }, run: () => void): void {
  try {
    run()
  } catch (error) {
    respond.fail(error)
  }
}
