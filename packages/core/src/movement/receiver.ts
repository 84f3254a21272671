/**
 * The receiving side of a move: makes room, fetches the rows, proves that it has them all.
 *
 * Per attempt (a *session*) there is one durable record. It is made when the partition was found empty here
 * (what an older attempt left is removed first): only then may writes of this attempt come. Rows are fetched
 * page by page from one old home, the place reached kept with them, so that a restart goes on where it was.
 * Then everything is compared with *each* old home that is still a member, by trees, until nothing is
 * missing here: an old home may have the only copy of a write that was acknowledged by it alone.
 *
 * Invariants: a page is merged only while the map still says that this session is open, so a late one falls
 * on nothing; "verified" is said only when it is durable; whatever is merged passes the collection fences.
 */

import { prefixEnd, u32ToString } from '../base/bytes.ts'
import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId, TableId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { refuseRowsOutside } from '../leaderless/partition-doors.ts'
import { type Partition, receivers } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, durable } from '../store/store-face.ts'
import type { Sweeper } from '../sweep/sweeper.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import {
  movePageMessage,
  prepareMoveMessage,
  type ReceiveState,
  receiveMoveMessage,
} from '../wire/messages.ts'
import type { Throttle } from './throttle.ts'

const PAGE_MS = 10_000
const RETRY_MS = 500
const CLEAR_ROWS = 1_000
const RECORDS = `${keyspaces.meta}move/` as ByteString

interface Session {
  readonly table: TableId
  readonly partition: number
  readonly session: number
  state: 'streaming' | 'verifying' | 'verified'
  /** Last key that has come; rows up to here are in the same batch or before it. */
  reached: ByteString
  rows: number
  bytes: number
  waitsFor: string
  running: boolean
}

export interface ReceiverOptions {
  readonly node: NodeContext
  readonly sweeper: Sweeper
  readonly throttle: Throttle
  /** Is the task of this move running, and not paused? */
  readonly isRunning: (task: string) => boolean
  /** The task of now, and what it may take here. */
  readonly taskOfNow: () => { readonly id: string; readonly bytesPerSecond: number } | undefined
  /** Is what this node knows of the maps on its way to its disk? */
  readonly mapsAreKept: () => boolean
  readonly pageBytes: number
  /** Of a partition with a leader: was its whole log here under this version, or a newer one? */
  readonly isWholeUnder: (table: number, partition: number, version: number) => boolean
}

export class Receiver {
  readonly #options: ReceiverOptions
  readonly #node: NodeContext
  readonly #sessions = new Map<string, Session>()
  #stopped = false
  #received = 0
  #ofTask = { task: '', bytes: 0 }

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#node = options.node
    const { store } = this.#node
    for (const [key, value] of store.scan(RECORDS, prefixEnd(RECORDS))) {
      if (value === DAMAGED) continue
      const session = decodeSession(value)
      this.#sessions.set(key, session)
    }
    this.#serve()
    this.#node.catalog.onChange(() => this.#forgetClosed())
  }

  stop(): void {
    this.#stopped = true
  }

  /** Received by sessions that are still open. */
  get bytes(): number {
    let bytes = 0
    for (const session of this.#sessions.values()) bytes += session.bytes
    return bytes
  }

  /** Received in all, since this process started. */
  get received(): number {
    return this.#received
  }

  /** Received for one task, since this process started. */
  receivedFor(task: string): number {
    return this.#ofTask.task === task ? this.#ofTask.bytes : 0
  }

  #count({ move }: Partition, bytes: number): void {
    const task = move?.task ?? ''
    this.#received += bytes
    this.#ofTask = { task, bytes: this.receivedFor(task) + bytes }
  }

  #serve(): void {
    const { rpc, catalog, catchUp, store } = this.#node
    rpc.handle(prepareMoveMessage, (request, respond, from) => {
      const looks = request.partitions.map(({ table, partition, chunk, session }) =>
        this.#open(table, partition, session) === undefined && catalog.find(table) !== undefined
          ? catchUp(table as TableId, chunk, from)
          : undefined,
      )
      void Promise.all(looks).then(() => {
        const ready = request.partitions.map(address => this.#prepare(address))
        store.whenDurable(store.handed, () => respond.ok({ ready }))
      })
    })
    rpc.handle(receiveMoveMessage, (request, respond) => {
      const moves = request.partitions.map(address => this.#receive(address))
      store.whenDurable(store.handed, () => respond.ok({ moves }))
    })
  }

  /** The partition, when the map here says that this node receives it in this session. */
  #open(table: number, id: number, session: number): [TableView, Partition] | undefined {
    const view = this.#node.catalog.find(table)
    const partition = view?.map.find(id)
    if (view === undefined || partition?.move?.session !== session || session === 0) return undefined
    if (partition.move.stage === 'new-only' || !receivers(partition).includes(this.#node.self))
      return undefined
    return [view, partition]
  }

  #prepare({
    table,
    partition: id,
    session,
  }: {
    table: number
    partition: number
    session: number
  }): boolean {
    const open = this.#open(table, id, session)
    if (open === undefined || !this.#options.mapsAreKept()) return false
    // Its leader sends the log already; it counts when it can keep up.
    if (ledOf(open[0].descriptor) !== undefined) return this.#options.isWholeUnder(table, id, open[1].version)
    const key = recordKey(table, id)
    if (this.#sessions.get(key)?.session === session) return true
    const [view, partition] = open
    // Later than this the rows here count: they are not the remains of an older attempt.
    if (partition.move!.stage !== 'prepare') return false
    try {
      if (!this.#clear(view, partition)) return false
      this.#begin(key, table as TableId, id, session)
      return true
    } catch (error) {
      // A full store: asked again.
      if (!isQuorateError(error)) throw error
      return false
    }
  }

  /** Removes what an older attempt left; true when nothing is. */
  #clear(view: TableView, { from, to }: Partition): boolean {
    const { store, rows } = this.#node
    const keys = [...store.scan(from, to, { limit: CLEAR_ROWS })].map(([key]) => key)
    if (keys.length === 0) return true
    rows.drop(view, keys)
    return false
  }

  #begin(key: ByteString, table: TableId, partition: number, session: number): Session {
    const made: Session = {
      table,
      partition,
      session,
      state: 'streaming',
      reached: '' as ByteString,
      rows: 0,
      bytes: 0,
      waitsFor: '',
      running: false,
    }
    this.#node.store.commit([{ key, value: encodeSession(made) }])
    this.#sessions.set(key, made)
    return made
  }

  #receive({ table, partition: id, session }: { table: number; partition: number; session: number }): {
    state: ReceiveState
    rows: number
    bytes: number
    waitsFor: string
  } {
    const nothing = { state: 'unknown' as const, rows: 0, bytes: 0, waitsFor: '' }
    const open = this.#open(table, id, session)
    if (open === undefined) return nothing
    if (ledOf(open[0].descriptor) !== undefined) {
      const isWhole = this.#options.isWholeUnder(table, id, open[1].version)
      const waitsFor = isWhole ? '' : `${this.#node.self} has not the whole log yet`
      return { ...nothing, state: isWhole ? 'verified' : 'streaming', waitsFor }
    }
    const key = recordKey(table, id)
    let record = this.#sessions.get(key)
    try {
      // This node has lost its disk since it was prepared: everything is fetched again.
      if (record?.session !== session) record = this.#begin(key, table as TableId, id, session)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      return { ...nothing, state: 'waiting', waitsFor: `${this.#node.self}: ${error.message}`.slice(0, 250) }
    }
    if (!record.running && record.state !== 'verified') void this.#run(record)
    const { state, rows, bytes, waitsFor } = record
    return { state: waitsFor !== '' && state !== 'verified' ? 'waiting' : state, rows, bytes, waitsFor }
  }

  #isOpen(record: Session): [TableView, Partition] | undefined {
    if (this.#stopped || this.#sessions.get(recordKey(record.table, record.partition)) !== record)
      return undefined
    return this.#open(record.table, record.partition, record.session)
  }

  async #run(record: Session): Promise<void> {
    record.running = true
    while (record.state !== 'verified') {
      const open = this.#isOpen(record)
      if (open === undefined || !this.#options.isRunning(open[1].move!.task)) break
      try {
        if (record.state === 'streaming') await this.#fetchPage(record, ...open)
        else await this.#verify(record, ...open)
        record.waitsFor = ''
      } catch (error) {
        if (!isQuorateError(error)) throw error
        record.waitsFor = error.message.slice(0, 250)
        await pause(this.#node.clock, RETRY_MS)
      }
    }
    record.running = false
  }

  /** Old homes that can still be asked: those that are members. */
  #sources({ settled }: Partition): NodeId[] {
    const { catalog, self } = this.#node
    return settled.filter(home => home !== self && catalog.member(home) !== undefined)
  }

  async #fetchPage(record: Session, view: TableView, partition: Partition): Promise<void> {
    const { rpc, clock, isSuspected, rows, fences, store } = this.#node
    const sources = this.#sources(partition)
    const alive = sources.filter(home => !isSuspected(home))
    const source =
      alive[(record.partition + Math.floor(clock.monotonicMs() / PAGE_MS)) % Math.max(1, alive.length)]
    if (source === undefined)
      throw new QuorateError('UNAVAILABLE', `waits for one of ${partition.settled.join(', ')} to come back`)
    const { table, session, reached } = record
    const { throttle, taskOfNow } = this.#options
    // Not only when users are looked at: the first second of a task is within its limit, too.
    const task = taskOfNow()
    if (task !== undefined) throttle.begin(task.id, task.bytesPerSecond)
    const portion = throttle.portion(this.#options.pageBytes)
    await throttle.take(portion, () => this.#isOpen(record) === undefined)
    const address = { table, partition: partition.id, mapVersion: partition.version, session }
    const page = await rpc
      .request(
        source as string as PeerId,
        movePageMessage,
        { ...address, after: reached, bytes: Math.min(portion, this.#options.pageBytes) },
        PAGE_MS,
      )
      .catch((error: unknown) => {
        throttle.giveBack(portion)
        throw error
      })
    // The move may have been taken back, and begun anew, while the page was on its way.
    if (this.#isOpen(record)?.[1] === undefined) return
    refuseRowsOutside(
      partition,
      page.rows.map(({ key }) => key),
    )
    let bytes = 0
    for (const { key, cell } of page.rows) {
      fences.check(key, 'sweep', page.asOf)
      rows.merge(view, key, cell)
      bytes += key.length + cell.length
    }
    record.rows += page.rows.length
    record.bytes += bytes
    this.#count(partition, bytes)
    record.reached = page.rows.at(-1)?.key ?? reached
    if (!page.more) record.state = 'verifying'
    this.#keep(record)
    await durable(store, store.handed)
    throttle.giveBack(portion - bytes)
  }

  #keep(record: Session): void {
    this.#node.store.commit([
      { key: recordKey(record.table, record.partition), value: encodeSession(record) },
    ])
  }

  /** One exchange with every old home; all must have been complete. */
  async #verify(record: Session, view: TableView, partition: Partition): Promise<void> {
    for (const home of this.#sources(partition)) {
      const result = await this.#options.sweeper.exchangePartitions(view, [partition], home)
      if (result?.complete !== true)
        throw new QuorateError('UNAVAILABLE', `waits until everything that ${home} has is here`)
      if (this.#isOpen(record)?.[1].version !== partition.version) return
    }
    record.state = 'verified'
    this.#keep(record)
    await durable(this.#node.store, this.#node.store.handed)
  }

  /** Records of attempts that are over: done or taken back. */
  #forgetClosed(): void {
    const closed = [...this.#sessions].filter(
      ([, { table, partition, session }]) =>
        this.#node.catalog.find(table) !== undefined && this.#open(table, partition, session) === undefined,
    )
    if (closed.length === 0) return
    try {
      this.#node.store.commit(closed.map(([key]) => ({ key: key as ByteString, value: undefined })))
      for (const [key] of closed) this.#sessions.delete(key)
    } catch (error) {
      // A full store: forgotten with a later change of the map. Another session does not take this one's record.
      if (!isQuorateError(error)) throw error
    }
  }
}

const recordKey = (table: number, partition: number): ByteString =>
  (RECORDS + u32ToString(table) + u32ToString(partition)) as ByteString

const STATES = ['streaming', 'verifying', 'verified'] as const

function encodeSession(record: Session): Uint8Array {
  const writer = new ByteWriter(64)
  for (const number of [
    record.table,
    record.partition,
    record.session,
    STATES.indexOf(record.state),
    record.rows,
    record.bytes,
  ])
    writer.varint(number)
  writer.byteString(record.reached)
  return writer.take()
}

function decodeSession(bytes: Uint8Array): Session {
  const reader = new ByteReader(bytes)
  const number = (): number => reader.varint()
  return {
    table: number() as TableId,
    partition: number(),
    session: number(),
    state: STATES[number()] ?? 'streaming',
    rows: number(),
    bytes: number(),
    reached: reader.byteString(2 * limits.keyBytesMax + 16),
    waitsFor: '',
    running: false,
  }
}
