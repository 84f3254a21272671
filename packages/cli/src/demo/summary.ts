/** What the demo found, for people and for programs. */

import type { Style } from '../output/style.ts'
import { count, duration, wholeNumber } from '../output/words.ts'
import type { HealReport } from './converge.ts'
import type { ImportPlan, ImportReport } from './import-cities.ts'
import type { VerifyReport } from './verify-cities.ts'

export interface DemoFindings {
  readonly rows: number
  readonly nodes: number
  readonly seed: number
  readonly seconds: number
  readonly plan: ImportPlan
  readonly imported: ImportReport
  readonly healed: HealReport
  readonly verified: VerifyReport
  /** Nodes that died without being asked to. */
  readonly lost: readonly string[]
}

export interface DemoDocument {
  readonly rows: number
  readonly acknowledged: number
  readonly missing: number
  readonly divergentKeys: number
  readonly killed: string
  readonly hintsReplayed: number
  readonly hintsDrained: boolean
  readonly sweepRepaired: number
  readonly seconds: number
  /** Until three nodes and the table were there. */
  readonly startSeconds: number
  readonly importSeconds: number
  readonly healSeconds: number
  readonly verifySeconds: number
  readonly nodes: number
  readonly seed: number
  readonly problems: readonly string[]
}

const round = (seconds: number): number => Math.round(seconds * 10) / 10

/** What the other parts leave of the whole. */
const startSeconds = ({ seconds, imported, healed, verified }: DemoFindings): number =>
  Math.max(0, seconds - imported.seconds - healed.seconds - verified.seconds)

export function demoDocument(findings: DemoFindings): DemoDocument {
  const { imported, healed, verified, plan } = findings
  return {
    rows: findings.rows,
    acknowledged: imported.acknowledged,
    missing: verified.missing,
    divergentKeys: verified.divergentKeys,
    killed: plan.victim,
    hintsReplayed: healed.hintsReplayed,
    hintsDrained: healed.open.length === 0,
    sweepRepaired: healed.sweepRepaired,
    seconds: round(findings.seconds),
    startSeconds: round(startSeconds(findings)),
    importSeconds: round(imported.seconds),
    healSeconds: round(healed.seconds),
    verifySeconds: round(verified.seconds),
    nodes: findings.nodes,
    seed: findings.seed,
    problems: [...findings.lost, ...imported.failures, ...healed.open, ...verified.examples],
  }
}

export function isProven(document: DemoDocument): boolean {
  return (
    document.missing === 0 &&
    document.divergentKeys === 0 &&
    document.acknowledged === document.rows &&
    document.hintsDrained
  )
}

export function summaryLines(findings: DemoFindings, style: Style): string[] {
  const { imported, healed, verified, plan } = findings
  const document = demoDocument(findings)
  const figure = (name: string, value: string, good: boolean, meaning: string): string => {
    const painted = (good ? style.green : style.red)(value.padStart(9))
    return `  ${name.padEnd(14)}${painted}   ${style.dim(meaning)}`
  }
  const { rows } = findings
  return [
    '',
    isProven(document)
      ? style.bold(
          `  ${style.green('✔')} Nothing was lost: a node died in mid-import, and every row is on all three replicas.`,
        )
      : style.bold(`  ${style.red('✘')} Not everything is as it should be.`),
    '',
    figure('rows', wholeNumber(rows), true, 'cities of the world, one document each'),
    figure(
      'acknowledged',
      wholeNumber(imported.acknowledged),
      imported.acknowledged === rows,
      'on the disks of 2 replicas before the client heard "ok" (W=2)',
    ),
    figure(
      'missing',
      wholeNumber(verified.missing),
      verified.missing === 0,
      'every row read back from 2 replicas (R=2) and compared',
    ),
    figure(
      'divergent',
      wholeNumber(verified.divergentKeys),
      verified.divergentKeys === 0,
      `${wholeNumber(verified.rowsCompared)} rows compared cell by cell between their replicas`,
    ),
    figure(
      'seconds',
      findings.seconds.toFixed(1),
      true,
      `start ${startSeconds(findings).toFixed(1)} · import ${imported.seconds.toFixed(1)} · heal ${healed.seconds.toFixed(1)} · verify ${verified.seconds.toFixed(1)}  (${wholeNumber(rows / imported.seconds)} rows/s)`,
    ),
    '',
    style.bold('  What happened'),
    `  ${style.yellow('kill')}     ${plan.victim} got SIGKILL after ${count(imported.killedAtRows, 'row')}. The import went on: ${count(imported.rowsWhileDown, 'row')} were`,
    `           acknowledged by the other replicas meanwhile; the longest pause was ${duration(imported.longestPauseMs)}.`,
    `  ${style.yellow('hints')}    ${healedByHints(healed, imported, plan.victim).join('\n           ')}`,
    `  ${style.yellow('sweep')}    ${healedBySweep(healed)}`,
    ...document.problems.slice(0, 8).map(problem => `  ${style.red('problem')}  ${problem}`),
    '',
  ]
}

/** Hints are compared with the rows of the line above: whoever reads both asks why they differ. */
export function healedByHints(healed: HealReport, imported: ImportReport, victim: string): string[] {
  const { hintsReplayed, open } = healed
  const { rowsWhileDown } = imported
  const others = hintsReplayed - rowsWhileDown
  const why =
    others < 0
      ? `fewer than the ${count(rowsWhileDown, 'row')} above: the sweep brought it the rest.`
      : `the ${count(rowsWhileDown, 'row')} above and ${wholeNumber(others)} more that were under way`
  return [
    `A hint is a write that a node keeps for another which cannot take it, and hands over later.`,
    `${victim} got ${wholeNumber(hintsReplayed)}: ${why}`,
    ...(others < 0 ? [] : [`when it died, or came while it was starting again.`]),
    open.length === 0 ? 'None is left.' : `Not settled: ${open.join('; ')}.`,
  ]
}

function healedBySweep(healed: HealReport): string {
  const found =
    healed.sweepRepaired === 0
      ? 'found nothing left to repair'
      : `repaired ${count(healed.sweepRepaired, 'row')} that the hints had not covered`
  return `comparing hash trees ${found};\n           ${wholeNumber(healed.proven)} of ${wholeNumber(healed.pairs)} replica pairs proven equal.`
}
