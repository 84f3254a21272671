/** Ids that a partition has generated, one with each append: as many as appends, and none of them twice. */

import type { Violation } from './evidence.ts'

export function checkGeneratedIds(
  lists: ReadonlyMap<string, readonly string[]>,
  ids: ReadonlyMap<string, readonly unknown[]>,
  partitionOf: (row: string) => string,
): Violation[] {
  const out: Violation[] = []
  const violate = (message: string): void => void out.push({ checker: 'generated-ids', message })
  const known = new Map<string, string>()
  for (const [row, given] of ids) {
    const appends = lists.get(row)?.length ?? 0
    if (appends !== given.length) violate(`${row}: ${appends} appends, and ${given.length} ids`)
    for (const [at, id] of given.entries()) {
      const name = `${partitionOf(row)} id ${id}`
      const before = known.get(name)
      if (before !== undefined) violate(`${name} was given to ${before} and to ${row}, append ${at + 1}`)
      known.set(name, `${row}, append ${at + 1}`)
    }
  }
  return out
}
