/** Runs one setting of a scenario under a seed: the same seed, the same timeline. */

import { QuorateError } from '@quorate/core'
import { Simulation } from '../world/simulation.ts'
import type { Verdict } from './checkers.ts'
import type { Scenario, Setting } from './scenario.ts'
import { Stage } from './stage.ts'
import type { Step } from './timeline.ts'

/** Simulated; no story is longer. */
const WITHIN_MS = 600_000

export interface SettingResult extends Verdict {
  readonly setting: string
  readonly explained: string
  readonly expected: Setting['expected']
  readonly asExpected: boolean
  readonly steps: readonly Step[]
}

export interface LabHost {
  readonly seed: number
  /** Resolves when no promise is left to settle; only a platform knows how. */
  readonly drain: () => Promise<void>
}

export async function runSetting(
  scenario: Scenario,
  setting: Setting,
  host: LabHost,
): Promise<SettingResult> {
  const simulation = new Simulation(host)
  const stage = new Stage(simulation, setting, scenario.nodes)
  let ended: { readonly error?: unknown } | undefined
  const story = stage.open().then(() => scenario.act(stage, setting))
  story.then(
    () => {
      ended = {}
    },
    (error: unknown) => {
      ended = { error }
    },
  )
  await simulation.run(WITHIN_MS, () => ended !== undefined)
  const failure = simulation.failure?.error ?? ended?.error
  if (failure !== undefined) throw failure
  if (ended === undefined) {
    throw new QuorateError(
      'INTERNAL',
      `${scenario.name}, ${setting.label}: the story did not come to its end`,
    )
  }
  const found = scenario.check(stage.timeline.history)
  return {
    setting: setting.label,
    explained: setting.explained,
    expected: setting.expected,
    asExpected: found.verdict === setting.expected,
    ...found,
    steps: stage.timeline.steps,
  }
}
