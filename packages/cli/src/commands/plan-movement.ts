/** `plan movement`: the partitioners side by side, on the same nodes and the same keys. */

import { readFile } from 'node:fs/promises'
import {
  type DeadNodeSpread,
  type MovementQuestion,
  type MovementReport,
  movementReport,
  type PlacementNode,
  tokensOfTexts,
} from '@quorate/client/pure'
import { usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Column, Output } from '../output/output.ts'
import { count, wholeNumber } from '../output/words.ts'

export interface MovementOptions {
  readonly nodes: number
  readonly add?: number
  readonly remove: number
  readonly zones?: number
  readonly n?: number
  readonly keys?: string
  readonly tokens: number
  readonly randomTokens?: boolean
  readonly partitions: number
}

interface MovementItem extends Omit<MovementReport, 'deadNodeSpread' | 'notes'> {
  readonly partitioner: string
  readonly dead: DeadNodeSpread
}

/** Beyond these a plan takes minutes, or more memory than a laptop has. */
const NODES_MAX = 500
const TOKENS_MAX = 1024
const PARTITIONS_MAX = 65_536
/** Copies to place, which is what the time goes by: nodes × partitions, nodes × tokens. */
const WORK_MAX = 8_000_000

const REPLICAS_DEFAULT = 3

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const columns: readonly Column<MovementItem>[] = [
  { name: 'PARTITIONER', value: item => item.partitioner },
  {
    name: 'KEYS MOVED',
    value: item => percent(item.firstMoved),
    paint: (text, item, style) => (item.firstMoved > 0.5 ? style.red(text) : text),
  },
  { name: 'THEORY', value: item => percent(item.expected) },
  { name: 'COPIES MOVED', value: item => percent(item.copiesMoved) },
  { name: 'FROM NODES', value: item => item.from },
  { name: 'TO NODES', value: item => item.to },
  { name: 'BALANCE BEFORE', value: item => item.balanceBefore.toFixed(2) },
  { name: 'AFTER', value: item => item.balanceAfter.toFixed(2) },
  { name: 'HEIRS OF A DEAD NODE', value: item => item.dead.survivors },
  { name: 'GREATEST PART', value: item => percent(item.dead.greatestShare) },
]

export async function planMovement(output: Output, given: MovementOptions): Promise<ExitCode> {
  const options = checked(given)
  const nodes = Array.from({ length: options.nodes + options.add }, (_, i) => node(i, options.zones))
  const tokens = given.keys === undefined ? undefined : await tokensOfFile(given.keys)
  const asked = {
    nodes: nodes.slice(0, options.nodes),
    n: options.n,
    add: nodes.slice(options.nodes),
    // The last of those that are there, so that what is left is numbered from 1.
    remove: nodes.slice(options.nodes - options.remove, options.nodes).map(({ id }) => id),
    partitions: options.partitions,
    ...(tokens === undefined ? {} : { tokens }),
  }
  const notes = new Set<string>()
  const items = partitioners(options).map(([partitioner, more]): MovementItem => {
    const { deadNodeSpread, notes: found, ...report } = movementReport({ ...asked, ...more })
    for (const note of found) notes.add(note)
    return { partitioner, ...report, dead: deadNodeSpread(nodes[0]!.id) }
  })
  const change = [
    ...(options.add > 0 ? [`${count(options.add, 'node')} more`] : []),
    ...(options.remove > 0 ? [`${count(options.remove, 'node')} fewer`] : []),
  ].join(', ')
  const measured = tokens === undefined ? 'shares of the token space' : count(tokens.length, 'key')
  output.answer({
    kind: 'movement',
    items,
    columns,
    warnings: [...notes, ...fewBuckets(options)],
    footer: `${count(options.nodes, 'node')} in ${count(Math.min(options.zones, options.nodes), 'zone')}, n=${options.n}; ${change}; ${measured}. Balance: copies of the fullest node over the mean. The dead node is ${nodes[0]!.id}.`,
  })
  return exitCodes.ok
}

/** Theory takes the numbers of a bucket by N and by N+1 as independent. */
function fewBuckets({ nodes, add, remove, partitions }: Checked): string[] {
  const cycle = nodes * (nodes + add - remove)
  if (partitions >= cycle) return []
  return [
    `modulo: ${count(partitions, 'bucket')} are too few for the figure of theory, which holds from about ${wholeNumber(cycle)} (--partitions)`,
  ]
}

type Checked = Required<Omit<MovementOptions, 'keys' | 'randomTokens'>> & { readonly randomTokens: boolean }

function checked(given: MovementOptions): Checked {
  const within = (flag: string, value: number, least: number, most: number): number => {
    if (value < least) throw usageError(`${flag} is at least ${least}, not ${value}`)
    if (value > most) throw usageError(`${flag} is at most ${most}, not ${value}`)
    return value
  }
  const nodes = within('--nodes', given.nodes, 1, NODES_MAX)
  const remove = within('--remove', given.remove, 0, NODES_MAX)
  const add = within('--add', given.add ?? (remove > 0 ? 0 : 1), 0, NODES_MAX)
  const options = {
    nodes,
    add,
    remove,
    zones: within('--zones', given.zones ?? nodes + add, 1, 2 * NODES_MAX),
    n: within('--n', given.n ?? Math.min(REPLICAS_DEFAULT, nodes), 1, nodes),
    tokens: within('--tokens', given.tokens, 1, TOKENS_MAX),
    randomTokens: given.randomTokens === true,
    partitions: within('--partitions', given.partitions, 1, PARTITIONS_MAX),
  }
  const left = nodes + add - remove
  if (add === 0 && remove === 0) throw usageError('--add 0 and --remove 0 change nothing')
  if (remove > nodes)
    throw usageError(`--remove ${remove} is more than the ${count(nodes, 'node')} of --nodes`)
  if (left < options.n)
    throw usageError(
      `--remove ${remove} leaves ${count(left, 'node')}, too few for the ${options.n} replicas of --n`,
    )
  if ((nodes + add) * options.partitions > WORK_MAX)
    throw usageError(`--partitions ${options.partitions} are too many for ${count(nodes + add, 'node')}`)
  if ((nodes + add) * options.tokens > WORK_MAX / 100)
    throw usageError(`--tokens ${options.tokens} are too many for ${count(nodes + add, 'node')}`)
  return options
}

function partitioners({
  tokens,
  randomTokens,
}: Checked): (readonly [string, Pick<MovementQuestion, 'kind' | 'random' | 'tokensPerNode'>])[] {
  return [
    ...(randomTokens
      ? []
      : [
          [
            `ring (${count(tokens, 'allocated token')})`,
            { kind: 'ring', random: false, tokensPerNode: tokens },
          ] as const,
        ]),
    ['ring (256 random tokens)', { kind: 'ring', random: true, tokensPerNode: 256 }],
    ['ring (1 random token)', { kind: 'ring', random: true, tokensPerNode: 1 }],
    ['fixed', { kind: 'fixed' }],
    ['modulo', { kind: 'modulo' }],
  ]
}

const node = (index: number, zones: number): PlacementNode => ({
  id: `n${String(index + 1).padStart(2, '0')}` as PlacementNode['id'],
  zone: `zone${(index % zones) + 1}`,
  weight: 1,
})

async function tokensOfFile(path: string): Promise<Uint32Array> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw usageError(
      `--keys: ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    )
  })
  const keys = text.split(/\r?\n/).filter(line => line !== '')
  if (keys.length === 0) throw usageError(`--keys: ${path} holds no keys; it is one key a line`)
  return tokensOfTexts(keys)
}
