/** Runs one seed under Node: real draining of promises, and rejections nobody waited for counted as failures. */

import type { Violation } from '../checkers/evidence.ts'
import { type HistoryName, histories } from '../scenarios/histories.ts'
import type { LedOptions } from '../scenarios/led-options.ts'
import { runLed } from '../scenarios/led-run.ts'
import { runSwarm, type SwarmHost, type SwarmResult } from '../scenarios/swarm.ts'
import type { SwarmOptions } from '../scenarios/swarm-options.ts'
import { runTold } from '../scenarios/told-history.ts'
import { drain } from './drain.ts'

export function runSeed(options: SwarmOptions, line?: (line: string) => void): Promise<SwarmResult> {
  return watched(host => runSwarm(options, host), line)
}

export function runLedSeed(options: LedOptions, line?: (line: string) => void): Promise<SwarmResult> {
  return watched(host => runLed(options, host), line)
}

export function runToldSeed(
  history: HistoryName,
  seed: number,
  line?: (line: string) => void,
): Promise<readonly Violation[]> {
  return watched(host => runTold(histories[history], seed, host), line)
}

async function watched<T>(
  run: (host: SwarmHost) => Promise<T>,
  line: ((line: string) => void) | undefined,
): Promise<T> {
  let fail: (error: unknown) => void = () => {}
  const onRejection = (error: unknown): void => fail(error)
  process.on('unhandledRejection', onRejection)
  try {
    const watch = (report: (error: unknown) => void): void => {
      fail = report
    }
    return await run({ drain, line, watch })
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}
