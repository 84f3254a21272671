/**
 * The import, through the smart client, with a node's death in the middle of it. A row counts as
 * acknowledged when its put returned: W replicas said "durable". What ends without an answer is tried again
 * by the client under the same operation id, so nothing is written twice.
 */

import type { TableClient } from '@quorate/client'
import { concurrently } from '../concurrently.ts'
import type { Progress } from '../output/progress.ts'
import type { LocalCluster } from '../server/local-cluster.ts'
import type { City } from './cities.ts'

export interface ImportPlan {
  readonly victim: string
  readonly killAtRow: number
  readonly restartAtRow: number
}

export interface ImportReport {
  acknowledged: number
  readonly failures: string[]
  seconds: number
  /** Rows acknowledged when the node was killed, and while it was down. */
  killedAtRows: number
  rowsWhileDown: number
  /** Longest time without any acknowledgement, from the kill to the restart. */
  longestPauseMs: number
  /** Writes that left a hint for the dead node. */
  hinted: number
}

const WIDTH = 256
const PUT_TIMEOUT_MS = 30_000
const FAILURES_MAX = 5

export interface ImportHooks {
  readonly onKilled: (report: ImportReport) => void
  readonly onRestarting: (report: ImportReport) => void
}

export async function importCities(
  table: TableClient<City>,
  cities: readonly City[],
  cluster: LocalCluster,
  plan: ImportPlan,
  progress: Progress,
  hooks: ImportHooks,
): Promise<ImportReport> {
  const report: ImportReport = {
    acknowledged: 0,
    failures: [],
    seconds: 0,
    killedAtRows: 0,
    rowsWhileDown: 0,
    longestPauseMs: 0,
    hinted: 0,
  }
  const began = performance.now()
  let lastAck = began
  let phase: 'before' | 'down' | 'after' = 'before'
  let interlude: Promise<void> = Promise.resolve()
  const acknowledged = (hinted: boolean): void => {
    const now = performance.now()
    report.acknowledged++
    if (hinted) report.hinted++
    if (phase === 'down') {
      report.rowsWhileDown++
      report.longestPauseMs = Math.max(report.longestPauseMs, now - lastAck)
    }
    lastAck = now
    progress.done = report.acknowledged
    if (phase === 'before' && report.acknowledged >= plan.killAtRow) {
      phase = 'down'
      report.killedAtRows = report.acknowledged
      interlude = cluster.kill(plan.victim).then(() => hooks.onKilled(report))
    } else if (phase === 'down' && report.acknowledged >= plan.restartAtRow) {
      phase = 'after'
      interlude = interlude.then(() => {
        hooks.onRestarting(report)
        return cluster.start(plan.victim)
      })
      // Awaited below; until then a failure must not count as unhandled.
      interlude.catch(() => undefined)
    }
  }
  await concurrently(cities, WIDTH, async city => {
    try {
      const { receipt } = await table.put(city, { timeoutMs: PUT_TIMEOUT_MS })
      acknowledged(receipt.hinted.length > 0)
    } catch (error) {
      if (report.failures.length < FAILURES_MAX)
        report.failures.push(`${city.id}: ${error instanceof Error ? error.message : String(error)}`)
    }
  })
  report.seconds = (performance.now() - began) / 1000
  await interlude
  if (cluster.node(plan.victim).process === undefined) await cluster.start(plan.victim)
  return report
}
