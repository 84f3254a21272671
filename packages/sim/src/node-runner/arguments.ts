/** The command line of `npm run sim`. */

import { parseArgs } from 'node:util'

export interface SimArguments {
  readonly seeds: number
  readonly from: number
  readonly seed: number | undefined
  readonly json: boolean
  readonly timeline: boolean
  readonly checkDeterminism: number | undefined
  readonly mutant: string | undefined
  readonly mutants: boolean
  readonly listMutants: boolean
  readonly keepGoing: boolean
  readonly led: boolean
  readonly help: boolean
}

export const usage = `npm run sim -- [options]
  --seeds N               run N seeds (default 100)
  --from N                the first of them (default 1)
  --seed N                run one seed
  --timeline              print who did what, and when
  --json                  print the sum as JSON
  --led                   only runs over tables with leaders, for every seed (by default for every third, beside the others)
  --keep-going            do not stop at the first seed that fails
  --check-determinism N   run N seeds twice and compare their trace hashes
  --list-mutants          name the seeded bugs
  --mutant NAME           is this bug caught? exit code 0: yes, 10: it survived
  --mutants               all of them
exit codes: 0 all is well, 1 crash, 2 a promise was broken, 3 no progress after healing, 4 bad use or a fault that never happened`

export function parseArguments(argv: readonly string[]): SimArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      json: { type: 'boolean', default: false },
      timeline: { type: 'boolean', default: false },
      'check-determinism': { type: 'string' },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      'list-mutants': { type: 'boolean', default: false },
      'keep-going': { type: 'boolean', default: false },
      led: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  return {
    seeds: number('seeds', values.seeds)!,
    from: number('from', values.from)!,
    seed: number('seed', values.seed),
    json: values.json,
    timeline: values.timeline,
    checkDeterminism: number('check-determinism', values['check-determinism']),
    mutant: values.mutant,
    mutants: values.mutants,
    listMutants: values['list-mutants'],
    keepGoing: values['keep-going'],
    led: values.led,
    help: values.help,
  }
}

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text)) throw new Error(`--${name} is a whole number, not "${text}"`)
  return Number(text)
}
