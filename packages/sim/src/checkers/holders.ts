/**
 * A write receipt names real holders: looked up in their stores at the moment the client hears of it.
 *
 * A home that is named has the write's dot in its row, durably; a fallback has it in a hint, or the home it
 * stands for has it by now. Nodes that are down, or whose disk was destroyed since the write began, cannot
 * be asked.
 */

import {
  type ActorHistory,
  type ByteString,
  type Context,
  contextCovers,
  DAMAGED,
  decodeCell,
  encodeKey,
  placeOfPart,
  type SeenOfPart,
  type Stamp,
} from '@quorate/core'
import type { WriteRecord } from '../workloads/history.ts'
import type { SimCluster } from '../world/sim-cluster.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import type { Destruction, Violation } from './evidence.ts'

export function checkHolders(
  cluster: SimCluster,
  write: WriteRecord,
  destroyed: readonly Destruction[],
): Violation[] {
  const lost = new Set(destroyed.filter(({ atMs }) => atMs >= write.callMs).map(({ node }) => node))
  // Of a row in parts the receipt is that of one of the parts that were written, and does not say of which.
  const perPart = write.context!.map(seen => wrongHolders(cluster, write, seen, lost))
  const least = perPart.find(messages => messages.length === 0) ?? perPart.at(0) ?? []
  return least.map(message => ({
    checker: 'receipts',
    message: `${write.table}/${write.key} ${write.tag ?? 'delete'}: ${message}`,
  }))
}

function wrongHolders(
  cluster: SimCluster,
  write: WriteRecord,
  { part, context }: SeenOfPart,
  lost: ReadonlySet<string>,
): string[] {
  const messages: string[] = []
  const bad = (message: string): void => void messages.push(message)
  for (const { node, role, for: home } of write.receipt!.answered) {
    const machine = cluster.machine(node)
    const place = placeOf(machine, write, part)
    if (place === undefined || lost.has(node)) continue
    const isHome = place.holders.includes(node)
    if (role === 'home') {
      if (!isHome) bad(`${node} is reported as a home and is none`)
      else if (holds(machine, place.key, context) === false)
        bad(`${node} is named as a holder and has it not`)
      continue
    }
    if (isHome) bad(`${node} is a home and is reported as a fallback for ${home}`)
    if (home === undefined || lost.has(home) || cluster.machine(home).node === undefined) continue
    const hinted = machine.node!.context.hints.get(home as never, place.key)
    const kept = hinted !== undefined && contextCovers(decodeCell(hinted.cell).context, context)
    if (!kept && holds(cluster.machine(home), place.key, context) === false) {
      bad(`${node} stands in for ${home} and neither of them has it`)
    }
  }
  return messages
}

interface Place {
  readonly key: ByteString
  readonly holders: readonly string[]
}

/** Where the row lives, by the node's own map; undefined when the node cannot say. */
function placeOf(machine: SimMachine, write: WriteRecord, part: number): Place | undefined {
  const { node } = machine
  if (node === undefined) return undefined
  const partitionKey = encodeKey(write.key)
  try {
    const view = node.catalog.named(write.table)
    const { key } = placeOfPart(view, { partitionKey, sortKey: '' as ByteString }, part)
    const partition = view.map.locate(key)
    // The rows may have gone elsewhere since: then this node cannot say.
    if (partition.version !== write.receipt!.mapVersion) return undefined
    return { key, holders: partition.writeSets.flat() }
  } catch {
    // The node has not heard of the table (again) yet.
    return undefined
  }
}

/**
 * What a collection lets a row forget: a row that was collected and written again knows nothing from before
 * the watermark, and a write that was tried again names all that its first try had seen.
 */
export function contextAfter(context: Context, watermark: Stamp): Context {
  const after: ActorHistory[] = []
  for (const { actor, intervals } of context) {
    const left: number[] = []
    for (let i = 0; i < intervals.length; i += 2) {
      const [from, to] = [intervals[i]!, intervals[i + 1]!]
      if (to > watermark) left.push(Math.max(from, watermark + 1), to)
    }
    if (left.length > 0) after.push({ actor, intervals: left })
  }
  return after
}

/** undefined: it cannot say. */
function holds(machine: SimMachine, key: ByteString, context: Context): boolean | undefined {
  const { node } = machine
  if (node === undefined || node.rebuild.pending) return undefined
  if (node.context.rows.damagedKeys.has(key)) return undefined
  const stored = node.store.get(key)
  if (stored === DAMAGED) return undefined
  const owed = contextAfter(context, node.context.fences.at(key).watermark)
  if (owed.length === 0) return undefined
  return stored !== undefined && contextCovers(decodeCell(stored).context, owed)
}
