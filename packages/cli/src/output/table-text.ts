/** A table in words: every setting and what it means. */

import { type Fields, type PresetName, presets, presetsOf } from '@quorate/client'
import { fieldsText } from './fields-text.ts'
import type { Style } from './style.ts'
import { bytes, count, wholeNumber } from './words.ts'

export interface TableItem {
  readonly id: number
  readonly name: string
  readonly key: { readonly partition: string; readonly sort?: string | undefined }
  readonly partitioning: { readonly kind: string; readonly [setting: string]: unknown }
  readonly replication: {
    readonly kind: string
    readonly n: number
    readonly r: number
    readonly w: number
    readonly sloppy: boolean
    readonly readRepair: string
    /** With a leader for each partition, these and not those above. */
    readonly ack?: string
    readonly minInSync?: number
    readonly log?: string
    readonly freeze?: boolean | string
    readonly otherZone?: boolean
  }
  readonly conflict: { readonly kind: string; readonly fields?: Fields | undefined }
  readonly hotKeys?: { readonly writeParts: number } | undefined
  readonly shadow?: string | undefined
}

/** How its map stands now; undefined when no admin interface could be asked. */
export interface TableMap {
  readonly mapVersion: number
  readonly partitions: number
  readonly moving: number
}

export const presetsLike = (item: TableItem): PresetName[] =>
  presetsOf(item as unknown as Parameters<typeof presetsOf>[0])

export function partitioningText({ partitioning, replication }: TableItem): string {
  const { kind, partitions, buckets, splitPoints, splitBytes } = partitioning
  switch (kind) {
    case 'ring':
      return 'ring: consistent hashing; a node that comes takes a part of each, a node that goes leaves its own'
    case 'fixed':
      return `fixed: ${wholeNumber(Number(partitions))} equal arcs of the hash; whole arcs move when nodes come and go`
    case 'modulo':
      return `modulo: ${wholeNumber(Number(buckets))} arcs dealt to the nodes in turn; nearly everything moves when nodes come or go`
    case 'range': {
      const points = (splitPoints as readonly unknown[]) ?? []
      const first =
        points.length === 0 ? 'one partition at first' : `cut at ${points.map(String).join(', ')} at first`
      const cuts =
        replication.kind === 'single-leader'
          ? 'stays so, since a log cannot be cut'
          : `partitions past ${bytes(Number(splitBytes))}, and busy ones, are cut by themselves`
      return `range: rows in order of the partition key; ${first}; ${cuts}`
    }
    default:
      return kind
  }
}

const CONFLICTS: Readonly<Record<string, string>> = {
  siblings: 'siblings: concurrent writes are all kept until somebody replaces them with their context',
  crdt: 'crdt: rows merge by themselves, field by field; removals take away only what was seen',
  lww: 'lww: of concurrent writes the last one by the clock wins; the others go to the ledger',
}

export function quorumText({ replication: { n, r, w } }: TableItem): string {
  return r + w > n
    ? `r + w = ${r + w} > n = ${n}: a read sees every write that was acknowledged by w homes`
    : `r + w = ${r + w} <= n = ${n}: a read may miss the latest acknowledged write`
}

type Line = (label: string, text: string) => string

function leaderlessLines(item: TableItem, line: Line): string[] {
  const { n, r, w, sloppy, readRepair } = item.replication
  return [
    line('copies', `n = ${n} of each row, no leader`),
    line(
      'reads',
      `r = ${r} ${r === 1 ? 'answer' : 'answers'}; ${readRepair === 'blocking' ? 'a stale home is repaired before the reply (monotonic quorum reads)' : 'stale homes are repaired after the reply'}`,
    ),
    line(
      'writes',
      `w = ${w} ${w === 1 ? 'acknowledgement' : 'acknowledgements'}; ${sloppy ? 'other nodes stand in for dead homes (sloppy)' : 'of homes only (strict)'}`,
    ),
    line('quorum', quorumText(item)),
    line(
      'conflicts',
      CONFLICTS[item.conflict.kind] ?? `${item.conflict.kind}: concurrent values are merged field by field`,
    ),
    ...(item.conflict.fields === undefined ? [] : [line('fields', fieldsText(item.conflict.fields))]),
  ]
}

const ACKS: Readonly<Record<string, string>> = {
  all: 'all: every replica has it on disk; one that is down stops writes',
  'in-sync': 'in-sync: every member of the in-sync set has it on disk',
  majority: 'majority: more than half of the replicas have it on disk',
  one: 'one: the leader and one follower have it on disk (semi-synchronous)',
  none: 'none: the leader has it on disk; its followers hear of it after the reply (asynchronous)',
}

const LOGS: Readonly<Record<string, string>> = {
  logical: 'logical: rows before and after; quorate changes reads it',
  physical:
    'physical: the bytes that the store of the leader wrote; all nodes must run the same store format',
  statement: 'statement: the operations, carried out again by each replica',
}

function ledLines({ replication }: TableItem, line: Line): string[] {
  const { n, ack = '', minInSync, log = '', freeze, otherZone } = replication
  const least = ack === 'in-sync' ? `, ${minInSync} at least` : ''
  const zone = otherZone === true ? ', in another zone than the leader while one can be reached' : ''
  const calls =
    freeze === false
      ? '; now(), uuid() … are carried out by each replica for itself: replicas diverge'
      : freeze === 'refuse'
        ? '; now(), uuid() … are refused'
        : ''
  return [
    line('copies', `n = ${n} of each row; one leader for each partition, the others follow its log`),
    line('acknowledged', `${ACKS[ack] ?? ack}${least}${zone}`),
    line('reads', 'by the leader (linearizable), or --read any, --read session, --max-staleness'),
    line('log', `${LOGS[log] ?? log}${log === 'statement' ? calls : ''}`),
    line('conflicts', 'none: the leader orders the writes of each row'),
  ]
}

function agreedLines({ replication: { n } }: TableItem, line: Line): string[] {
  const majority = Math.floor(n / 2) + 1
  return [
    line('copies', `n = ${n} of each row, no leader`),
    line('agreement', `${majority} of ${n} agree on each write, row by row, and no fewer can`),
    line('reads', 'linearizable, through any node'),
    line('conflicts', 'none: the homes of a row agree on the order of its writes'),
  ]
}

function protocolLines(item: TableItem, line: Line): string[] {
  switch (item.replication.kind) {
    case 'single-leader':
      return ledLines(item, line)
    case 'consensus':
      return agreedLines(item, line)
    default:
      return leaderlessLines(item, line)
  }
}

/** Lines of `table show`. */
export function tableText(item: TableItem, map: TableMap | undefined, style: Style): string[] {
  const { name, key } = item
  const like = presetsLike(item)
  const line: Line = (label, text) => `  ${style.dim(label.padEnd(13))} ${text}`
  return [
    style.bold(name),
    line(
      'key',
      key.sort === undefined
        ? `"${key.partition}": each value is one row`
        : `"${key.partition}", then in order of "${key.sort}"`,
    ),
    line('partitioning', partitioningText(item)),
    ...(map === undefined
      ? []
      : [
          line(
            'map',
            `${count(map.partitions, 'partition')}, version ${map.mapVersion}${map.moving === 0 ? '' : `, ${map.moving} on the move`}`,
          ),
        ]),
    ...protocolLines(item, line),
    ...(item.hotKeys === undefined
      ? []
      : [
          line(
            'hot keys',
            `the writes of each key go to ${item.hotKeys.writeParts} parts, on replicas of their own; a read asks all of them`,
          ),
        ]),
    line(
      'like',
      like.length === 0 ? 'no preset' : like.map(preset => `${preset} (${presets[preset].like})`).join(', '),
    ),
  ]
}

/** After a table was made like another system's: each setting with its reason, and what is missing. */
export function presetNotes(name: PresetName, item: TableItem, style: Style): string[] {
  const { like, reasons, notYet } = presets[name]
  const settings = item as unknown as Readonly<Record<string, Readonly<Record<string, unknown>>>>
  const preset = presets[name].settings as unknown as typeof settings
  const lines = Object.entries(reasons).map(([path, reason]) => {
    const [group = '', key = ''] = path.split('.')
    const value = settings[group]?.[key]
    const isOverridden = value !== preset[group]?.[key]
    return isOverridden
      ? `  ${path} ${style.yellow(`${String(value)}: given, not what ${name} has`)}`
      : `  ${path} ${reason}`
  })
  return [`like ${like}`, ...lines, ...notYet.map(text => `  ${style.yellow('not yet:')} ${text}`)]
}
