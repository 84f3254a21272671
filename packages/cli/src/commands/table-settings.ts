/** What `table create` was given, put together: a preset, and flags that are stronger. */

import { type Fields, type PresetName, presets } from '@quorate/client'
import { usageError } from '../command-error.ts'
import { fieldsOfFlags } from './merge-steps.ts'

type Key = string | number | boolean | null

export interface CreateOptions {
  readonly key: string
  readonly like?: PresetName
  readonly partitioning?: 'ring' | 'fixed' | 'range' | 'modulo'
  readonly partitions?: number
  readonly splitAt?: readonly Key[]
  /** A file of rows, and into how many ranges it is to be cut. */
  readonly splitSample?: string
  readonly ranges?: number
  readonly buckets?: number
  readonly n?: number
  readonly r?: number | string
  readonly w?: number | string
  readonly sloppy?: boolean
  readonly readRepair?: 'async' | 'blocking'
  readonly conflict?: string
  /** Of conflict crdt: name:type, each. */
  readonly field?: readonly string[]
  readonly writeParts?: number
  /** One leader for each partition, and what only such tables know. */
  readonly singleLeader?: boolean
  /** Rows are agreed on by their homes. */
  readonly consensus?: boolean
  readonly ack?: string
  readonly minInSync?: number
  readonly log?: string
  readonly freeze?: string
  readonly otherZone?: boolean
}

export interface TableSettings {
  readonly key: { readonly partition: string; readonly sort: string | undefined }
  readonly partitioning?: { readonly kind: string; readonly [setting: string]: unknown }
  readonly replication: Readonly<Record<string, unknown>>
  readonly conflict?: { readonly kind: string; readonly fields?: Fields | undefined }
  readonly hotKeys?: { readonly writeParts: number }
}

/** Flags that only one partitioner knows. */
const OWN_FLAGS = { partitions: 'fixed', splitAt: 'range', buckets: 'modulo' } as const
const FLAG = { partitions: '--partitions', splitAt: '--split-at', buckets: '--buckets' } as const

export function tableSettings(options: CreateOptions): TableSettings {
  const [partition = '', sort] = options.key.split(',').map(part => part.trim())
  const preset = options.like === undefined ? undefined : presets[options.like].settings
  const partitioning = partitioningOf(options, preset?.partitioning)
  const kind = replicationKind(options, preset?.replication.kind)
  const given = Object.entries({
    n: options.n,
    r: options.r,
    w: options.w,
    sloppy: options.sloppy,
    readRepair: options.readRepair,
    ack: options.ack,
    minInSync: options.minInSync,
    log: options.log,
    freeze: options.freeze === undefined ? undefined : FREEZE[options.freeze],
    otherZone: options.otherZone,
  }).filter(([, value]) => value !== undefined)
  const ofPreset = kind !== 'leaderless' ? undefined : preset?.conflict
  const conflict = conflictOf(options) ?? ofPreset
  return {
    key: { partition, sort },
    ...(partitioning === undefined ? {} : { partitioning }),
    // Words such as "quorum" are for the table's own check to understand.
    replication: {
      ...(preset !== undefined && kind === (preset.replication.kind ?? 'leaderless')
        ? preset.replication
        : {}),
      kind,
      ...Object.fromEntries(given),
    },
    ...(conflict === undefined ? {} : { conflict }),
    ...(options.writeParts === undefined ? {} : { hotKeys: { writeParts: options.writeParts } }),
  }
}

/** Fields say by themselves that rows merge by them. */
function conflictOf({ conflict, field }: CreateOptions): TableSettings['conflict'] {
  if (field === undefined) {
    if (conflict === 'crdt')
      throw usageError(
        '--conflict crdt needs the fields of the rows: --field likes:counter --field tags:or-set',
        'quorate table create --help',
      )
    return conflict === undefined ? undefined : { kind: conflict }
  }
  if (conflict !== undefined && conflict !== 'crdt')
    throw usageError(`--field is of --conflict crdt, not of ${conflict}`, 'quorate table create --help')
  return { kind: 'crdt', fields: fieldsOfFlags(field) }
}

const FREEZE: Readonly<Record<string, boolean | 'refuse'>> = { yes: true, no: false, refuse: 'refuse' }

/** Flags that only one protocol knows say which it is; flags of both cannot stand together. */
function replicationKind(options: CreateOptions, ofPreset: string | undefined): string {
  const led = (['ack', 'minInSync', 'log', 'freeze', 'otherZone'] as const).filter(
    flag => options[flag] !== undefined,
  )
  const leaderless = (['r', 'w', 'sloppy', 'readRepair'] as const).filter(flag => options[flag] !== undefined)
  const flag = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
  const isLed = options.singleLeader === true || led.length > 0
  if (isLed && leaderless.length > 0)
    throw usageError(
      `${flag(leaderless[0]!)} is of leaderless tables, and ${led.length > 0 ? flag(led[0]!) : '--single-leader'} of tables with a leader for each partition`,
      'quorate table create --help',
    )
  const other = led[0] ?? leaderless[0] ?? (options.singleLeader === true ? 'singleLeader' : undefined)
  if (options.consensus === true && other !== undefined)
    throw usageError(
      `${flag(other)} has no meaning with --consensus: more than half of a row's homes agree on every write and read`,
      'quorate table create --help',
    )
  if (options.consensus === true) return 'consensus'
  if (isLed) return 'single-leader'
  return leaderless.length > 0 ? 'leaderless' : (ofPreset ?? 'leaderless')
}

function partitioningOf(
  options: CreateOptions,
  preset: TableSettings['partitioning'],
): TableSettings['partitioning'] {
  const flags = (['partitions', 'splitAt', 'buckets'] as const).filter(flag => options[flag] !== undefined)
  const implied = [...new Set(flags.map(flag => OWN_FLAGS[flag]))]
  const kind = options.partitioning ?? implied[0] ?? preset?.kind
  for (const flag of flags)
    if (OWN_FLAGS[flag] !== kind)
      throw usageError(
        `${FLAG[flag]} is for tables that are partitioned by ${OWN_FLAGS[flag]}, not by ${kind}`,
        'quorate table create --help',
      )
  if (kind === undefined) return undefined
  const { partitions, splitAt, buckets } = options
  return {
    ...(preset?.kind === kind ? preset : {}),
    kind,
    ...(partitions === undefined ? {} : { partitions }),
    ...(splitAt === undefined ? {} : { splitPoints: splitAt }),
    ...(buckets === undefined ? {} : { buckets }),
  }
}
