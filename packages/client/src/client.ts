/**
 * The smart client: typed tables over a router, with one deadline per call.
 *
 * Every write has an operation id that stays the same over its retries, so trying again, through another
 * coordinator even, never applies it twice. A call ends with a result, or with one error that says whether
 * the write happened: `unknown` as soon as any attempt may have been applied.
 */

import {
  alterTableMessage,
  type Clock,
  clusterMessage,
  createTableMessage,
  decodeDocument,
  decodeTables,
  describeTable,
  encodeDocument,
  isQuorateError,
  LatencyTracker,
  limits,
  type Message,
  type OperationId,
  type Partition,
  type PartitionMap,
  type PeerId,
  pause,
  QuorateError,
  type Random,
  Rpc,
  randomByteString,
  randomUnit,
  type TableDescriptor,
  type TableSpecification,
  type Transport,
  tableDocument,
  u64ToString,
} from '@quorate/core'
import { Router, type Seed } from './router.ts'
import { Session } from './session.ts'
import type { TableHandle } from './table.ts'
import { TableClient } from './table-client.ts'
import { backoffMs, Tries } from './tries.ts'

export interface CallOptions {
  /** The whole life of the call, retries included; default 5 s. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignalLike | undefined
  /** What this call must show of earlier ones, and what it adds (`client.session()`). */
  readonly session?: Session | undefined
}

/** The part of AbortSignal that is used: platforms differ in the rest. */
export interface AbortSignalLike {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Where a request goes: the partition, and the map that it is of. */
export interface Place {
  readonly map: PartitionMap
  readonly partition: Partition
  /** Any home will do as well as the leader. */
  readonly anyHome?: boolean | undefined
}

export interface ClientParts {
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly seeds: readonly Seed[]
}

/** Tells more of the node than of the request: others are asked first for a while. */
const NODE_TROUBLE: ReadonlySet<string> = new Set(['UNREACHABLE', 'DEADLINE', 'STORE_FULL'])

export class QuorateClient {
  readonly router: Router
  readonly rpc: Rpc
  readonly clock: Clock
  /** How long pages of ranges take. */
  readonly pageLatency = new LatencyTracker()
  readonly #random: Random
  readonly #transport: Transport

  constructor(parts: ClientParts) {
    this.clock = parts.clock
    this.#random = parts.random
    this.#transport = parts.transport
    this.rpc = new Rpc(parts.transport, parts.clock, { closedError: 'the client is closed' })
    this.router = new Router(this.rpc, parts.clock, parts.random, parts.seeds)
  }

  /** Fetches the state of the cluster, trying until the deadline. */
  async ready(options: CallOptions = {}): Promise<void> {
    const deadline = this.clock.monotonicMs() + (options.timeoutMs ?? limits.requestTimeoutMs)
    for (let attempt = 0; ; attempt++) {
      try {
        await this.router.refresh()
        if (this.router.catalog.members.members.length > 0) return
        throw new QuorateError('NOT_READY', 'the cluster is still forming')
      } catch (error) {
        const waitMs = backoffMs(this.#random, attempt)
        if (isQuorateError(error) && error.code === 'CANCELLED') throw error
        if (this.clock.monotonicMs() + waitMs >= deadline) throw error
        await pause(this.clock, waitMs)
      }
    }
  }

  table<T extends object, Steps>(handle: TableHandle<T, Steps>): TableClient<T, Steps> {
    return new TableClient(this, handle)
  }

  /** A new session, or one that goes on from a token. Throws BAD_SESSION. */
  session(token?: string | Uint8Array): Session {
    return new Session(token)
  }

  /** Six bytes of wall-clock milliseconds, so that ids sort by age, and ten of chance. */
  newOperation(): OperationId {
    const ms = Math.max(0, Math.floor(this.clock.wallMs()))
    return (u64ToString(ms).slice(2) + randomByteString(this.#random, 10)) as OperationId
  }

  /** Descriptor of a table, asked for anew when it is not known here. */
  async describe(name: string): Promise<TableDescriptor> {
    // When it is not known: created since we last asked, perhaps. Only a fresh catalog can say that there is none.
    if (this.router.catalog.findNamed(name) === undefined) await this.router.refresh()
    return this.router.catalog.named(name).descriptor
  }

  /** Creates a table by compare-and-set; the same name with the same settings is success. */
  async createTable(
    name: string,
    specification: Omit<TableSpecification, 'name'>,
    options: CallOptions = {},
  ): Promise<TableDescriptor> {
    const wanted = describeTable(0, { ...specification, name })
    const operation = this.newOperation()
    const document = { ...tableDocument(wanted) }
    delete document.id
    const request = { operation, descriptor: encodeDocument(document, 'table') }
    const reply = await this.attempt(
      options,
      true,
      () => this.#anyPeer(),
      (peer, leftMs) => this.rpc.request(peer, createTableMessage, request, leftMs),
    )
    const made = decodeDocument(reply.descriptor) as { id: number }
    await this.#awaitTable(made.id, options)
    return describeTable(made.id, made)
  }

  /** Changes what is measured of a table; undefined: nothing. */
  async alterTable(
    name: string,
    { shadow }: { readonly shadow: TableSpecification['shadow'] },
    options: CallOptions = {},
  ): Promise<TableDescriptor> {
    const request = { operation: this.newOperation(), name, shadow }
    const reply = await this.passOn(alterTableMessage, request, options)
    const altered = decodeDocument(reply.descriptor) as { id: number }
    await this.router.refresh()
    return describeTable(altered.id, altered)
  }

  async #awaitTable(id: number, options: CallOptions): Promise<void> {
    const deadline = this.clock.monotonicMs() + (options.timeoutMs ?? limits.requestTimeoutMs)
    while (this.router.catalog.find(id) === undefined && this.clock.monotonicMs() < deadline) {
      await this.router.refresh()
      if (this.router.catalog.find(id) === undefined) await pause(this.clock, 20)
    }
  }

  async tables(): Promise<readonly TableDescriptor[]> {
    const known = { knownMembers: 0, knownTables: 0 }
    const reply = await this.attempt(
      {},
      false,
      () => this.#anyPeer(),
      (peer, leftMs) => this.rpc.request(peer, clusterMessage, known, leftMs),
    )
    return decodeTables(reply.tables).tables
  }

  /** Sends a message that any node can answer, as it is. */
  passOn<Request, Reply>(
    message: Message<Request, Reply>,
    request: Request,
    options: CallOptions,
  ): Promise<Reply> {
    const ask = (peer: PeerId, leftMs: number) => this.rpc.request(peer, message, request, leftMs)
    return this.attempt(options, true, () => this.#anyPeer(), ask)
  }

  #anyPeer(): PeerId {
    const members = this.router.catalog.members.members
    if (members.length === 0) throw new QuorateError('NOT_READY', 'the client is not connected yet')
    const live = members.filter(member => !this.router.isAvoided(member.id))
    const from = live.length > 0 ? live : members
    return from[Math.floor(randomUnit(this.#random) * from.length)]!.id as string as PeerId
  }

  /**
   * Sends to the homes of a partition in turn until one answers, the error is final, or the deadline passes.
   * `hedge`, for what may be asked twice: one more node is asked when the first takes longer than most.
   */
  send<Request, Reply>(
    message: Message<Request, Reply>,
    place: () => Place,
    makeRequest: (partition: Partition) => Request,
    options: CallOptions,
    isWrite: boolean,
    hedge?: LatencyTracker,
  ): Promise<Reply> {
    let order: readonly string[] = []
    let at = 0
    let { map, partition, anyHome } = place()
    const next = (): PeerId => {
      if (at >= order.length) {
        order = this.router.order(map, partition, anyHome)
        at = 0
      }
      return order[at++] as PeerId
    }
    const tries = new Tries(this.clock, this.#random, options, isWrite)
    tries.isLed = partition.lead !== undefined
    tries.onStaleMap = peer => {
      order = []
      return this.router.refreshMap(map.table, partition.chunk, peer)
    }
    const ask = (leftMs: number, resolve: (reply: Reply) => void, reject: (error: unknown) => void): void => {
      const now = place()
      if (now.partition !== partition) order = []
      ;({ map, partition, anyHome } = now)
      const request = makeRequest(partition)
      this.rpc.call([tries.next(next)], message, request, leftMs, (_, reply, error) => {
        if (error === undefined) resolve(reply as Reply)
        else reject(error)
      })
    }
    const once = (leftMs: number): Promise<Reply> =>
      new Promise((resolve, reject) => ask(leftMs, resolve, reject))
    if (hedge !== undefined) {
      const another = (leftMs: number, resolve: (reply: Reply) => void): void => {
        // What it fails with is not what the call ends with: the first one is still to be heard.
        this.rpc.call([next()], message, makeRequest(partition), leftMs, (_, reply, error) => {
          if (error === undefined) resolve(reply as Reply)
        })
      }
      return this.#try(tries, leftMs => this.#hedged(leftMs, once, another, hedge))
    }
    if (options.signal !== undefined) return this.#try(tries, once)
    // The first try, which is mostly the only one, goes without a loop's promises.
    return new Promise((resolve, reject) => {
      const again = (error: unknown): void => {
        this.#recover(tries, error)
          .then(() => this.#try(tries, once))
          .then(resolve, reject)
      }
      try {
        ask(tries.nextMs(), resolve, again)
      } catch (error) {
        again(error)
      }
    })
  }

  #hedged<Reply>(
    leftMs: number,
    first: (leftMs: number) => Promise<Reply>,
    second: (leftMs: number, resolve: (reply: Reply) => void) => void,
    hedge: LatencyTracker,
  ): Promise<Reply> {
    const askedMs = this.clock.monotonicMs()
    hedge.readStarted()
    return new Promise((resolve, reject) => {
      const afterMs = hedge.hedgeAfterMs()
      const time = this.rpc.deadlines.add(askedMs + afterMs, {
        expire: () => {
          if (afterMs < leftMs && hedge.take()) second(leftMs - afterMs, resolve)
        },
      })
      first(leftMs).then(
        reply => {
          time.cancel()
          // Of the first only: what hedges take would lower the bound that they wait for.
          hedge.record(this.clock.monotonicMs() - askedMs)
          resolve(reply)
        },
        (error: unknown) => {
          time.cancel()
          reject(error)
        },
      )
    })
  }

  /** Asks one peer after the other until one answers, the error is final, or the deadline passes. */
  attempt<Reply>(
    options: CallOptions,
    isWrite: boolean,
    next: () => PeerId,
    ask: (peer: PeerId, leftMs: number) => Promise<Reply>,
  ): Promise<Reply> {
    const tries = new Tries(this.clock, this.#random, options, isWrite)
    return this.#try(tries, leftMs => ask(tries.next(next), leftMs))
  }

  async #try<Reply>(tries: Tries, once: (leftMs: number) => Promise<Reply>): Promise<Reply> {
    for (;;) {
      const leftMs = tries.nextMs()
      try {
        return await this.#abortable(tries.options.signal, once(leftMs))
      } catch (error) {
        await this.#recover(tries, error)
      }
    }
  }

  /** Resolves when it is time to try again; rejects with what the call ends with. */
  async #recover(tries: Tries, cause: unknown): Promise<void> {
    const error = tries.failed(cause)
    if (tries.peer !== undefined && NODE_TROUBLE.has(error.code)) {
      this.router.failed(tries.peer)
      // It may be gone for good, and its rows with others: meanwhile it is found out.
      this.router.lookAround()
    }
    if (error.code === 'UNKNOWN_TABLE') await this.#quietly(tries, () => this.router.refresh())
    const { peer, onStaleMap } = tries
    if (error.code === 'STALE_MAP' && peer !== undefined && onStaleMap !== undefined)
      await this.#quietly(tries, () => onStaleMap(peer))
    const waitMs = tries.waitMs(error)
    if (waitMs > 0) await pause(this.clock, waitMs)
  }

  async #quietly(tries: Tries, refresh: () => Promise<void>): Promise<void> {
    try {
      await refresh()
    } catch (error) {
      // The retry that follows reports it; the map in hand may still be right.
      tries.note(error)
    }
  }

  #abortable<Reply>(signal: AbortSignalLike | undefined, work: Promise<Reply>): Promise<Reply> {
    if (signal === undefined) return work
    return new Promise((resolve, reject) => {
      const abort = (): void =>
        reject(new QuorateError('CANCELLED', 'the call was aborted', { outcome: 'unknown' }))
      if (signal.aborted) {
        // Its outcome is nobody's any more.
        work.catch(() => {})
        return abort()
      }
      signal.addEventListener('abort', abort)
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    })
  }

  async close(): Promise<void> {
    this.rpc.close()
    await this.#transport.close()
  }
}
