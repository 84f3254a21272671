/** Hunts mutants in child processes and says which survived. */

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { findMutant, type Mutant, mutants } from '../mutants/mutants.ts'
import { applyPatch } from './mutant-hook.ts'
import type { HuntResult } from './mutant-hunt.ts'

const SURVIVED = 10

export function listMutants(): string[] {
  return mutants.map(
    ({ name, scenario, expects, seeds }) =>
      `${name} (${scenario}, up to ${seeds} seeds; ${expects.join(', ')})`,
  )
}

/** 0: all caught, by a checker that was expected to, and the unmutated code passes the same seeds. */
export async function runMutants(name: string | undefined, out: (line: string) => void): Promise<number> {
  let survivors = 0
  const left = name === undefined ? [...mutants] : [findMutant(name)]
  const lane = async (): Promise<void> => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const problem = await judge(mutant, out)
      if (problem === undefined) continue
      survivors++
      out(`${mutant.name}: ${problem}`)
    }
  }
  // Each hunt is one process that computes all the time.
  await Promise.all(Array.from({ length: availableParallelism() }, lane))
  out(survivors === 0 ? 'all mutants were caught' : `${survivors} not caught as they should be`)
  return survivors === 0 ? 0 : SURVIVED
}

async function judge(mutant: Mutant, out: (line: string) => void): Promise<string | undefined> {
  for (const patch of mutant.patches) {
    const file = new URL(patch.file, import.meta.resolve('@quorate/core'))
    applyPatch(readFileSync(fileURLToPath(file), 'utf8'), patch)
  }
  const { found, seeds } = await child(mutant, mutant.seeds, 'mutated')
  if (found === undefined) return `SURVIVED ${seeds} seeds`
  if (!mutant.expects.includes(found.checker))
    return `seed ${found.seed}: found by ${found.checker}, which is not expected: ${found.message}`
  const control = await child(mutant, found.seed, 'control')
  if (control.found !== undefined) {
    return `the unmutated code fails seed ${control.found.seed} of the same scenario: ${control.found.checker}: ${control.found.message}`
  }
  out(
    `${mutant.name}: CAUGHT by ${found.checker} at seed ${found.seed}: ${found.message.split('\n')[0]!.slice(0, 160)}`,
  )
  return undefined
}

function child(mutant: Mutant, lastSeed: number, mode: 'mutated' | 'control'): Promise<HuntResult> {
  const script = fileURLToPath(new URL('./mutant-child.js', import.meta.url))
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [script, mutant.name, String(lastSeed), mode],
      { maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error !== null) return reject(new Error(`${mutant.name} (${mode}): ${stderr || error.message}`))
        resolve(JSON.parse(stdout.trim().split('\n').at(-1)!) as HuntResult)
      },
    )
  })
}
