/** hot: which partitions are busy, by which keys, and what helps. */

import type { HotPartition } from '@quorate/server'
import type { CommandContext } from '../command-context.ts'
import { usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Column } from '../output/output.ts'
import { count } from '../output/words.ts'

const LIMIT_MAX = 200
/** Keys named in a table; --json has them all. */
const KEYS_SHOWN = 3

const percent = (share: number): string => `${Math.round(share * 100)} %`

/** `row k1 83 %`, or `row k1 40 to 83 %` when the sketch is not sure. */
function keyText({ key, share, error }: HotPartition['keys'][number]): string {
  const least = Math.max(0, share - error)
  const isSure = Math.round(least * 100) === Math.round(share * 100)
  return isSure ? `${key} ${percent(share)}` : `${key} ${Math.round(least * 100)} to ${percent(share)}`
}

/** Of a spread load no key means anything; of keys that grow one is an example. */
function keysText({ pattern, keys }: HotPartition): string {
  if (pattern === 'spread') return ''
  if (pattern === 'ever-growing key') return keys[0] === undefined ? '' : `${keys[0].key}, …`
  return keys.slice(0, KEYS_SHOWN).map(keyText).join(', ')
}

const columns: readonly Column<HotPartition>[] = [
  { name: 'TABLE', value: item => item.table },
  { name: 'PARTITION', value: item => item.partition },
  { name: 'FROM', value: item => item.first },
  { name: 'READS/S', value: item => item.readsPerSecond },
  { name: 'WRITES/S', value: item => item.writesPerSecond },
  {
    name: 'PATTERN',
    value: item => item.pattern,
    paint: (text, item, style) => (item.pattern === 'spread' ? text : style.yellow(text)),
  },
  { name: 'HOMES', value: item => item.replicas.join(' ') },
  {
    name: 'KEYS',
    value: keysText,
  },
]

export async function hot(
  { access, output }: CommandContext,
  table: string | undefined,
  { limit }: { readonly limit: number },
): Promise<ExitCode> {
  if (limit < 1 || limit > LIMIT_MAX) throw usageError(`--limit is from 1 to ${LIMIT_MAX}, not ${limit}`)
  const found = await (await access.admin()).hot({ table, limit })
  const named = (item: HotPartition): string => `partition ${item.partition} of "${item.table}"`
  output.answer({
    kind: 'hot',
    items: found.partitions,
    columns,
    partial: found.unanswered.length > 0,
    warnings: [
      ...found.unanswered.map(node => `${node} does not answer: what it coordinates is not counted`),
      ...found.partitions
        .filter(item => item.refused !== '')
        .map(item => `${named(item)} is not split: ${item.refused}`),
      ...found.partitions.filter(item => item.advice !== '').map(item => `${named(item)}: ${item.advice}`),
    ],
    footer:
      found.partitions.length === 0
        ? 'no partition has had a request lately'
        : `${count(found.partitions.length, 'partition')}; rates of about the last minute`,
  })
  return found.unanswered.length > 0 ? exitCodes.partial : exitCodes.ok
}
