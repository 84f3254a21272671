/**
 * What is hot in the cluster: which partitions, by which keys, in what way, and what helps.
 *
 * Problem: each node sees only the requests that it coordinates. Mechanism: every member tells its own report
 * (nothing is counted twice, see hotkeys/hot-partitions.ts), the reports add up, and the sum is put in words: keys as
 * users wrote them, the pattern, and the advice that follows from it. The leader of a partition that should be
 * split and cannot be (movement/splitter.ts) says why. Members that do not answer are named: their requests are missing.
 */

import { stringToU32 } from '../base/bytes.ts'
import { isQuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { mergeReports, type PartitionReport, partitionReport } from '../hotkeys/hot-report.ts'
import { describeBoundary, describeRow } from '../leaderless/describe-row.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { type HotReply, hotMessage } from '../wire/messages.ts'

/** Where the token stands in a store key. */
const TOKEN_AT = 5
const ASK_MS = 2_000
const PARTITIONS_MAX = 1_000

export interface SplitRefusal {
  readonly table: number
  readonly partition: number
  readonly why: string
}

export interface HotKey {
  readonly key: string
  /** Of the partition's requests: at most `share`, at least `share − error`. */
  readonly share: number
  readonly error: number
  readonly readsPerSecond: number
  readonly writesPerSecond: number
}

export interface HotPartition {
  readonly table: string
  readonly partition: number
  /** Where it starts, in words; on hash tables its first token. */
  readonly first: string
  readonly replicas: readonly NodeId[]
  readonly readsPerSecond: number
  readonly writesPerSecond: number
  readonly pattern: PartitionReport['pattern']
  /** Busiest first. */
  readonly keys: readonly HotKey[]
  readonly advice: string
  /** Why it is not split though it should be; '' when nothing is the matter. */
  readonly refused: string
}

export interface HotDocument {
  readonly partitions: readonly HotPartition[]
  /** Members whose requests are not in it. */
  readonly unanswered: readonly NodeId[]
}

export function serveHot({ rpc, hot, clock }: NodeContext, refusals: () => readonly SplitRefusal[]): void {
  rpc.handle(hotMessage, ({ table, leastPerSecond, partitionsShown }, respond) => {
    const shown = Math.min(partitionsShown, PARTITIONS_MAX)
    const wanted = { leastPerSecond, partitionsShown: shown, ...(table === undefined ? {} : { table }) }
    const partitions = hot.report(clock.monotonicMs(), wanted).map(report => {
      const { reads, writes, growingPerSecond } = report.evidence
      const keysOf = ({ total, floor, keys }: typeof reads) => ({
        total,
        floor,
        keys: keys.map(({ key, count, error }) => ({ key: key as ByteString, count, error })),
      })
      const { table, partition } = report
      return { table, partition, reads: keysOf(reads), writes: keysOf(writes), growingPerSecond }
    })
    const refused = refusals().filter(refusal => table === undefined || refusal.table === table)
    respond.ok({ partitions, refusals: refused.slice(0, PARTITIONS_MAX) })
  })
}

export const reportsOf = ({ partitions }: HotReply): PartitionReport[] =>
  partitions.map(({ table, partition, ...evidence }) => partitionReport(table, partition, evidence))

export type HotReplies = Map<NodeId, HotReply>

/** What each of the nodes says; those that do not answer are missing. */
export async function askHot(
  node: NodeContext,
  nodes: readonly NodeId[],
  wanted: { readonly table?: number; readonly leastPerSecond?: number; readonly partitionsShown?: number },
): Promise<HotReplies> {
  const replies = new Map<NodeId, HotReply>()
  const request = {
    table: wanted.table,
    leastPerSecond: wanted.leastPerSecond ?? 0,
    partitionsShown: wanted.partitionsShown ?? PARTITIONS_MAX,
  }
  await Promise.all(
    nodes.map(async id => {
      try {
        replies.set(id, await node.rpc.request(id as string as PeerId, hotMessage, request, ASK_MS))
      } catch (error) {
        // It does not answer: whoever asks sees that it is missing.
        if (!isQuorateError(error)) throw error
      }
    }),
  )
  return replies
}

/** The busiest partitions of the cluster, or of one table. */
export async function hotPartitions(
  node: NodeContext,
  { table, limit }: { readonly table?: number; readonly limit: number },
): Promise<HotDocument> {
  const members = node.catalog.members.members.map(({ id }) => id)
  // A partition that is busy in all is among the busiest somewhere: each is asked for more than will be shown.
  const wanted = { partitionsShown: 4 * limit, ...(table === undefined ? {} : { table }) }
  const replies = await askHot(node, members, wanted)
  const refusals = [...replies.values()].flatMap(reply => reply.refusals)
  const merged = mergeReports([...replies.values()].map(reportsOf))
  // What has gone since (a table, a partition that was merged away) is nobody's trouble any more.
  const partitions = merged.flatMap(report => {
    const view = node.catalog.find(report.table as TableView['descriptor']['id'])
    const refused = refusals.find(
      ({ table, partition }) => table === report.table && partition === report.partition,
    )
    const described = view === undefined ? undefined : inWords(view, report, refused?.why ?? '')
    return described === undefined ? [] : [described]
  })
  return { partitions: partitions.slice(0, limit), unanswered: members.filter(id => !replies.has(id)) }
}

function inWords(view: TableView, report: PartitionReport, refused: string): HotPartition | undefined {
  const partition = view.map.find(report.partition)
  if (partition === undefined) return undefined
  const rounded = (rate: number): number => Math.round(rate * 10) / 10
  return {
    table: view.descriptor.name,
    partition: report.partition,
    first: view.order === 'hashed' ? firstToken(partition.from) : describeBoundary(partition.from),
    replicas: partition.replicas,
    readsPerSecond: rounded(report.readsPerSecond),
    writesPerSecond: rounded(report.writesPerSecond),
    pattern: report.pattern,
    keys: report.keys.map(({ key, share, error, reads, writes }) => ({
      key: describeRow(key as ByteString),
      share,
      error,
      readsPerSecond: rounded(reads),
      writesPerSecond: rounded(writes),
    })),
    advice: adviceOn(view, report),
    refused,
  }
}

const firstToken = (from: ByteString): string =>
  String(from.length > TOKEN_AT ? stringToU32(from, TOKEN_AT) : 0)

/** What helps, in words; '' when nothing is to be done. */
export function adviceOn({ order, rule, descriptor }: TableView, report: PartitionReport): string {
  const { pattern, readsPerSecond, writesPerSecond } = report
  if (pattern === 'ever-growing key' && order === 'ordered')
    return 'every new key lies behind all others, so the last partition takes all the writes however often it is split: put something before it in the key (the sensor, the user), or partition the table by hash'
  if (pattern === 'single key') {
    const cannot = 'one key cannot be split'
    if (readsPerSecond >= writesPerSecond)
      return `${cannot}: read it with r=one and let the nodes cache it (hotReadCacheMs), or keep it in the application`
    if (descriptor.hotKeys !== undefined)
      return `${cannot} further than into the ${descriptor.hotKeys.writeParts} parts its writes go to already: write it less often`
    return rule.discards
      ? `${cannot}: write it less often, or spread it over several keys`
      : `${cannot}: put it in a table with hotKeys.writeParts, which spreads its writes over several replica sets and joins them when they are read, or write it less often`
  }
  return ''
}
