/** Runs one seed under Node: real draining of promises, and rejections nobody waited for counted as failures. */

import { runSwarm, type SwarmResult } from '../scenarios/swarm.ts'
import type { SwarmOptions } from '../scenarios/swarm-options.ts'
import { drain } from './drain.ts'

export async function runSeed(options: SwarmOptions, line?: (line: string) => void): Promise<SwarmResult> {
  let fail: (error: unknown) => void = () => {}
  const onRejection = (error: unknown): void => fail(error)
  process.on('unhandledRejection', onRejection)
  try {
    const watch = (report: (error: unknown) => void): void => {
      fail = report
    }
    return await runSwarm(options, { drain, line, watch })
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}
