/** Each patch of a mutant finds its place in what was built, once: a bug that is not planted is not caught either. */

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { mutants } from './mutants.ts'

const built = (file: string): string =>
  readFileSync(new URL(`../../../core/dist/${file}`, import.meta.url), 'utf8')

it.each(mutants.map(({ name, patches }) => [name, patches] as const))('%s', (_, patches) => {
  for (const { file, find } of patches) expect(built(file).split(find), `${file}: ${find}`).toHaveLength(2)
})
