/**
 * Fills a replica anew whose leader's log no longer reaches back to what it lacks: the rows come page by page while the
 * leader's rows change on, then the log from the first page's moment on (leader/replica.ts says why that is right).
 *
 * Invariants: one filling at a time per replica, all of it from one leader in one epoch, and none beyond the life of its
 * seat: a partition that goes away and comes back is another one; a filling that breaks off leaves a replica that says so,
 * and is begun again by the leader's next message; rows are given to homes of the partition only.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { divergence, type LogShape, truncated } from '../leadership/epoch-history.ts'
import { DAMAGED, durable } from '../store/store-face.ts'
import { logRowsMessage } from '../wire/led-messages.ts'
import type { Held, LedPartitions } from './led-partitions.ts'

const PAGE_MS = 5_000

export class Filler {
  readonly #node: NodeContext
  readonly #partitions: LedPartitions
  readonly #onNews: (message: string) => void
  readonly #running = new Set<string>()
  #stopped = false

  constructor(node: NodeContext, partitions: LedPartitions, onNews: (message: string) => void) {
    this.#node = node
    this.#partitions = partitions
    this.#onNews = onNews
    partitions.onLoad = (held, from) => this.#begin(held, from)
    this.#serve()
  }

  stop(): void {
    this.#stopped = true
  }

  #begin(held: Held, from: NodeId): void {
    const { table, partition } = held.seat.place
    const name = `${table}/${partition}`
    if (this.#running.has(name) || this.#stopped || held.seat.leading !== undefined) return
    this.#running.add(name)
    void this.#fill(held, from)
      .catch((error: unknown) => {
        // Begun again by the leader's next message.
        if (!isQuorateError(error)) throw error
        this.#onNews(`filling partition ${partition} of table ${table} from ${from}: ${error.message}`)
      })
      .finally(() => this.#running.delete(name))
  }

  async #fill({ seat, partition }: Held, from: NodeId): Promise<void> {
    const { rpc, store } = this.#node
    const { replica, place } = seat
    const epoch = replica.log.fence
    const page = (after: ByteString) =>
      rpc.request(
        from as string as PeerId,
        logRowsMessage,
        { table: place.table, partition: place.partition, epoch, after, bytes: limits.logBatchBytes },
        PAGE_MS,
      )
    const isOver = (): boolean =>
      this.#stopped ||
      replica.log.fence !== epoch ||
      this.#partitions.find(place.table, place.partition)?.seat !== seat
    let reply = await page('' as ByteString)
    if (isOver()) return
    const first: LogShape = reply.shape
    const shared = divergence(replica.log.shape, first).position
    await durable(store, replica.beginLoading(shared, partition.from, partition.to))
    for (;;) {
      if (isOver()) return
      replica.load(reply.rows)
      if (!reply.more) break
      reply = await page(reply.rows.at(-1)!.key)
    }
    // From as far back as the leader's log goes: a replica that may lead one day must know what was tried.
    const behind = truncated(first, Math.min(reply.gone, first.last))
    // Not before it has everything that its leader had: of that it may have been one of the copies.
    await durable(store, replica.endLoading(behind, reply.last, epoch))
  }

  /** The leader's side: rows as they are now, and the log that they stand for. */
  #serve(): void {
    const { rpc, store } = this.#node
    rpc.handle(logRowsMessage, ({ table, partition, epoch, after, bytes }, respond, by) => {
      const held = this.#partitions.find(table, partition)
      const leading = held?.seat.leading
      if (held === undefined || leading === undefined || leading.epoch !== epoch)
        return respond.fail(this.#partitions.notLeading(table, partition))
      if (!held.partition.holders.includes(by as string as NodeId))
        return respond.fail(new QuorateError('NOT_REPLICA', `${by} keeps no copy of partition ${partition}`))
      // Not under the lease: it may be the very replica whose promise the lease waits for.
      const { log, carriedOut } = held.seat.replica
      const shape = truncated(log.shape, carriedOut)
      const rows: { key: ByteString; cell: Uint8Array }[] = []
      const { from, to } = held.partition
      held.seat.holdLog(log.first)
      let size = 0
      let more = false
      for (const [key, cell] of store.scan(after === '' ? from : ((after + '\0') as ByteString), to)) {
        if (size >= bytes) {
          more = true
          break
        }
        // Read by name: a damaged row is noted, and nobody is filled from here while it is.
        const known = cell === DAMAGED ? this.#node.rows.read(key) : cell
        if (known === undefined) continue
        rows.push({ key, cell: known })
        size += key.length + known.length
      }
      store.whenDurable(store.handed, () =>
        respond.ok({ rows, more, shape, gone: log.first - 1, last: log.shape.last }),
      )
    })
  }
}
