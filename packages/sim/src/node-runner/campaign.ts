/** Many seeds, one after another, and their sum. */

import type { FaultCounts, FaultKind } from '../faults/fault-kinds.ts'
import { faultKinds, noFaults } from '../faults/fault-kinds.ts'
import { describeLed, ledOptions } from '../scenarios/led-options.ts'
import type { SwarmResult, Verdict } from '../scenarios/swarm.ts'
import { describeOptions, type SwarmOverrides, swarmOptions } from '../scenarios/swarm-options.ts'
import { runLedSeed, runSeed } from './run-seed.ts'

export interface Campaign {
  seeds: number
  simulatedSeconds: number
  realSeconds: number
  speedup: number
  events: number
  operations: number
  acknowledged: number
  readonly faults: FaultCounts
  readonly coverage: Record<string, number>
  readonly violations: {
    readonly seed: number
    readonly verdict: Verdict
    readonly checker: string
    readonly message: string
  }[]
  readonly failedSeeds: number[]
  /** Over all seeds, in order. */
  traceHash: string
}

/** Runs of at least this many seeds must have met every kind of fault. */
const COVERAGE_SEEDS = 100

export interface CampaignOptions {
  readonly from: number
  readonly seeds: number
  readonly keepGoing: boolean
  /** Only runs over tables with leaders. */
  readonly led: boolean
  readonly overrides?: SwarmOverrides
  readonly onResult?: (result: SwarmResult, options: string) => void
}

export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const sum: Campaign = {
    seeds: 0,
    simulatedSeconds: 0,
    realSeconds: 0,
    speedup: 0,
    events: 0,
    operations: 0,
    acknowledged: 0,
    faults: noFaults(),
    coverage: {},
    violations: [],
    failedSeeds: [],
    traceHash: '',
  }
  const began = process.hrtime.bigint()
  let hash = 0
  for (let seed = options.from; seed < options.from + options.seeds; seed++) {
    let failed = false
    for (const { run, description } of runsOf(seed, options)) {
      const result = await run()
      hash = (Math.imul(hash, 31) + Number.parseInt(result.traceHash.slice(0, 8), 16)) >>> 0
      add(sum, result)
      options.onResult?.(result, description)
      failed ||= result.verdict !== 'ok'
    }
    sum.seeds++
    if (failed && !options.keepGoing) break
  }
  sum.realSeconds = Number(process.hrtime.bigint() - began) / 1e9
  sum.speedup = Math.round(sum.simulatedSeconds / sum.realSeconds)
  sum.traceHash = hash.toString(16).padStart(8, '0')
  return sum
}

/** Tables with leaders have a run of their own, with every so many seeds. */
const LED_EVERY = 3

interface Run {
  readonly run: () => Promise<SwarmResult>
  readonly description: string
}

function runsOf(seed: number, { overrides, led }: CampaignOptions): Run[] {
  const runs: Run[] = []
  if (!led) {
    const chosen = swarmOptions(seed, overrides)
    runs.push({ run: () => runSeed(chosen), description: describeOptions(chosen) })
  }
  if (led || seed % LED_EVERY === 0) {
    const chosen = ledOptions(seed)
    runs.push({ run: () => runLedSeed(chosen), description: describeLed(chosen) })
  }
  return runs
}

function add(sum: Campaign, result: SwarmResult): void {
  sum.simulatedSeconds += result.simulatedMs / 1_000
  sum.events += result.events
  sum.operations += result.operations
  sum.acknowledged += result.acknowledged
  for (const kind of faultKinds) sum.faults[kind] += result.faults[kind]
  for (const [name, count] of Object.entries(result.coverage))
    sum.coverage[name] = (sum.coverage[name] ?? 0) + count
  if (result.verdict !== 'ok') sum.failedSeeds.push(result.seed)
  for (const { checker, message } of result.violations) {
    sum.violations.push({ seed: result.seed, verdict: result.verdict, checker, message })
  }
}

/** Kinds of fault that never happened though the run was long enough to meet them all. */
export function missingFaults(sum: Campaign): FaultKind[] {
  return sum.seeds < COVERAGE_SEEDS ? [] : faultKinds.filter(kind => sum.faults[kind] === 0)
}

const codes: Readonly<Record<Verdict, number>> = { ok: 0, crash: 1, safety: 2, liveness: 3 }

export function exitCode(sum: Campaign): number {
  const worst = sum.violations.map(violation => codes[violation.verdict]).filter(code => code > 0)
  return worst.length > 0 ? Math.min(...worst) : missingFaults(sum).length > 0 ? 4 : 0
}

export const verdictCode = (verdict: Verdict): number => codes[verdict]
