/** What the other parties of a move are asked: pages of rows, what only they have, what they know, what they weigh. */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, TableId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { leavers, type Partition } from '../partitioning/partition-map.ts'
import { DAMAGED } from '../store/store-face.ts'
import { partitionOf, speaksFor } from '../sweep/sweep-server.ts'
import type { Sweeper } from '../sweep/sweeper.ts'
import type { Trees } from '../sweep/trees.ts'
import { barrierMessage, handOverMessage, measureMessage, movePageMessage } from '../wire/messages.ts'

const PAGE_ROWS_MAX = 5_000
const PAGE_BYTES_MAX = 4 * 1024 * 1024
/** Rows of a table read to know how large its rows are. */
const SAMPLE_ROWS = 400

export interface SourceOptions {
  readonly node: NodeContext
  readonly sweeper: Sweeper
  readonly trees: Trees
  readonly mapsAreKept: () => boolean
  /** 0: not known. */
  readonly freeBytes: () => number
  /** Of a partition with a leader: does a member of its new homes lead? If this node does, it hands over first. */
  readonly giveUpLead: (view: TableView, partition: Partition) => Promise<boolean>
}

export function serveMoves(options: SourceOptions): void {
  servePages(options)
  serveBarriers(options)
  serveHandOver(options)
  serveMeasures(options)
}

function servePages({ node }: SourceOptions): void {
  const { rpc, catalog, store, hybrid, rows } = node
  rpc.handle(movePageMessage, (request, respond) => {
    const [view, partition] = partitionOf(catalog, request)
    refuseClosed(partition, request.session)
    if (!partition.settled.includes(node.self) || !speaksFor(node, view, partition))
      throw new QuorateError('NOT_READY', `${node.self} cannot speak for the whole partition now`)
    const asOf = hybrid.peek()
    const page: { key: ByteString; cell: Uint8Array }[] = []
    const bytesMax = Math.min(request.bytes, PAGE_BYTES_MAX)
    let bytes = 0
    let more = false
    const from = request.after < partition.from ? partition.from : ((request.after + '\0') as ByteString)
    for (const [key, value] of store.scan(from, partition.to)) {
      if (page.length >= PAGE_ROWS_MAX || bytes >= bytesMax) {
        more = true
        break
      }
      const cell = value === DAMAGED ? rows.read(key) : value
      if (cell === undefined) continue
      page.push({ key, cell })
      bytes += key.length + cell.length
    }
    store.whenDurable(store.handed, () => respond.ok({ rows: page, more, asOf }))
  })
}

function refuseClosed(partition: Partition, session: number): void {
  if (partition.move?.session === session && session > 0) return
  throw new QuorateError('STALE_MAP', 'this attempt to move the partition is over', {
    data: { version: partition.version, session: partition.move?.session ?? 0 },
  })
}

function serveBarriers({ node, mapsAreKept }: SourceOptions): void {
  const { rpc, catalog, store, catchUp } = node
  const versionOf = (table: number, id: number): number => catalog.find(table)?.map.find(id)?.version ?? 0
  rpc.handle(barrierMessage, (request, respond, from) => {
    const behind = request.partitions.filter(
      ({ table, partition, mapVersion }) => versionOf(table, partition) < mapVersion,
    )
    const chunks = new Map(behind.map(({ table, chunk }) => [`${table}/${chunk}`, { table, chunk }]))
    const looks = [...chunks.values()].map(({ table, chunk }) => catchUp(table as TableId, chunk, from))
    void Promise.all(looks).then(() => {
      const kept = mapsAreKept()
      const reached = request.partitions.map(
        ({ table, partition, mapVersion }) => kept && versionOf(table, partition) >= mapVersion,
      )
      // Durable before it is said: after a restart this node must not go back to the map it has left.
      store.whenDurable(store.handed, () => respond.ok({ reached }))
    })
  })
}

/** The last exchange of a home that is leaving: what it alone has goes to a home that stays or comes. */
function serveHandOver({ node, sweeper, giveUpLead }: SourceOptions): void {
  const { rpc, catalog } = node
  rpc.handle(handOverMessage, (request, respond) => {
    const exchanges = request.partitions.map(async address => {
      const view = catalog.find(address.table)
      const partition = view?.map.find(address.partition)
      if (view === undefined || partition?.version !== address.mapVersion) return false
      if (partition.move?.session !== address.session || !leavers(partition).includes(node.self)) return false
      if (ledOf(view.descriptor) !== undefined) return giveUpLead(view, partition)
      const heirs = partition.move.to.filter(home => home !== node.self && !node.isSuspected(home))
      for (const heir of heirs) {
        const result = await sweeper.exchangePartitions(view, [partition], heir)
        if (result?.complete === true) return true
      }
      return false
    })
    void Promise.all(exchanges).then(done => respond.ok({ done }))
  })
}

function serveMeasures({ node, trees, freeBytes }: SourceOptions): void {
  const { rpc, catalog } = node
  rpc.handle(measureMessage, (request, respond) => {
    const view = catalog.view(request.table)
    const held = request.partitions.map(id => view.map.find(id))
    const rowBytes = meanRowBytes(node, held)
    const partitions = held.map(partition => {
      const rows = partition === undefined ? 0 : trees.rowsOf(view.descriptor.id, partition.id)
      return { rows, bytes: Math.round(rows * rowBytes) }
    })
    respond.ok({ partitions, freeBytes: freeBytes() })
  })
}

/** Of key and cell, over some rows of each of the partitions. */
export function meanRowBytes({ store }: NodeContext, partitions: readonly (Partition | undefined)[]): number {
  const limit = Math.max(2, Math.ceil(SAMPLE_ROWS / Math.max(1, partitions.length)))
  let rows = 0
  let bytes = 0
  for (const partition of partitions) {
    if (partition === undefined) continue
    for (const [key, value] of store.scan(partition.from, partition.to, { limit })) {
      if (value === DAMAGED) continue
      rows++
      bytes += key.length + value.length
    }
  }
  return rows === 0 ? 0 : bytes / rows
}
