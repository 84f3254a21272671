/** Runs a mutant's scenario over its seeds until something is found. */

import type { Mutant } from '../mutants/mutants.ts'
import { ledOptions } from '../scenarios/led-options.ts'
import { runStorage } from '../scenarios/storage.ts'
import { swarmOptions } from '../scenarios/swarm-options.ts'
import { runLedSeed, runSeed } from './run-seed.ts'

export interface Finding {
  readonly seed: number
  readonly checker: string
  readonly message: string
}

export interface HuntResult {
  readonly seeds: number
  readonly found: Finding | undefined
}

export async function hunt(mutant: Mutant, lastSeed: number): Promise<HuntResult> {
  for (let seed = 1; seed <= lastSeed; seed++) {
    const found = mutant.scenario === 'storage' ? await storage(seed) : await cluster(mutant, seed)
    if (found !== undefined) return { seeds: seed, found }
  }
  return { seeds: lastSeed, found: undefined }
}

async function storage(seed: number): Promise<Finding | undefined> {
  const message = await runStorage(seed)
  return message === undefined ? undefined : { seed, checker: 'storage', message }
}

type ClusterMutant = Exclude<Mutant, { scenario: 'storage' }>

async function cluster(mutant: ClusterMutant, seed: number): Promise<Finding | undefined> {
  const { violations } =
    mutant.scenario === 'led'
      ? await runLedSeed(ledOptions(seed, { safetyMs: 15_000, ...mutant.overrides }))
      : await runSeed(swarmOptions(seed, { safetyMs: 15_000, operatorEveryMs: 0, ...mutant.overrides }))
  const violation = violations.find(({ checker }) => mutant.expects.includes(checker)) ?? violations[0]
  return violation === undefined ? undefined : { seed, ...violation }
}
