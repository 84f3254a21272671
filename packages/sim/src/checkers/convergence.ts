/**
 * After healing, replicas agree: of every partition all homes hold byte-equal rows, their trees are equal
 * and are what counting the rows gives, no hint is left, no row is damaged, no rebuild is under way.
 */

import { type ByteString, bytesEqual, DAMAGED, type TableView } from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import { leftBehind } from './maps.ts'

/** What still differs, in words; empty when everything has converged. Stops at `limit`. */
export function differences(cluster: SimCluster, limit = 5): string[] {
  const found: string[] = []
  for (const machine of cluster.machines) {
    const { node, id } = machine
    if (node === undefined) found.push(`${id} is ${machine.state}`)
    else if (node.rebuild.pending) found.push(`${id} is being rebuilt`)
    else if (node.context.hints.count > 0)
      found.push(
        `${id} keeps ${node.context.hints.count} hints for ${node.context.hints.targets().join(' ')}`,
      )
    else if (node.context.rows.damagedKeys.size > 0)
      found.push(`${id} has ${node.context.rows.damagedKeys.size} damaged rows`)
  }
  found.push(...leftBehind(cluster))
  if (found.length > 0) return found
  const views = cluster.machines[0]!.node!.catalog.views()
  for (const view of views) {
    for (const partition of view.map.partitions) {
      const homes = partition.replicas.map(home => cluster.machine(home))
      const [first, ...others] = homes
      for (const other of others) {
        const difference = compareHomes(view, partition, first!, other)
        if (difference !== undefined) found.push(difference)
        if (found.length >= limit) return found
      }
    }
  }
  return found
}

function compareHomes(
  view: TableView,
  partition: { readonly id: number; readonly from: ByteString; readonly to: ByteString },
  a: SimMachine,
  b: SimMachine,
): string | undefined {
  const { id, name } = view.descriptor
  const where = `${name} partition ${partition.id} of ${a.id} and ${b.id}`
  const { from, to } = partition
  const mine = new Map(a.node!.store.scan(from, to))
  let count = 0
  for (const [key, theirs] of b.node!.store.scan(from, to)) {
    count++
    const own = mine.get(key)
    if (own === DAMAGED || theirs === DAMAGED) return `${where}: a row is damaged`
    if (own === undefined || !bytesEqual(own, theirs)) return `${where}: row ${printable(key)} differs`
  }
  if (count !== mine.size) return `${where}: ${mine.size} rows and ${count} rows`
  const left = a.node!.trees.node(id, partition.id, 0, 0)
  const right = b.node!.trees.node(id, partition.id, 0, 0)
  if (left.rows !== count || right.rows !== count)
    return `${where}: trees count ${left.rows} and ${right.rows} of ${count} rows`
  if (left.digest.some((lane, i) => lane !== right.digest[i])) return `${where}: equal rows, other trees`
  return undefined
}

const printable = (key: ByteString): string => key.replace(/[^ -~]/g, '·')
