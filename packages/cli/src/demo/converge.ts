/**
 * Waiting for the cluster to be whole again: every node ready, every hint handed over, every shared
 * partition proven equal by a sweep. Bounded: a cluster that does not heal is a result too.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { AdminClient, type StatusDocument } from '../admin-client.ts'
import type { Progress } from '../output/progress.ts'
import type { LocalCluster } from '../server/local-cluster.ts'

const POLL_MS = 200
const HEAL_MS = 60_000
const ROUNDS_MAX = 8

export interface HealReport {
  seconds: number
  hintsReplayed: number
  sweepRepaired: number
  readRepairs: number
  /** Partitions × peers proven equal by the last sweep, and all of them. */
  proven: number
  pairs: number
  /** What was still open when time was up. */
  readonly open: string[]
}

export function adminsOf(cluster: LocalCluster): AdminClient[] {
  return cluster.nodes.filter(node => node.process !== undefined).map(node => new AdminClient(node.http))
}

export async function converge(
  cluster: LocalCluster,
  table: string,
  progress: Progress,
): Promise<HealReport> {
  const began = performance.now()
  const admins = adminsOf(cluster)
  const open = await drained(admins, progress)
  let differing = Number.POSITIVE_INFINITY
  let pairs = 0
  let proven = 0
  for (let round = 0; round < ROUNDS_MAX && differing > 0; round++) {
    differing = 0
    pairs = 0
    proven = 0
    for (const admin of admins) {
      const { exchanges } = await admin.repair(table)
      for (const exchange of exchanges) {
        const unsettled = exchange.complete ? exchange.differing : Math.max(1, exchange.differing)
        differing += unsettled
        pairs += exchange.partitions
        proven += Math.max(0, exchange.partitions - unsettled)
      }
      progress.note = `${proven} pairs of replicas proven equal`
    }
  }
  if (differing > 0) open.push(`${differing} pairs of replicas are not proven equal`)
  const statuses = await Promise.all(admins.map(admin => admin.status()))
  const sum = (counter: 'hintsReplayed' | 'sweepRowsRepaired' | 'readRepairs'): number =>
    statuses.reduce((total, status) => total + status.counters[counter], 0)
  return {
    seconds: (performance.now() - began) / 1000,
    hintsReplayed: sum('hintsReplayed'),
    sweepRepaired: sum('sweepRowsRepaired'),
    readRepairs: sum('readRepairs'),
    proven,
    pairs,
    open,
  }
}

async function drained(admins: readonly AdminClient[], progress: Progress): Promise<string[]> {
  const deadline = performance.now() + HEAL_MS
  let open: string[] = []
  while (performance.now() < deadline) {
    const statuses = await Promise.all(admins.map(admin => admin.status()))
    open = statuses.flatMap(openOf)
    if (open.length === 0) return []
    progress.note = open[0]!
    await pause(POLL_MS)
  }
  return open
}

function openOf(status: StatusDocument): string[] {
  const hints = status.hints.reduce((total, hint) => total + hint.count, 0)
  return [
    ...(status.state === 'ready' ? [] : [`${status.node} is ${status.state}`]),
    ...(hints === 0 ? [] : [`${status.node} still holds ${hints.toLocaleString('en-US')} hints`]),
    ...status.members
      .filter(member => member.suspected)
      .map(member => `${status.node} suspects ${member.id}`),
  ]
}
