/** Why a read answers what it answers: hash → token → partition → replicas → what each one has. Read-only. */

import { bytesToBase64 } from '../base/base64.ts'
import { stringToHex } from '../base/bytes.ts'
import type { ByteString, NodeId, PeerId, TableId } from '../base/ids.ts'
import { keyOfRow } from '../catalog/catalog.ts'
import { stampCounter, stampMs } from '../causality/hybrid-clock.ts'
import { type Cell, emptyCell, liveValues } from '../cells/cell.ts'
import { decodeCell, describeDigest, digestCell } from '../cells/cell-codec.ts'
import { encodeContextToken } from '../cells/context-token.ts'
import { type Document, decodeDocument } from '../cells/document.ts'
import { seenOf } from '../cells/superseded.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { partitionTokens, rowToken } from '../partitioning/row-key.ts'
import { DAMAGED } from '../store/store-face.ts'
import { inspectMessage } from '../wire/messages.ts'

const ASK_MS = 1_000

export interface WrittenVersion {
  readonly dot: string
  /** When it was written, in ISO 8601; and how many stamps of that millisecond came before its own. */
  readonly at: string
  readonly counter: number
  readonly operation: string
}

export interface ReplicaView {
  readonly node: NodeId
  readonly role: 'home' | 'fallback'
  readonly state: 'has it' | 'has nothing' | 'deleted' | 'damaged' | 'rebuilding' | 'no answer'
  readonly suspected: boolean
  readonly digest: string | undefined
  readonly versions: readonly WrittenVersion[]
  /** Homes for which this node keeps a hint of the row. */
  readonly hintsFor: readonly NodeId[]
}

export interface Explanation {
  readonly table: string
  readonly partitionKeyHash: string
  /** Undefined on tables in key order, as are the tokens of the partition. */
  readonly token: number | undefined
  readonly partition: {
    readonly id: number
    readonly start: number | undefined
    readonly end: number | undefined
    readonly mapVersion: number
    /** Where it is moving, and how far it is. */
    readonly moving: string | undefined
  }
  readonly homes: readonly NodeId[]
  readonly fallbacks: readonly NodeId[]
  readonly replicas: readonly ReplicaView[]
  readonly merged: {
    readonly values: readonly Document[]
    readonly conflict: boolean
    /** Of all values above, in base64: a put with it replaces them. */
    readonly context: string
  }
  readonly why: readonly string[]
}

export async function explainRow(
  node: NodeContext,
  table: TableId,
  partitionKey: ByteString,
  sortKey: ByteString,
): Promise<Explanation> {
  const view = node.catalog.view(table)
  const key = keyOfRow(view, partitionKey, sortKey)
  const partition = view.map.locate(key)
  const { start, end } =
    view.order === 'hashed' ? partitionTokens(partition) : { start: undefined, end: undefined }
  const fallbacks = view.map.preference(partition).slice(partition.replicas.length)
  const asked = await Promise.all(
    [...partition.replicas, ...fallbacks].map(async id => {
      const role = partition.replicas.includes(id) ? ('home' as const) : ('fallback' as const)
      return inspect(node, table, key, id, role)
    }),
  )
  const homes = asked.filter(found => found.view.role === 'home')
  let merged: Cell | undefined
  for (const { cell } of homes) {
    if (cell === undefined) continue
    merged = merged === undefined ? cell : view.rule.merge(merged, cell).cell
  }
  const values = merged === undefined ? [] : view.rule.read(merged).map(value => decodeDocument(value))
  return {
    table: view.descriptor.name,
    partitionKeyHash: `murmur3-x86-32(${stringToHex(partitionKey)})`,
    token: view.order === 'hashed' ? rowToken(key) : undefined,
    partition: {
      id: partition.id,
      start,
      end,
      mapVersion: partition.version,
      moving:
        partition.move === undefined
          ? undefined
          : `${partition.move.stage} to ${partition.move.to.join(', ')}`,
    },
    homes: partition.replicas,
    fallbacks,
    replicas: asked
      .filter(found => found.view.role === 'home' || found.view.hintsFor.length > 0)
      .map(found => found.view),
    merged: {
      values,
      conflict: values.length > 1,
      context: bytesToBase64(encodeContextToken(seenOf(merged ?? emptyCell), key)),
    },
    why: reasons(
      view.descriptor.conflict.kind,
      view.descriptor.replication,
      homes.map(found => found.view),
      merged,
      values.length,
    ),
  }
}

async function inspect(
  node: NodeContext,
  table: TableId,
  key: ByteString,
  id: NodeId,
  role: 'home' | 'fallback',
): Promise<{ view: ReplicaView; cell: Cell | undefined }> {
  const suspected = node.isSuspected(id)
  const none = { node: id, role, suspected, digest: undefined, versions: [], hintsFor: [] }
  const reply = await (id === node.self
    ? inspectHere(node, table, key)
    : node.rpc.request(id as string as PeerId, inspectMessage, { table, key }, ASK_MS)
  ).catch(() => undefined)
  if (reply === undefined) return { view: { ...none, state: 'no answer' }, cell: undefined }
  const cell = reply.cell === undefined ? undefined : decodeCell(reply.cell)
  const live = cell === undefined ? [] : liveValues(cell)
  const state = reply.damaged
    ? 'damaged'
    : !reply.ready
      ? 'rebuilding'
      : cell === undefined
        ? 'has nothing'
        : live.length === 0
          ? 'deleted'
          : 'has it'
  const versions = (cell?.values ?? []).map(value => ({
    dot: `${stringToHex(value.actor).slice(0, 8)}:${value.stamp}`,
    at: new Date(stampMs(value.stamp)).toISOString(),
    counter: stampCounter(value.stamp),
    operation: stringToHex(value.operation).slice(0, 12),
  }))
  const digest = reply.cell === undefined ? undefined : describeDigest(digestCell(key, reply.cell))
  return { view: { node: id, role, state, suspected, digest, versions, hintsFor: reply.hints }, cell }
}

async function inspectHere(node: NodeContext, table: TableId, key: ByteString) {
  const stored = node.store.get(key)
  const view = node.catalog.view(table)
  const partition = view.map.locate(key)
  return {
    cell: stored === DAMAGED ? undefined : stored,
    damaged: stored === DAMAGED || node.rows.damagedKeys.has(key),
    ready: node.isReady(view, partition),
    hints: node.hints.targets().filter(target => node.hints.get(target, key) !== undefined),
  }
}

function reasons(
  rule: string,
  replication: { n: number; r: number; w: number; sloppy: boolean },
  homes: readonly ReplicaView[],
  merged: Cell | undefined,
  values: number,
): string[] {
  const answering = homes.filter(
    home => home.state !== 'no answer' && home.state !== 'damaged' && home.state !== 'rebuilding',
  )
  const digests = new Set(answering.map(home => home.digest ?? 'nothing'))
  const out: string[] = []
  out.push(
    answering.length >= replication.r
      ? `${answering.length} of ${homes.length} homes answer; a read with r=${replication.r} needs ${replication.r}`
      : `only ${answering.length} of ${homes.length} homes answer: a read with r=${replication.r} would be refused now`,
  )
  out.push(
    digests.size <= 1
      ? 'all of them hold the same cell'
      : `they hold ${digests.size} different cells: a read merges them and repairs the stale ones`,
  )
  if (merged === undefined) out.push('no home has ever seen this row (or its deletion has been collected)')
  else if (values === 0)
    out.push(
      'the newest thing known is a deletion; its history is kept until every home is proven to have it',
    )
  else if (values === 1)
    out.push(
      `one value survives under rule "${rule}": every other write was seen by it${rule === 'lww' ? ', or lost to it and is in the ledger' : ''}`,
    )
  else
    out.push(
      `${values} values are concurrent: none of their writers had seen the others; a write with this read's context settles them`,
    )
  const sum = replication.r + replication.w
  out.push(
    sum > replication.n
      ? `r + w = ${sum} > n = ${replication.n}: a read sees every write acknowledged by w homes${replication.sloppy ? ' (not by fallbacks)' : ''}`
      : `r + w = ${sum} <= n = ${replication.n}: a read may miss the latest acknowledged write`,
  )
  return out
}
