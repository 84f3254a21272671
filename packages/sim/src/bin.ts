#!/usr/bin/env node
/** The simulator's command: `npm run sim`. See README.md beside this package's sources. */

import { parseArguments, type SimArguments, usage } from './node-runner/arguments.ts'
import { exitCode, missingFaults, runCampaign, verdictCode } from './node-runner/campaign.ts'
import { listMutants, runMutants } from './node-runner/mutant-runner.ts'
import { runLedSeed, runSeed } from './node-runner/run-seed.ts'
import { describeLed, ledOptions } from './scenarios/led-options.ts'
import { describeOptions, swarmOptions } from './scenarios/swarm-options.ts'

const out = (line: string): void => void process.stdout.write(`${line}\n`)
const note = (line: string): void => void process.stderr.write(`${line}\n`)

async function main(): Promise<number> {
  let given: SimArguments
  try {
    given = parseArguments(process.argv.slice(2))
  } catch (error) {
    note(error instanceof Error ? error.message : String(error))
    note(usage)
    return 4
  }
  if (given.help) {
    out(usage)
    return 0
  }
  if (given.listMutants) {
    for (const line of listMutants()) out(line)
    return 0
  }
  if (given.mutants || given.mutant !== undefined) return runMutants(given.mutant, out)
  if (given.seed !== undefined) return one(given.seed, given)
  if (given.checkDeterminism !== undefined) return determinism(given.from, given.checkDeterminism)
  return many(given)
}

async function one(seed: number, { timeline, led }: SimArguments): Promise<number> {
  note(led ? describeLed(ledOptions(seed)) : describeOptions(swarmOptions(seed)))
  const line = timeline ? out : undefined
  const result = await (led ? runLedSeed(ledOptions(seed), line) : runSeed(swarmOptions(seed), line))
  out(
    `seed ${seed}: ${result.verdict}, trace ${result.traceHash}, ${result.events} events, ${result.operations} operations`,
  )
  for (const { checker, message } of result.violations) out(`  ${checker}: ${message}`)
  return verdictCode(result.verdict)
}

async function determinism(from: number, seeds: number): Promise<number> {
  note(`seeds ${from}…${from + seeds - 1}, each twice`)
  let different = 0
  for (let seed = from; seed < from + seeds; seed++) {
    const [first, second] = [await runSeed(swarmOptions(seed)), await runSeed(swarmOptions(seed))]
    if (first.traceHash === second.traceHash) continue
    different++
    out(`seed ${seed}: ${first.traceHash} and then ${second.traceHash}`)
  }
  out(different === 0 ? `${seeds} seeds, the same trace each time` : `${different} of ${seeds} seeds differ`)
  return different === 0 ? 0 : 1
}

async function many(given: SimArguments): Promise<number> {
  note(`seeds ${given.from}…${given.from + given.seeds - 1}${given.keepGoing ? ', all of them' : ''}`)
  const sum = await runCampaign({
    ...given,
    onResult: (result, options) => {
      if (result.verdict === 'ok') return
      note(
        `${options}\n  ${result.verdict}; replay: npm run sim -- --seed ${result.seed}${options.startsWith('led') ? ' --led' : ''} --timeline`,
      )
      for (const { checker, message } of result.violations.slice(0, 5)) note(`  ${checker}: ${message}`)
    },
  })
  const missing = missingFaults(sum)
  if (missing.length > 0) note(`these faults never happened: ${missing.join(', ')}`)
  if (given.json) out(JSON.stringify({ ...sum, missingFaults: missing }, undefined, 2))
  else {
    out(
      `${sum.seeds} seeds, ${Math.round(sum.simulatedSeconds)} s simulated in ${sum.realSeconds.toFixed(1)} s (${sum.speedup} times as fast)`,
    )
    out(`${sum.events} events, ${sum.operations} operations, trace ${sum.traceHash}`)
    out(
      Object.entries(sum.faults)
        .map(([kind, count]) => `${kind} ${count}`)
        .join(', '),
    )
    out(sum.failedSeeds.length === 0 ? 'no violations' : `FAILED: seeds ${sum.failedSeeds.join(', ')}`)
  }
  return exitCode(sum)
}

main().then(
  code => {
    process.exitCode = code
  },
  (error: unknown) => {
    note(error instanceof Error ? (error.stack ?? error.message) : String(error))
    process.exitCode = 1
  },
)
