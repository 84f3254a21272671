/**
 * The pieces of the partition maps on this node: read from their registers, kept on disk, followed by watches,
 * asked of peers that know better.
 *
 * A piece is taken from anyone, since it carries the version that the registers gave it; only newer ones
 * replace older ones. What is known is kept on disk, so that a node which restarts does not go back to a map
 * that it has told others it has left (`durable` says when it may tell them).
 */

import { prefixEnd, stringToU32, u32ToString } from '../base/bytes.ts'
import { isQuorateError } from '../base/errors.ts'
import type { ByteString, OperationId, PeerId, TableId } from '../base/ids.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { decodeChunk, encodeChunk, mapRegister } from '../catalog/cluster-state.ts'
import type { MapChunk } from '../partitioning/partition-map.ts'
import type { ChangeOutcome } from '../register/changes.ts'
import type { Registers } from '../register/registers.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store } from '../store/store-face.ts'
import { mapMessage } from '../wire/messages.ts'
import type { Rpc } from '../wire/rpc.ts'

const PREFIX = `${keyspaces.meta}map/` as ByteString
const ASK_MS = 1_000
const PIECES_A_LOOK = 16

const storeKey = (table: TableId, index: number): ByteString =>
  (PREFIX + u32ToString(table) + u32ToString(index)) as ByteString

export interface MapKeeperOptions {
  readonly catalog: Catalog
  readonly store: Store
  readonly rpc: Rpc
  /** Undefined until the cluster has formed. */
  readonly registers: () => Registers | undefined
}

export class MapKeeper {
  readonly #options: MapKeeperOptions
  readonly #watched = new Set<string>()
  /** One look at a time for each piece and informant. */
  readonly #looking = new Map<string, Promise<void>>()
  #next = 0
  /** Pieces that the store could not take yet. */
  readonly #unkept = new Set<string>()

  constructor(options: MapKeeperOptions) {
    this.#options = options
    options.rpc.handle(mapMessage, (request, respond) => {
      const chunk = options.catalog.chunk(request.table as TableId, request.index)
      respond.ok({ chunk: chunk === undefined ? undefined : encodeChunk(chunk) })
    })
  }

  /** What was known when this node last ran. */
  load(): void {
    const { store, catalog } = this.#options
    for (const [key, value] of store.scan(PREFIX, prefixEnd(PREFIX))) {
      if (value === DAMAGED) continue
      const at = PREFIX.length
      const [table, index] = [stringToU32(key, at) as TableId, stringToU32(key, at + 4)]
      catalog.learn({ chunks: [{ table, index, chunk: decodeChunk(value) }] })
    }
  }

  /** Watches the pieces of every table, and reads those that are not known yet. */
  async follow(): Promise<void> {
    const { catalog } = this.#options
    const registers = this.#options.registers()
    if (registers === undefined) return
    const unread: Promise<void>[] = []
    for (const { id, chunks } of catalog.tables.tables) {
      for (let index = 0; index < chunks; index++) {
        const name = mapRegister(id, index)
        if (!this.#watched.has(name)) {
          this.#watched.add(name)
          registers.watch(name as ByteString, ({ value }) => {
            if (value !== undefined) this.learn(id, index, decodeChunk(value))
          })
        }
        if (catalog.chunk(id, index) === undefined) unread.push(this.look(id, index))
      }
    }
    await Promise.all(unread)
  }

  /** Reads some pieces again, in turn: news that gossip lost, or that could not be read when it came. */
  async lookAgain(): Promise<void> {
    const pieces = this.#options.catalog.tables.tables.flatMap(({ id, chunks }) =>
      Array.from({ length: chunks }, (_, index) => ({ id, index })),
    )
    const count = Math.min(PIECES_A_LOOK, pieces.length)
    const turn = Array.from({ length: count }, (_, at) => pieces[(this.#next + at) % pieces.length]!)
    this.#next = (this.#next + count) % Math.max(1, pieces.length)
    await Promise.all(turn.map(({ id, index }) => this.look(id, index)))
  }

  learn(table: TableId, index: number, chunk: MapChunk): void {
    const { catalog } = this.#options
    if (chunk.version > (catalog.chunk(table, index)?.version ?? 0)) {
      catalog.learn({ chunks: [{ table, index, chunk }] })
      this.#unkept.add(`${table}/${index}`)
    }
    this.keep()
  }

  /** Hands everything that is known to the store; it is durable when the store's last batch is. False: not now. */
  keep(): boolean {
    if (this.#unkept.size === 0) return true
    try {
      this.#options.store.commit([...this.#unkept].map(name => this.#record(name)))
      this.#unkept.clear()
      return true
    } catch (error) {
      // A full store: tried again by whoever asks next; until then no barrier is passed here.
      if (!isQuorateError(error)) throw error
      return false
    }
  }

  #record(name: string): { key: ByteString; value: Uint8Array } {
    const [table, index] = name.split('/').map(Number) as [TableId, number]
    const chunk = this.#options.catalog.chunk(table, index)!
    return { key: storeKey(table, index), value: encodeChunk(chunk) }
  }

  /** Asks `from`, or without one the registers, for a piece. Resolves when that was tried. */
  look(table: TableId, index: number, from?: PeerId): Promise<void> {
    const name = `${table}/${index}/${from ?? ''}`
    const running = this.#looking.get(name)
    if (running !== undefined) return running
    const look = (from === undefined ? this.#read(table, index) : this.#ask(table, index, from)).then(
      () => void this.#looking.delete(name),
      (error: unknown) => {
        this.#looking.delete(name)
        // Not to be had now: what is known stays in use, and versions on requests keep it honest.
        if (!isQuorateError(error)) throw error
      },
    )
    this.#looking.set(name, look)
    return look
  }

  async #read(table: TableId, index: number): Promise<void> {
    const found = await this.#options.registers()?.read(mapRegister(table, index) as ByteString)
    if (found?.value !== undefined) this.learn(table, index, decodeChunk(found.value))
  }

  async #ask(table: TableId, index: number, from: PeerId): Promise<void> {
    const { chunk } = await this.#options.rpc.request(from, mapMessage, { table, index }, ASK_MS)
    if (chunk !== undefined) this.learn(table, index, decodeChunk(chunk))
  }

  /**
   * Changes a piece by compare-and-set and learns what it is then. `change` is pure, may run more than once,
   * and returns what to refuse with instead of a piece when it finds nothing to do.
   */
  async change(
    table: TableId,
    index: number,
    change: (chunk: MapChunk | undefined) => MapChunk | string,
    operation: OperationId,
    timeoutMs?: number,
  ): Promise<ChangeOutcome> {
    const registers = this.#options.registers()
    if (registers === undefined) return { kind: 'not-applied', reason: 'the cluster has not formed yet' }
    const outcome = await registers.change(
      mapRegister(table, index) as ByteString,
      current => {
        const changed = change(current === undefined ? undefined : decodeChunk(current))
        return typeof changed === 'string' ? { reject: changed } : { value: encodeChunk(changed) }
      },
      operation,
      timeoutMs === undefined ? {} : { timeoutMs },
    )
    if (outcome.kind === 'committed' || outcome.kind === 'rejected') {
      const { value } = outcome.current
      if (value !== undefined) this.learn(table, index, decodeChunk(value))
    }
    return outcome
  }
}
