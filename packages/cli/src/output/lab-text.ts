/** A story of the lab as text: the scene, then for each setting its timeline and the verdict. */

import { type Scenario, type SettingResult, timeText } from '@quorate/sim'
import type { Style } from './style.ts'

const WIDTH = 90

/** Lines of at most `WIDTH` columns; those after the first begin with `indent` blanks. */
export function wrap(text: string, indent: number, first = ''): string[] {
  const lines: string[] = []
  let line = first
  let isEmpty = true
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = ' '.repeat(indent)
      isEmpty = true
    }
    line += isEmpty ? word : ` ${word}`
    isEmpty = false
  }
  return [...lines, line]
}

export function sceneLines(scenario: Scenario, seed: number, style: Style): string[] {
  return [
    ...wrap(`${scenario.name}: ${scenario.question}`, 2).map(line => style.bold(line)),
    '',
    ...scenario.scene.flatMap(line => wrap(line, 2, '  ')),
    style.dim(`  Simulated time, seed ${seed}: the same seed gives the same timeline.`),
  ]
}

export function settingLines(result: SettingResult, style: Style): string[] {
  const { setting, explained, steps, verdict, claim, evidence, asExpected, expected } = result
  const who = Math.max(...steps.map(step => step.who.length), 0)
  const indent = timeText(0).length + who + 6
  const word = {
    holds: style.green('HOLDS'),
    broken: style.red('BROKEN'),
    undecided: style.yellow('UNDECIDED'),
  }
  return [
    '',
    `${style.bold(`setting ${setting}`)}`,
    ...wrap(explained, 2, '  '),
    '',
    ...steps.flatMap(step => wrap(step.what, indent, `  ${timeText(step.atMs)}  ${step.who.padEnd(who)}  `)),
    '',
    `  ${word[verdict]} ${style.dim(asExpected ? '(as expected)' : `(expected: ${expected})`)}`,
    ...wrap(claim, 4, '  checked: '),
    ...evidence.flatMap(line => wrap(line, 4, '  found: ')),
  ]
}

export function adviceLines(scenario: Scenario, style: Style): string[] {
  return ['', ...wrap(scenario.advice, 2).map(line => style.bold(line))]
}
