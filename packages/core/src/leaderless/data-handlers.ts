/**
 * The doors of the data path: client requests (coordinated here or handed to a home) and what one replica
 * asks of another. Each compares the version of the partition it was sent with before anything else. A sender
 * that is behind hears STALE_MAP with the newer version, never "not found"; a sender that is ahead waits while
 * this node catches up. So one request is executed under one version of its partition everywhere.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { assertEncodedKey } from '../base/key-encoding.ts'
import { partOfWrite, placeOfPart, type RowPlace, type TableView } from '../catalog/catalog.ts'
import { isOrdered, leaderlessOf, writePartsOf } from '../catalog/table-descriptor.ts'
import { type Cell, emptyCell } from '../cells/cell.ts'
import { encodeContextToken } from '../cells/context-token.ts'
import { checkEncodedDocument } from '../cells/document.ts'
import { seenOf } from '../cells/superseded.ts'
import { conditionOf, statementOf } from '../leader/change-input.ts'
import { changeMessage } from '../wire/led-messages.ts'
import {
  type Message,
  mergeMessage,
  partWriteMessage,
  type ReadReply,
  type ReadRequest,
  rangeMessage,
  readMessage,
  type WireReceipt,
  type WriteReply,
  type WriteRequest,
  writeMessage,
} from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import type { Admission } from './admission.ts'
import { fieldPlace, refuseRowReads, refuseWholeRows } from './field-requests.ts'
import { Forwarder } from './forwarder.ts'
import { HotReads, type ReadAnswer } from './hot-reads.ts'
import { serveInspections } from './inspections.ts'
import { LatencyTracker } from './latency-tracker.ts'
import { asIs, asWritten, keyFields, type LedRequests, notOrdered, plainChange } from './led-requests.ts'
import { answersNeeded } from './levels.ts'
import type { NodeContext } from './node-context.ts'
import { guarded, PartitionDoors, type Routed, refuseOutside } from './partition-doors.ts'
import { replyOfPage, runRange } from './range-flow.ts'
import { ReadFlow } from './read-flow.ts'
import { serveReplicas } from './replica-handlers.ts'
import type { SessionCall } from './session-call.ts'
import { SessionFlows } from './session-flows.ts'
import { runSessionRange } from './session-range.ts'
import { gatherParts, joinParts, type PartAnswer } from './split-read.ts'
import { type PartWrite, runSplitWrite, splitWrite } from './split-write.ts'
import { weakestReceipt } from './weakest-receipt.ts'
import { WriteFlow } from './write-flow.ts'

export interface DataHandlersOptions {
  readonly node: NodeContext
  readonly admission: Admission
  /** How old an answer to a read at r = 1 may be; 0: nothing is kept. */
  readonly hotReadCacheMs: number
  /** A request came with a newer map than this node has: time to look at the registers. */
  readonly onBehind: () => void
  /** May this node take client requests yet? Throws NOT_READY. */
  readonly refuseUnready: () => void
  /** Requests about tables whose writes are ordered: by leaders, or by agreement. */
  readonly led: LedRequests
}

export class DataHandlers {
  readonly #node: NodeContext
  readonly #options: DataHandlersOptions
  readonly #doors: PartitionDoors
  readonly #forwarder: Forwarder
  readonly #latency = new LatencyTracker()
  readonly #pageLatency = new LatencyTracker()
  readonly #sessions: SessionFlows
  readonly hotReads: HotReads

  constructor(options: DataHandlersOptions) {
    this.#options = options
    this.#node = options.node
    this.hotReads = new HotReads(options.node, options.hotReadCacheMs)
    this.#sessions = new SessionFlows(options.node, this.#latency)
    this.#doors = new PartitionDoors(options.node, options.onBehind)
    this.#forwarder = new Forwarder(options.node, this.#doors)
    this.#serveClients()
    serveReplicas(options.node, this.#doors)
  }

  #place(
    view: TableView,
    request: { partitionKey: ByteString; sortKey: ByteString },
    part: number,
  ): RowPlace {
    if (part >= writePartsOf(view.descriptor))
      throw new QuorateError('BAD_REQUEST', `keys of table "${view.descriptor.name}" have no part ${part}`)
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
    return placeOfPart(view, request, part)
  }

  #serveClients(): void {
    this.#serveWrites()
    this.#serveReads()
    this.#serveRanges()
    serveInspections(this.#node)
  }

  #serveWrites(): void {
    this.#node.rpc.handle(writeMessage, (request, respond, from, deadline) => {
      this.#options.refuseUnready()
      const view = this.#doors.view(request.table)
      const part = partOfWrite(view, request)
      const place = this.#place(view, request, part ?? 0)
      refuseWholeRows(view)
      // Rubbish is refused here, once: stored, it would fail every reader of the row.
      if (request.value !== undefined) checkEncodedDocument(request.value, 'value')
      this.#doors.at(request, place.key, respond, from, routed => {
        if (isOrdered(view.descriptor))
          return this.#options.led.change(
            writeMessage,
            request,
            routed,
            place.key,
            plainChange(request),
            asWritten,
            respond,
            deadline,
          )
        if (part === undefined) this.#writeParts(routed.view, request, respond, deadline)
        else this.#write(writeMessage, routed, place, request, respond, deadline)
      })
    })
    this.#node.rpc.handle(mergeMessage, (request, respond, from, deadline) => {
      this.#options.refuseUnready()
      const view = this.#doors.view(request.table)
      const place = fieldPlace(view, this.#place(view, request, 0), request)
      this.#doors.at(request, place.key, respond, from, routed =>
        this.#write(mergeMessage, routed, place, request, respond, deadline),
      )
    })
    this.#node.rpc.handle(changeMessage, (request, respond, from, deadline) => {
      this.#options.refuseUnready()
      const view = this.#doors.view(request.table)
      const { key } = this.#place(view, request, 0)
      if (!isOrdered(view.descriptor)) throw notOrdered(view)
      const { operation, context, ack, again, hops, session } = request
      const statement = statementOf(request.statement, keyFields(view, request))
      const condition = conditionOf(request.condition)
      const input = { operation, statement, condition, context, ack, again, hops, session }
      this.#doors.at(request, key, respond, from, routed =>
        this.#options.led.change(changeMessage, request, routed, key, input, asIs, respond, deadline),
      )
    })
    this.#node.rpc.handle(partWriteMessage, (request, respond, from, deadline) => {
      this.#options.refuseUnready()
      const place = this.#place(this.#doors.view(request.table), request, request.part)
      if (request.value !== undefined) checkEncodedDocument(request.value, 'value')
      this.#doors.at(request, place.key, respond, from, routed =>
        this.#write(partWriteMessage, routed, place, request, respond, deadline),
      )
    })
  }

  /** Each part from here, under the version of its own partition. */
  #writeParts(view: TableView, request: WriteRequest, respond: Respond<WriteReply>, deadline: number): void {
    const writePart = (write: PartWrite, to: Respond<WriteReply>): void =>
      guarded(to, () => {
        const now = this.#doors.view(request.table)
        const place = this.#place(now, request, write.part)
        const partition = now.map.locate(place.key)
        const asked = { ...request, ...write, hops: 0, mapVersion: partition.version }
        this.#write(partWriteMessage, { view: now, partition }, place, asked, to, deadline)
      })
    const joined = this.#sessions.joined
    void runSplitWrite(this.#node.self, splitWrite(view, request), writePart, joined).then(
      reply =>
        respond.ok({
          ...reply,
          receipt: { ...reply.receipt, forwarded: request.hops > 0 || reply.receipt.forwarded },
        }),
      (error: unknown) => respond.fail(error),
    )
  }

  #write<Request extends WriteRequest>(
    message: Message<Request, WriteReply>,
    { view, partition }: Routed,
    place: RowPlace,
    request: Request,
    respond: Respond<WriteReply>,
    deadline: number,
  ): void {
    answersNeeded(request.level, partition.replicas.length, leaderlessOf(view.descriptor).w, 'w')
    const coordinate = (to: Respond<WriteReply> = respond): void =>
      this.#admitted(to, leave => {
        const flow = { context: this.#node, view, place, request, respond: to, deadline, onDone: leave }
        if (request.session === undefined) return new WriteFlow(flow).start()
        const fail = (error: unknown): void => {
          leave()
          to.fail(error)
        }
        void this.#sessions
          .beforeWrite(view, place.key, request.session, deadline)
          .then(session => guarded({ fail }, () => new WriteFlow({ ...flow, session }).start()), fail)
      })
    const sloppy = leaderlessOf(view.descriptor).sloppy && !request.strict
    this.#forwarder.coordinateOrForward(
      message,
      request,
      respond,
      { view, partition },
      place.key,
      deadline,
      coordinate,
      sloppy ? coordinate : undefined,
      (routed, again) => this.#write(message, routed, place, again, respond, deadline),
    )
  }

  #serveReads(): void {
    this.#node.rpc.handle(readMessage, (request, respond, from, deadline) => {
      this.#options.refuseUnready()
      const { key } = this.#place(this.#doors.view(request.table), request, 0)
      refuseRowReads(this.#doors.view(request.table))
      this.#doors.at(request, key, respond, from, routed => {
        if (isOrdered(routed.view.descriptor))
          return this.#options.led.read(routed, key, request, respond, deadline)
        if (writePartsOf(routed.view.descriptor) > 1) this.#readParts(routed.view, request, respond, deadline)
        else this.#readRow(routed, key, request, respond, deadline)
      })
    })
  }

  /** From here: any node can coordinate a read. */
  #readParts(view: TableView, request: ReadRequest, respond: Respond<ReadReply>, deadline: number): void {
    const { r } = leaderlessOf(view.descriptor)
    const { row } = this.#place(view, request, 0)
    const session = this.#sessions.open(request.session, deadline)
    this.#admitted(respond, leave => {
      const flows: Promise<void>[] = []
      const readPart = (part: number): Promise<PartAnswer> =>
        new Promise((resolve, reject) => {
          const { key } = this.#place(view, request, part)
          const needed = answersNeeded(request.level, view.map.locate(key).replicas.length, r, 'r')
          const onResult = (cell: Cell | undefined, receipt: WireReceipt): void => {
            session?.met(key, cell)
            resolve({ part, cell, receipt })
          }
          let done = (): void => {}
          flows.push(
            new Promise(ended => {
              done = ended
            }),
          )
          const fail = (error: unknown): void => {
            done()
            reject(error)
          }
          guarded({ fail }, () =>
            this.#find(view, key, needed, request.hops, deadline, session, onResult, reject, done),
          )
        })
      void gatherParts(writePartsOf(view.descriptor), readPart)
        .then(answers => {
          const receipts = answers.map(({ receipt }) => receipt)
          const receipt = weakestReceipt(this.#node.self, receipts)
          const found = joinParts(answers, row)
          this.#sessions.reply(session, respond, token => ({ receipt, ...found, session: token }))
        })
        .catch((error: unknown) => respond.fail(error))
        .then(() => Promise.all(flows))
        .then(leave)
    })
  }

  #readRow(
    { view, partition }: Routed,
    key: ByteString,
    request: ReadRequest,
    respond: Respond<ReadReply>,
    deadline: number,
  ): void {
    const needed = answersNeeded(
      request.level,
      partition.replicas.length,
      leaderlessOf(view.descriptor).r,
      'r',
    )
    const coordinate = (to: Respond<ReadReply> = respond): void =>
      this.#admitted(to, leave => this.#read(view, key, needed, request, deadline, to, leave))
    // Any node can coordinate a read: it needs no store of its own.
    if (partition.replicas.includes(this.#node.self) || request.hops > 0) return coordinate()
    this.#forwarder.coordinateOrForward(
      readMessage,
      request,
      respond,
      { view, partition },
      key,
      deadline,
      coordinate,
      coordinate,
      (routed, again) => this.#readRow(routed, key, again, respond, deadline),
    )
  }

  #serveRanges(): void {
    this.#node.rpc.handle(rangeMessage, (request, respond, from, deadline) => {
      this.#options.refuseUnready()
      this.#doors.at(request, request.from, respond, from, ({ view, partition }) => {
        refuseOutside(partition, request)
        if (isOrdered(view.descriptor))
          return this.#options.led.range({ view, partition }, request, respond, deadline)
        const needed = answersNeeded(
          request.level,
          partition.replicas.length,
          leaderlessOf(view.descriptor).r,
          'r',
        )
        this.#admitted(respond, leave => {
          const latency = this.#pageLatency
          const options = { context: this.#node, view, partition, request, needed, deadline, latency }
          const session = this.#sessions.open(request.session, deadline)
          const reading =
            session === undefined
              ? runRange(options).then(page => replyOfPage(options, page, undefined))
              : runSessionRange(options, session, this.#sessions.reads(deadline))
          void reading
            .then(
              reply => respond.ok(reply),
              (error: unknown) => respond.fail(error),
            )
            .then(leave)
        })
      })
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
    view: TableView,
    key: ByteString,
    needed: number,
    request: ReadRequest,
    deadline: number,
    respond: Respond<ReadReply>,
    leave: () => void,
  ): void {
    const session = this.#sessions.open(request.session, deadline)
    const answer = (cell: Cell | undefined, receipt: WireReceipt): void =>
      guarded(respond, () => {
        const values = cell === undefined ? [] : view.rule.read(cell)
        const context = encodeContextToken(seenOf(cell ?? emptyCell), key)
        session?.met(key, cell)
        this.#sessions.reply(session, respond, token => ({ receipt, values, context, session: token }))
      })
    const fail = (error: unknown): void => respond.fail(error)
    this.#find(view, key, needed, request.hops, deadline, session, answer, fail, leave)
  }

  /** Reads one row, or part of one, from memory where that may be. Answers once, and is done after that. */
  #find(
    view: TableView,
    key: ByteString,
    needed: number,
    hops: number,
    deadline: number,
    session: SessionCall | undefined,
    answer: (cell: Cell | undefined, receipt: WireReceipt) => void,
    fail: (error: unknown) => void,
    leave: () => void,
  ): void {
    const flow = (
      onResult: (cell: Cell | undefined, receipt: WireReceipt) => void,
      onError: (error: unknown) => void,
      onDone: () => void,
    ): void => {
      new ReadFlow({
        context: this.#node,
        view,
        key,
        needed: session?.needed(view, key, needed) ?? needed,
        hops,
        deadline,
        latency: this.#latency,
        demand: session?.demand(view, key),
        onResult,
        onError,
        onDone,
      }).start()
    }
    // What is in memory may be older than what the session has seen.
    if (session !== undefined) return flow(answer, fail, leave)
    const load = (): Promise<ReadAnswer> =>
      new Promise((resolve, reject) =>
        flow(
          (cell, receipt) => resolve({ cell, receipt }),
          reject,
          () => {},
        ),
      )
    const shared = this.hotReads.find(view, key, needed, load)
    if (shared === undefined) return flow(answer, fail, leave)
    void shared
      .then(({ cell, receipt }) => answer(cell, { ...receipt, forwarded: hops > 0 }), fail)
      .then(leave)
  }
}
