/**
 * `quorate lab`: stories of the simulator, played under the setting that breaks and the one that holds.
 * The verdict is the checker's; the exit code says whether each setting did what it is expected to.
 */

import { runSetting, type Scenario, type Setting, type SettingResult, scenarios } from '@quorate/sim'
import { CommandError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { adviceLines, sceneLines, settingLines } from '../output/lab-text.ts'
import type { Output } from '../output/output.ts'

/** Lets every pending promise settle: `setImmediate` runs only when the microtask queue is empty. */
const drain = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

export function listLab(output: Output): void {
  output.answer({
    kind: 'lab-list',
    items: scenarios.map(({ name, question, settings }) => ({
      name,
      question,
      settings: settings.map(({ label, expected }) => ({ label, expected })),
    })),
    columns: [
      { name: 'NAME', value: item => item.name },
      { name: 'QUESTION', value: item => item.question },
    ],
    footer: 'quorate lab run NAME plays one',
  })
}

export async function runLab(
  output: Output,
  name: string,
  options: { readonly seed: number; readonly setting?: string },
): Promise<ExitCode> {
  const scenario = scenarioNamed(name)
  const settings = settingsOf(scenario, options.setting)
  const isText = output.format === 'table'
  const { out } = output.terminal
  const print = (lines: readonly string[]): void => void out.write(`${lines.join('\n')}\n`)
  if (isText) print(sceneLines(scenario, options.seed, out.style))
  const results: SettingResult[] = []
  for (const setting of settings) {
    const result = await runSetting(scenario, setting, { seed: options.seed, drain })
    results.push(result)
    if (isText) print(settingLines(result, out.style))
  }
  if (isText) print(adviceLines(scenario, out.style))
  else answer(output, scenario, options.seed, results)
  return results.every(result => result.asExpected) ? exitCodes.ok : exitCodes.unhealthy
}

function answer(output: Output, scenario: Scenario, seed: number, results: readonly SettingResult[]): void {
  const { name, question, scene, advice } = scenario
  output.answer({
    kind: 'lab',
    items: results,
    columns: [
      { name: 'SETTING', value: item => item.setting },
      { name: 'EXPECTED', value: item => item.expected },
      { name: 'VERDICT', value: item => item.verdict },
      { name: 'EVIDENCE', value: item => item.evidence.join('; ') },
    ],
    fields: { scenario: name, question, scene, seed, advice },
  })
}

function scenarioNamed(name: string): Scenario {
  const found = scenarios.find(scenario => scenario.name === name)
  if (found !== undefined) return found
  const names = scenarios.map(scenario => scenario.name).join(', ')
  throw new CommandError(
    exitCodes.notFound,
    `there is no story ${JSON.stringify(name)}; there are ${names}`,
    {
      next: 'quorate lab list',
    },
  )
}

function settingsOf(scenario: Scenario, label: string | undefined): readonly Setting[] {
  if (label === undefined) return scenario.settings
  const found = scenario.settings.filter(setting => setting.label === label)
  if (found.length > 0) return found
  const labels = scenario.settings.map(setting => setting.label).join(', ')
  throw new CommandError(
    exitCodes.notFound,
    `${scenario.name} has no setting ${JSON.stringify(label)}; it has ${labels}`,
    { next: `quorate lab run ${scenario.name}` },
  )
}
