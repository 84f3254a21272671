/** The state of a cluster, gathered from what each node says of itself. */

import type { StatusDocument } from '../admin-client.ts'
import type { KnownNode } from '../cluster-access.ts'
import type { Column } from './output.ts'
import type { Style } from './style.ts'
import { bytes, count, duration } from './words.ts'

export interface NodeItem {
  readonly node: string
  readonly state: StatusDocument['state'] | 'unreachable'
  readonly address: string
  readonly http: string
  readonly zone: string
  readonly region: string
  readonly uptimeMs: number | null
  readonly rows: number | null
  /** Hints this node holds, by target. */
  readonly hints: Readonly<Record<string, number>>
  readonly hintsHeld: number
  /** Nodes that suspect this one. */
  readonly suspectedBy: readonly string[]
  readonly proven: number
  readonly pairs: number
  /** Pairs without a proof that is young enough. */
  readonly overdue: number
  /** The oldest proof; null when there is none. */
  readonly oldestProofMs: number | null
  readonly damagedRows: number
  readonly ledgerEntries: number
  readonly rssBytes: number | null
  readonly logBytes: number | null
  readonly process: number | null
  readonly problem: string | null
}

export interface ClusterStatus {
  readonly items: readonly NodeItem[]
  readonly documents: readonly StatusDocument[]
}

export async function gatherStatus(nodes: readonly KnownNode[]): Promise<ClusterStatus> {
  const answers = await Promise.all(
    nodes.map(async ({ id, admin }) => {
      try {
        return { id, http: admin.address, status: await admin.status(3_000), problem: null }
      } catch (error) {
        return {
          id,
          http: admin.address,
          status: undefined,
          problem: error instanceof Error ? error.message : String(error),
        }
      }
    }),
  )
  const documents = answers.flatMap(answer => (answer.status === undefined ? [] : [answer.status]))
  return { documents, items: answers.map(answer => itemOf(answer, documents)) }
}

function itemOf(
  answer: { id: string; http: string; status: StatusDocument | undefined; problem: string | null },
  documents: readonly StatusDocument[],
): NodeItem {
  const { id, http, status, problem } = answer
  const member = documents.flatMap(document => document.members).find(found => found.id === id)
  const hints = Object.fromEntries((status?.hints ?? []).map(hint => [hint.target, hint.count]))
  const sum = (pick: (table: StatusDocument['tables'][number]) => number): number =>
    (status?.tables ?? []).reduce((total, table) => total + pick(table), 0)
  return {
    node: id,
    state: status?.state ?? 'unreachable',
    address: member?.address ?? '',
    http,
    zone: member?.zone ?? '',
    region: member?.region ?? '',
    uptimeMs: status?.uptimeMs ?? null,
    rows: status === undefined ? null : sum(table => table.rows),
    hints,
    hintsHeld: Object.values(hints).reduce((a, b) => a + b, 0),
    suspectedBy: documents
      .filter(document => document.members.some(m => m.id === id && m.suspected))
      .map(d => d.node),
    proven: sum(table => table.sweep.proven),
    pairs: sum(table => table.sweep.pairs),
    overdue: sum(table => table.sweep.overdue),
    oldestProofMs: oldestProof(status),
    damagedRows: status?.damagedRows ?? 0,
    ledgerEntries: status?.ledgerEntries ?? 0,
    rssBytes: status?.memory.rss ?? null,
    logBytes: status?.store.logBytes ?? null,
    process: status?.process ?? null,
    problem,
  }
}

const stateColour = (text: string, item: NodeItem, style: Style): string =>
  item.state === 'ready'
    ? style.green(text)
    : item.state === 'unreachable' || item.state === 'failed'
      ? style.red(text)
      : style.yellow(text)

export const nodeColumns: readonly Column<NodeItem>[] = [
  { name: 'NODE', value: item => item.node },
  { name: 'STATE', value: item => item.state, paint: stateColour },
  { name: 'ZONE', value: item => item.zone },
  { name: 'DATA', value: item => item.address },
  { name: 'ADMIN', value: item => item.http },
  { name: 'ROWS', value: item => item.rows ?? undefined },
  {
    name: 'HINTS HELD',
    value: item => hintText(item),
    paint: (text, item, style) => (item.hintsHeld > 0 ? style.yellow(text) : text),
  },
  {
    name: 'PROVEN',
    value: item => provenText(item),
    paint: (text, item, style) => (item.overdue > 0 ? style.red(text) : text),
  },
  {
    name: 'SUSPECTED BY',
    value: item => item.suspectedBy.join(' ') || '-',
    paint: (text, item, style) => (item.suspectedBy.length > 0 ? style.red(text) : style.dim(text)),
  },
  { name: 'UP', value: item => (item.uptimeMs === null ? '' : duration(item.uptimeMs)) },
  { name: 'MEMORY', value: item => (item.rssBytes === null ? '' : bytes(item.rssBytes)) },
]

function provenText(item: NodeItem): string {
  if (item.state === 'unreachable') return '?'
  const overdue = item.overdue === 0 ? '' : `, ${item.overdue} overdue`
  return `${item.proven}/${item.pairs}${overdue}`
}

function oldestProof(status: StatusDocument | undefined): number | null {
  const proofs = (status?.tables ?? []).flatMap(({ sweep }) => sweep.oldestMs ?? [])
  return proofs.length === 0 ? null : Math.min(...proofs)
}

function hintText(item: NodeItem): string | number {
  if (item.state === 'unreachable') return '?'
  if (item.hintsHeld === 0) return 0
  return Object.entries(item.hints)
    .map(([target, held]) => `${held.toLocaleString('en-US')} for ${target}`)
    .join(', ')
}

/** One sentence above the table. */
export function statusHeadline({ items, documents }: ClusterStatus, style: Style): string {
  const ready = items.filter(item => item.state === 'ready').length
  const hints = items.reduce((total, item) => total + item.hintsHeld, 0)
  const cluster = documents[0]
  const nodes =
    ready === items.length
      ? style.green(`all ${items.length} nodes ready`)
      : style.red(`${ready} of ${items.length} nodes ready`)
  const overdue = items.reduce((total, item) => total + item.overdue, 0)
  const proofs = overdue === 0 ? '' : ` · ${style.red(`${count(overdue, 'proof')} overdue`)}`
  const waiting = hints === 0 ? 'no hints waiting' : style.yellow(`${count(hints, 'hint')} waiting`)
  const tables = cluster === undefined ? '' : ` · ${count(cluster.tables.length, 'table')}`
  return `${nodes} · ${waiting}${proofs}${tables}`
}
