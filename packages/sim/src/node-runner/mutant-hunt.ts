/** Runs a mutant's scenario over its seeds until something is found. */

import type { Violation } from '../checkers/evidence.ts'
import type { Mutant } from '../mutants/mutants.ts'
import { ledOptions } from '../scenarios/led-options.ts'
import { runStorage } from '../scenarios/storage.ts'
import { swarmOptions } from '../scenarios/swarm-options.ts'
import { runLedSeed, runSeed, runToldSeed } from './run-seed.ts'

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
  for (let seed = mutant.from ?? 1; seed <= lastSeed; seed++) {
    const violations = await run(mutant, seed)
    const found = violations.find(({ checker }) => mutant.expects.includes(checker)) ?? violations[0]
    if (found !== undefined) return { seeds: seed, found: { seed, ...found } }
  }
  return { seeds: lastSeed, found: undefined }
}

async function run(mutant: Mutant, seed: number): Promise<readonly Violation[]> {
  switch (mutant.scenario) {
    case 'storage': {
      const message = await runStorage(seed)
      return message === undefined ? [] : [{ checker: 'storage', message }]
    }
    case 'told':
      return runToldSeed(mutant.history, seed)
    case 'led':
      return (await runLedSeed(ledOptions(seed, { safetyMs: 15_000, ...mutant.overrides }))).violations
    case 'swarm': {
      const options = { safetyMs: 15_000, operatorEveryMs: 0, ...mutant.overrides }
      return (await runSeed(swarmOptions(seed, options))).violations
    }
  }
}
