/** What may fail before and during a plan without an acknowledged write or a quorum lost, in words. */

import type { TableView } from '../catalog/catalog.ts'
import { copiesAcknowledged } from '../catalog/replication-settings.ts'
import { ledOf, type TableDescriptor } from '../catalog/table-descriptor.ts'
import { readersNeeded, votesNeeded } from '../leadership/acknowledgement.ts'

interface Planned {
  readonly name: string
  readonly moves: readonly unknown[]
}

const nodes = (count: number): string =>
  count <= 0 ? 'no node' : count === 1 ? 'any one node' : `any ${count} nodes`

export function survivability(views: readonly TableView[], tables: readonly Planned[]): string[] {
  return views.flatMap(({ descriptor, map }) => {
    const { name } = descriptor
    const moving = tables.find(table => table.name === name)?.moves.length ?? 0
    const copies = Math.min(...map.partitions.map(partition => partition.settled.length))
    const { needed, writes } = demand(descriptor, copies)
    const now = `"${name}": ${nodes(copies - needed)} may fail and ${writes} go on`
    const words = copies > needed ? now : `${now}${whyNone(descriptor)}`
    if (moving === 0) return [words]
    return [
      words,
      `"${name}" while it moves: each of ${moving} partitions needs ${needed} of its old and of its new homes, one at a time or a few; a home that fails stops its own moves until it is back, and what has not been switched can be taken back`,
    ]
  })
}

/** How many of a partition's homes must stand, and what for. */
function demand(descriptor: TableDescriptor, copies: number): { needed: number; writes: string } {
  const led = ledOf(descriptor)
  const acknowledging = copiesAcknowledged(descriptor.replication)
  if (led === undefined) return { needed: acknowledging, writes: `writes with w=${acknowledging}` }
  // Copies for the write, and, when it is the leader that fails, answers for an election that loses nothing.
  const rule = { ack: led.ack, minInSync: led.minInSync, n: copies }
  const needed = Math.max(acknowledging, votesNeeded(rule), readersNeeded(rule))
  return { needed, writes: `writes with ack ${led.ack}` }
}

function whyNone(descriptor: TableDescriptor): string {
  const ack = ledOf(descriptor)?.ack
  if (ack === 'none')
    return '; a leader that dies is replaced by an operator only (quorate cluster elect), since it may have acknowledged what nobody else has'
  return ack === 'all' ? '; each write waits for every copy' : ''
}
