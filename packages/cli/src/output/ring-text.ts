/** The map of a table: what share of the tokens, or in key order of the partitions, each node is home to. */

import type { RingDocument } from '../admin-client.ts'
import { type Column, tableLines } from './output.ts'
import type { Style } from './style.ts'
import { count, duration, wholeNumber } from './words.ts'

export type PartitionItem = RingDocument['partitions'][number] & { readonly table: string }

const ago = (atMs: number | null): string =>
  atMs === null ? 'never' : `${duration(Math.max(0, Date.now() - atMs))} ago`

export const shareColumns: readonly Column<PartitionItem>[] = [
  { name: 'TABLE', value: item => item.table },
  { name: 'PARTITION', value: item => item.id },
  { name: 'FIRST', value: item => item.first },
  { name: 'SHARE', value: item => `${(item.share * 100).toFixed(2)} %` },
  { name: 'HOMES', value: item => item.replicas.join(' '), paint: (text, _, style) => style.cyan(text) },
  {
    name: 'MOVING',
    value: item => (item.move === null ? '' : `${item.move.stage} → ${item.move.to.join(' ')}`),
  },
  { name: 'FALLBACKS', value: item => item.fallbacks.join(' ') },
  { name: 'ROWS HERE', value: item => item.rows },
  {
    name: 'PROVEN EQUAL',
    value: item => item.provenEqual.map(({ peer, atMs }) => `${peer} ${ago(atMs)}`).join(', '),
  },
]

const BAR = 30

/** `stream 3, verify 2` */
function movingText(moving: RingDocument['partitions']): string {
  const stages = moving.map(({ move }) => move!.stage)
  return [...new Set(stages)]
    .map(stage => `${stage} ${stages.filter(other => other === stage).length}`)
    .join(', ')
}

export function ringLines(ring: RingDocument, style: Style): string[] {
  const shares = new Map<string, { share: number; first: number; partitions: number }>()
  for (const { replicas, share } of ring.partitions) {
    replicas.forEach((node, position) => {
      const known = shares.get(node) ?? { share: 0, first: 0, partitions: 0 }
      known.share += share
      known.partitions++
      if (position === 0) known.first += share
      shares.set(node, known)
    })
  }
  // A range of keys has no size that is known before its rows are counted.
  const isOrdered = ring.partitions.every(({ start }) => start === null)
  const most = Math.max(...[...shares.values()].map(({ share }) => share))
  const lines = [...shares]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([node, { share, first, partitions }]) => {
      const drawn = style.cyan('━'.repeat(Math.max(1, Math.round((share / most) * BAR))).padEnd(BAR))
      return `  ${style.bold(node.padEnd(6))} ${drawn} ${(share * 100).toFixed(1).padStart(5)} % of the ${isOrdered ? 'partitions' : `copies in ${count(partitions, 'partition')}`}, first home of ${(first * 100).toFixed(1)} %`
    })
  const hidden = isOrdered ? ['TABLE', 'SHARE'] : ['TABLE']
  const moving = ring.partitions.filter(({ move }) => move !== null)
  if (moving.length === 0) hidden.push('MOVING')
  const columns = shareColumns
    .filter(column => !hidden.includes(column.name))
    .map(column => (isOrdered && column.name === 'FIRST' ? { ...column, name: 'FIRST KEY' } : column))
  const items = ring.partitions.map(partition => ({ table: ring.table, ...partition }))
  return [
    `${style.bold(ring.table)}: ${wholeNumber(ring.partitions.length)} partitions by ${ring.partitioning}, map version ${ring.mapVersion}${moving.length === 0 ? '' : style.yellow(`, ${moving.length} on the move (${movingText(moving)}): quorate task show`)}`,
    ...lines,
    '',
    ...tableLines(columns, items, style),
    '',
  ]
}
