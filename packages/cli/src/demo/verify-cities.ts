/** The proof: every row read back at R=2 and compared with its source; every partition compared replica by replica. */

import type { TableClient } from '@quorate/client'
import { concurrently } from '../concurrently.ts'
import type { Progress } from '../output/progress.ts'
import type { LocalCluster } from '../server/local-cluster.ts'
import { type City, sameCity } from './cities.ts'
import { adminsOf } from './converge.ts'

const WIDTH = 256
const GET_TIMEOUT_MS = 30_000
const EXAMPLES_MAX = 5

export interface VerifyReport {
  /** Rows that do not read back with the right value. */
  missing: number
  divergentKeys: number
  rowsCompared: number
  seconds: number
  readonly examples: string[]
}

export async function verifyCities(
  table: TableClient<City>,
  cities: readonly City[],
  cluster: LocalCluster,
  progress: Progress,
): Promise<VerifyReport> {
  const began = performance.now()
  const report: VerifyReport = { missing: 0, divergentKeys: 0, rowsCompared: 0, seconds: 0, examples: [] }
  const example = (text: string): void => {
    if (report.examples.length < EXAMPLES_MAX) report.examples.push(text)
  }
  let done = 0
  await concurrently(cities, WIDTH, async city => {
    try {
      const found = await table.get(city.id, { r: 2, timeoutMs: GET_TIMEOUT_MS })
      if (found.siblings.length !== 1 || !sameCity(city, found.value)) {
        report.missing++
        example(`${city.id}: ${found.siblings.length} values read back`)
      }
    } catch (error) {
      report.missing++
      example(`${city.id}: ${error instanceof Error ? error.message : String(error)}`)
    }
    progress.done = ++done
  })
  await compareReplicas(cluster, report, example)
  report.seconds = (performance.now() - began) / 1000
  return report
}

async function compareReplicas(
  cluster: LocalCluster,
  report: VerifyReport,
  example: (text: string) => void,
): Promise<void> {
  const admins = adminsOf(cluster)
  const { partitions } = await admins[0]!.ring('cities')
  let turn = 0
  await concurrently(partitions, 2, async ({ id }) => {
    const verdict = await admins[turn++ % admins.length]!.verify('cities', id)
    report.rowsCompared += verdict.rows
    report.divergentKeys += verdict.divergent
    for (const text of verdict.examples) example(text)
  })
}
