/**
 * Compares the replicas of one partition row by row: read-only, straight from their stores, no merge and
 * no repair. In-flight writes look like differences, so what differs is read once more after a pause.
 */

import { bytesEqual } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import { fieldsOf } from '../catalog/table-descriptor.ts'
import { isTombstone } from '../cells/cell.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import { describeRow } from '../leaderless/describe-row.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { localPage, type ReplicaPage } from '../leaderless/range-flow.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import { DAMAGED } from '../store/store-face.ts'
import { inspectMessage, replicaRangeMessage } from '../wire/messages.ts'

const PAGE_TIMEOUT_MS = 10_000
const RECHECK_MS = 500
const EXAMPLES_MAX = 10

export interface PartitionVerdict {
  readonly partition: number
  readonly replicas: readonly NodeId[]
  /** Distinct rows on any replica; how many of them are deleted, have siblings, or differ. */
  readonly rows: number
  readonly tombstones: number
  readonly siblings: number
  readonly divergent: number
  /** Some differing rows, in words. */
  readonly examples: readonly string[]
}

export async function verifyPartition(
  node: NodeContext,
  view: TableView,
  partition: Partition,
): Promise<PartitionVerdict> {
  const { from: start, to } = partition
  const verdict = { rows: 0, tombstones: 0, siblings: 0, divergent: 0 }
  const suspects: ByteString[] = []
  let from = start
  for (;;) {
    const pages = await Promise.all(
      partition.replicas.map(home => pageOf(node, view, partition, home, from, to)),
    )
    const horizon = pages
      .filter(page => page.more)
      .map(page => page.rows.at(-1)!.key)
      .reduce<ByteString | undefined>(
        (least, key) => (least === undefined || key < least ? key : least),
        undefined,
      )
    compare(view, pages, horizon, verdict, suspects)
    if (horizon === undefined) break
    from = (horizon + '\0') as ByteString
  }
  const examples: string[] = []
  if (suspects.length > 0) {
    await pause(node.clock, RECHECK_MS)
    for (const key of suspects) {
      const cells = await Promise.all(partition.replicas.map(home => cellOf(node, view, home, key)))
      if (cells.every(cell => same(cell, cells[0]))) continue
      verdict.divergent++
      if (examples.length < EXAMPLES_MAX) {
        const missing = partition.replicas.filter((_, i) => cells[i] === undefined)
        examples.push(
          `${describeRow(key)}: ${missing.length > 0 ? `missing on ${missing.join(', ')}` : 'replicas hold different versions'}`,
        )
      }
    }
  }
  return { partition: partition.id, replicas: partition.replicas, ...verdict, examples }
}

async function pageOf(
  node: NodeContext,
  view: TableView,
  partition: Partition,
  home: NodeId,
  from: ByteString,
  to: ByteString,
): Promise<ReplicaPage> {
  if (home === node.self) return localPage(node, from, to, false, limits.pageRowsMax)
  const message = {
    table: view.descriptor.id as number,
    mapVersion: partition.version,
    from,
    to,
    reverse: false,
    limit: limits.pageRowsMax,
  }
  return node.rpc.request(home as string as PeerId, replicaRangeMessage, message, PAGE_TIMEOUT_MS)
}

async function cellOf(
  node: NodeContext,
  view: TableView,
  home: NodeId,
  key: ByteString,
): Promise<Uint8Array | undefined> {
  if (home === node.self) {
    const stored = node.store.get(key)
    if (stored === DAMAGED)
      throw new QuorateError('DAMAGED_CELL', `${describeRow(key)} is damaged on ${home}`)
    return stored
  }
  const reply = await node.rpc.request(
    home as string as PeerId,
    inspectMessage,
    { table: view.descriptor.id as number, key },
    PAGE_TIMEOUT_MS,
  )
  if (reply.damaged) throw new QuorateError('DAMAGED_CELL', `${describeRow(key)} is damaged on ${home}`)
  return reply.cell
}

function compare(
  view: TableView,
  pages: readonly ReplicaPage[],
  horizon: ByteString | undefined,
  verdict: { rows: number; tombstones: number; siblings: number },
  suspects: ByteString[],
): void {
  const byKey = new Map<ByteString, { cell: Uint8Array; count: number; equal: boolean }>()
  for (const { rows } of pages) {
    for (const { key, cell } of rows) {
      if (horizon !== undefined && key > horizon) break
      const known = byKey.get(key)
      if (known === undefined) byKey.set(key, { cell, count: 1, equal: true })
      else {
        known.count++
        known.equal &&= bytesEqual(known.cell, cell)
      }
    }
  }
  const isMerging = fieldsOf(view.descriptor) !== undefined
  for (const [key, { cell, count, equal }] of byKey) {
    verdict.rows++
    const decoded = decodeCell(cell)
    if (isTombstone(decoded)) verdict.tombstones++
    else if (!isMerging && view.rule.read(decoded).length > 1) verdict.siblings++
    if (!equal || count < pages.length) suspects.push(key)
  }
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : bytesEqual(a, b)
}
