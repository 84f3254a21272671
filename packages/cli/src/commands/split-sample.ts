/** Split points of a new range table from a file of rows as it will hold. */

import { sampledSplitPoints } from '@quorate/client'
import { CommandError, usageError } from '../command-error.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatOf, readRows, refuseUnreadable } from './row-source.ts'

/** Keys that are kept of a larger file: every second one goes when there are more. */
const SAMPLE_MAX = 100_000

export const RANGES_DEFAULT = 16

type Key = Parameters<typeof sampledSplitPoints>[0][number]

export async function splitPointsOfFile(
  file: string,
  field: string,
  ranges: number = RANGES_DEFAULT,
): Promise<Key[]> {
  if (ranges < 2)
    throw usageError(`--ranges is ${ranges}: at least 2 are meant`, 'quorate table create --help')
  await refuseUnreadable(file)
  let keys: Key[] = []
  let stride = 1
  let seen = 0
  for await (const { line, row, problem } of readRows(file, formatOf(file, undefined))) {
    const key = row?.[field]
    if (problem !== undefined || key === undefined)
      throw refused(
        `line ${line} of ${file}: ${problem ?? `there is no field "${field}", the partition key`}`,
      )
    if (seen++ % stride !== 0) continue
    keys.push(key as Key)
    if (keys.length < SAMPLE_MAX) continue
    keys = keys.filter((_, at) => at % 2 === 0)
    stride *= 2
  }
  if (keys.length === 0) throw refused(`${file} holds no rows to take split points from`)
  return sampledSplitPoints(keys, ranges)
}

const refused = (message: string): CommandError =>
  new CommandError(exitCodes.usage, message, { done: 'No table was created.' })
