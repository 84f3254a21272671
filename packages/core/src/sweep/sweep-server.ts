/** The answering side of a sweep: pure reads of trees and rows. */

import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Catalog, TableView } from '../catalog/catalog.ts'
import { describeRow } from '../leaderless/describe-row.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { refuseRowsOutside } from '../leaderless/partition-doors.ts'
import { type Partition, receivers } from '../partitioning/partition-map.ts'
import { DAMAGED } from '../store/store-face.ts'
import {
  sweepChildrenMessage,
  sweepFetchMessage,
  sweepLeafMessage,
  sweepRootsMessage,
} from '../wire/messages.ts'
import { FAN_OUT, sameNode } from './merkle-tree.ts'
import type { Trees } from './trees.ts'

const LEAF_ROWS = 2_000
/** Nodes asked for in one message: their children must fit the answer. */
const INDEXES_MAX = 4_096

export function serveSweeps(node: NodeContext, trees: Trees): void {
  serveTrees(node, trees)
  serveRows(node, trees)
}

function serveTrees(node: NodeContext, trees: Trees): void {
  const { rpc, catalog } = node

  rpc.handle(sweepRootsMessage, (request, respond) => {
    const view = catalog.view(request.table)
    const differing: number[] = []
    const unready: number[] = []
    const unknown: number[] = []
    for (const theirs of request.partitions) {
      const partition = view.map.find(theirs.id)
      if (partition?.version !== theirs.mapVersion || !partition.holders.includes(node.self)) {
        unknown.push(theirs.id)
        continue
      }
      if (!trees.isCounted(view.descriptor.id, theirs.id)) {
        unready.push(theirs.id)
        continue
      }
      if (!speaksFor(node, view, partition)) unready.push(theirs.id)
      if (!sameNode(theirs, trees.node(view.descriptor.id, theirs.id, 0, 0))) differing.push(theirs.id)
    }
    node.store.whenDurable(node.store.handed, () => respond.ok({ differing, unready, unknown }))
  })

  rpc.handle(sweepChildrenMessage, (request, respond) => {
    const [view] = partitionOf(catalog, request)
    const table = view.descriptor.id
    const width = FAN_OUT ** request.level
    const known =
      request.level < trees.depth(table, request.partition) && request.indexes.every(index => index < width)
    if (!known || request.indexes.length > INDEXES_MAX) {
      throw new QuorateError('BAD_REQUEST', 'the tree has no such partition, level or node')
    }
    const children = request.indexes.flatMap(parent =>
      Array.from({ length: FAN_OUT }, (_, child) => {
        const index = parent * FAN_OUT + child
        return { index, ...trees.node(table, request.partition, request.level + 1, index) }
      }),
    )
    respond.ok({ children })
  })
}

/** Rows: keys and digests of a leaf, and the rows themselves. */
function serveRows(node: NodeContext, trees: Trees): void {
  const { rpc, catalog } = node

  rpc.handle(sweepLeafMessage, (request, respond) => {
    const [view] = partitionOf(catalog, request)
    if (request.leaf >= FAN_OUT ** trees.depth(view.descriptor.id, request.partition))
      throw new QuorateError('BAD_REQUEST', 'no such leaf')
    const rows = trees.leafRows(
      view.descriptor.id,
      request.partition,
      request.leaf,
      request.after,
      LEAF_ROWS + 1,
    )
    respond.ok({ rows: rows.slice(0, LEAF_ROWS), more: rows.length > LEAF_ROWS })
  })

  rpc.handle(sweepFetchMessage, (request, respond) => {
    const [, partition] = partitionOf(catalog, request)
    refuseRowsOutside(partition, request.keys)
    const asOf = node.hybrid.peek()
    const cells: { key: (typeof request.keys)[number]; cell: Uint8Array | undefined }[] = []
    let bytes = 0
    for (const key of request.keys) {
      const stored = node.store.get(key)
      if (stored === DAMAGED || node.rows.damagedKeys.has(key)) {
        if (stored === DAMAGED) node.rows.markDamaged(key)
        throw new QuorateError(
          'DAMAGED_CELL',
          'a row asked for is damaged here and unknown until it is healed',
        )
      }
      if (stored !== undefined && stored.length > limits.cellBytesMax) {
        if (cells.length > 0) break
        throw cellTooLarge(key, stored.length)
      }
      cells.push({ key, cell: stored })
      bytes += stored?.length ?? 0
      if (bytes > limits.pageBytesMax) break
    }
    node.store.whenDurable(node.store.handed, () =>
      respond.ok({ asOf, cells, more: cells.length < request.keys.length }),
    )
  })
}

/** Merged across a cut past what can travel: whoever asks goes on behind it. */
function cellTooLarge(key: ByteString, cellBytes: number): QuorateError {
  return new QuorateError(
    'VALUE_TOO_LARGE',
    `${describeRow(key)} has grown to ${cellBytes} bytes by merging`,
    {
      data: { cellBytes, limitBytes: limits.cellBytesMax },
    },
  )
}

/** Has whoever pulls from here pulled everything? Not of a partition that is rebuilt or is still on its way here. */
export function speaksFor(node: NodeContext, view: TableView, partition: Partition): boolean {
  const { self, rows } = node
  const isReceiver = receivers(partition).includes(self) && !partition.replicas.includes(self)
  if (isReceiver || !node.isReady(view, partition)) return false
  // A damaged row is unknown.
  for (const key of rows.damagedKeys) if (key >= partition.from && key < partition.to) return false
  return true
}

/** The partition meant, when this node knows it in the same version. */
export function partitionOf(
  catalog: Catalog,
  request: { readonly table: number; readonly partition: number; readonly mapVersion: number },
): [TableView, Partition] {
  const view = catalog.view(request.table)
  const partition = view.map.find(request.partition)
  if (partition?.version === request.mapVersion) return [view, partition]
  const version = partition?.version ?? 0
  throw new QuorateError(
    'STALE_MAP',
    `this node knows version ${version} of partition ${request.partition}, the request is for ${request.mapVersion}`,
    { data: { version } },
  )
}
