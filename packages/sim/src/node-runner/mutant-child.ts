/**
 * The process in which one mutant lives: `mutant-child.js NAME LAST_SEED mutated|control`. Prints one line
 * of JSON. Nothing of the database may be imported before the hook is in place.
 */

import { register } from 'node:module'
import { findMutant } from '../mutants/mutants.ts'

const [name = '', last = '0', mode = 'mutated'] = process.argv.slice(2)
const mutant = findMutant(name)
if (mode === 'mutated') {
  register('./mutant-hook.js', { parentURL: import.meta.url, data: { patches: mutant.patches } })
}

const { hunt } = await import('./mutant-hunt.ts')
process.stdout.write(`${JSON.stringify(await hunt(mutant, Number(last)))}\n`)
