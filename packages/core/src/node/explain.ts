/** Why a read answers what it answers: hash → token → partition → replicas → what each one has. Read-only. */

import { bytesToBase64 } from '../base/base64.ts'
import { stringToHex } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId, TableId } from '../base/ids.ts'
import { keyOfRow, placeOfPart, type RowPlace, type TableView } from '../catalog/catalog.ts'
import type { SingleLeaderReplication } from '../catalog/replication-settings.ts'
import { fieldsOf, leaderlessOf, writePartsOf } from '../catalog/table-descriptor.ts'
import { stampCounter, stampMs } from '../causality/hybrid-clock.ts'
import { type Cell, liveValues } from '../cells/cell.ts'
import { decodeCell, describeDigest, digestCell } from '../cells/cell-codec.ts'
import { type Document, decodeDocument } from '../cells/document.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { joinParts } from '../leaderless/split-read.ts'
import type { Lead } from '../leadership/leadership.ts'
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

export interface ExplainedPartition {
  readonly id: number
  readonly start: number | undefined
  readonly end: number | undefined
  readonly mapVersion: number
  /** Where it is moving, and how far it is. */
  readonly moving: string | undefined
}

/** A part of a row whose writes are split, and where it lies. */
export interface ExplainedPart {
  readonly part: number
  readonly token: number | undefined
  readonly partition: ExplainedPartition
  readonly homes: readonly NodeId[]
  readonly replicas: readonly ReplicaView[]
  /** How many of the values of the row are in it. */
  readonly values: number
}

export interface Explanation {
  readonly table: string
  readonly partitionKeyHash: string
  /** Undefined on tables in key order, as are the tokens of the partition. */
  readonly token: number | undefined
  readonly partition: ExplainedPartition
  readonly homes: readonly NodeId[]
  readonly fallbacks: readonly NodeId[]
  /** Of part 0, as all above, where the writes of a key are split. */
  readonly replicas: readonly ReplicaView[]
  /** All parts, where the writes of a key are split. */
  readonly parts: readonly ExplainedPart[] | undefined
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
  if (fieldsOf(view.descriptor) !== undefined)
    throw new QuorateError(
      'BAD_REQUEST',
      `a row of "${view.descriptor.name}" is many cells, one for each field and element, and explain shows one: quorate get shows the row`,
    )
  const parts = await Promise.all(
    Array.from({ length: writePartsOf(view.descriptor) }, (_, part) =>
      explainPart(node, view, placeOfPart(view, { partitionKey, sortKey }, part)),
    ),
  )
  const [{ merged: first, homeViews, ...whole }] = parts as [PartFound]
  const isSplit = parts.length > 1
  const row = keyOfRow(view, partitionKey, sortKey)
  const joined = joinParts(
    parts.map(({ part, merged }) => ({ part, cell: merged })),
    row,
  )
  const encoded = isSplit ? joined.values : first === undefined ? [] : view.rule.read(first)
  const values = encoded.map(value => decodeDocument(value))
  const { conflict } = view.descriptor
  const { replication } = view.descriptor
  const why = isSplit
    ? reasonsOfParts(parts, leaderlessOf(view.descriptor))
    : replication.kind === 'single-leader'
      ? reasonsOfLed(replication, view.map.locate(row).lead, homeViews, values.length)
      : reasons(conflict.kind, leaderlessOf(view.descriptor), homeViews, first, values.length)
  return {
    table: view.descriptor.name,
    partitionKeyHash: `murmur3-x86-32(${stringToHex(partitionKey)})`,
    token: whole.token,
    partition: whole.partition,
    homes: whole.homes,
    fallbacks: whole.fallbacks,
    replicas: whole.replicas,
    parts: isSplit ? parts.map(({ merged, homeViews, fallbacks, ...shown }) => shown) : undefined,
    merged: { values, conflict: values.length > 1, context: bytesToBase64(joined.context) },
    why,
  }
}

interface PartFound extends ExplainedPart {
  readonly fallbacks: readonly NodeId[]
  readonly homeViews: readonly ReplicaView[]
  readonly merged: Cell | undefined
}

async function explainPart(node: NodeContext, view: TableView, { key, part }: RowPlace): Promise<PartFound> {
  const table = view.descriptor.id
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
  const { move } = partition
  return {
    part,
    token: view.order === 'hashed' ? rowToken(key) : undefined,
    partition: {
      id: partition.id,
      start,
      end,
      mapVersion: partition.version,
      moving: move === undefined ? undefined : `${move.stage} to ${move.to.join(', ')}`,
    },
    homes: partition.replicas,
    fallbacks,
    replicas: asked
      .filter(found => found.view.role === 'home' || found.view.hintsFor.length > 0)
      .map(found => found.view),
    values: merged === undefined ? 0 : view.rule.read(merged).length,
    homeViews: homes.map(found => found.view),
    merged,
  }
}

/** Why a row in parts reads as it does. */
function reasonsOfLed(
  { ack, log }: SingleLeaderReplication,
  lead: Lead | undefined,
  homes: readonly ReplicaView[],
  values: number,
): string[] {
  const answering = homes.filter(answers)
  const digests = new Set(answering.map(home => home.digest ?? 'nothing'))
  return [
    lead?.leader === undefined
      ? 'nobody leads the partition now: writes and reads wait for an election'
      : `${lead.leader} leads the partition in epoch ${lead.epoch} (${lead.evidence.kind}); it orders the writes of the row, and answers reads under its lease`,
    digests.size <= 1
      ? `the ${answering.length} of ${homes.length} replicas that answer hold the same row`
      : `replicas hold ${digests.size} states of the row: followers carry the log out a little later than the leader; quorate lag says how far they are`,
    values === 0 ? 'there is no such row' : 'there is one value: the last that the log has carried out',
    `ack ${ack}: see quorate table show; its log is ${log}`,
  ]
}

function reasonsOfParts(parts: readonly PartFound[], { r }: { readonly r: number }): string[] {
  const short = parts.filter(({ homeViews }) => homeViews.filter(answers).length < r)
  const differing = parts.filter(({ homeViews }) => {
    const digests = homeViews.filter(answers).map(home => home.digest ?? 'nothing')
    return new Set(digests).size > 1
  })
  const named = (some: readonly PartFound[]): string => some.map(({ part }) => part).join(', ')
  return [
    `the writes of each key of the table go to ${parts.length} parts, and a read asks r=${r} homes of every one`,
    short.length === 0
      ? 'enough homes of every part answer'
      : `too few homes of ${short.length} of them answer (${named(short)}): a read would be refused now`,
    differing.length === 0
      ? 'the homes of each part hold the same cell'
      : `the homes of ${differing.length} of them (${named(differing)}) hold different cells: a read merges and repairs them`,
  ]
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

const answers = ({ state }: ReplicaView): boolean =>
  state !== 'no answer' && state !== 'damaged' && state !== 'rebuilding'

function reasons(
  rule: string,
  replication: { n: number; r: number; w: number; sloppy: boolean },
  homes: readonly ReplicaView[],
  merged: Cell | undefined,
  values: number,
): string[] {
  const answering = homes.filter(answers)
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
