/** One seed gives every option of a run; some kinds of fault and load are switched off per seed. */

import { crdt } from '@quorate/client/pure'
import {
  defaultTuning,
  type LeaderlessSpecification,
  type NodeTuning,
  randomBelow,
  randomChance,
  randomPick,
  SeededRandom,
  type StoreLimits,
  type TableSpecification,
} from '@quorate/core'
import { type FaultKind, faultKinds } from '../faults/fault-kinds.ts'
import { mergingRows } from '../workloads/merging-clients.ts'
import { type TableRole, tableRoles, type WorkTable } from '../workloads/workloads.ts'

export interface SwarmTable extends WorkTable {
  readonly specification: TableSpecification & { readonly replication?: LeaderlessSpecification }
}

export interface SwarmOptions {
  readonly seed: number
  readonly nodes: number
  readonly zones: number
  readonly tables: readonly SwarmTable[]
  readonly faults: readonly FaultKind[]
  readonly faultEveryMs: number
  readonly safetyMs: number
  readonly clients: number
  readonly operationsPerSecond: number
  readonly registerClients: number
  /** Clients that work in sessions, on a table of their own; 0: there is none. */
  readonly sessionClients: number
  readonly sessionTable: Omit<TableSpecification, 'name' | 'replication'> & {
    readonly replication: LeaderlessSpecification
  }
  /** Clients of a table whose rows merge by themselves; 0: there is none. */
  readonly mergingClients: number
  readonly mergingTable: SwarmOptions['sessionTable']
  /** Clients of a table whose rows are agreed on; 0: there is none. */
  readonly agreedClients: number
  readonly agreedTable: Omit<TableSpecification, 'name'>
  /** Mean time between an operator's doings; 0: there is none. */
  readonly operatorEveryMs: number
  readonly tuning: NodeTuning
  readonly storeLimits: Partial<StoreLimits>
}

export type SwarmOverrides = Partial<Omit<SwarmOptions, 'seed' | 'tables' | 'tuning'>> & {
  readonly tuning?: Partial<NodeTuning>
  readonly roles?: readonly TableRole[]
  readonly keys?: number
  readonly partitioners?: readonly Partitioner[]
  readonly replication?: LeaderlessSpecification
}

export function swarmOptions(seed: number, overrides: SwarmOverrides = {}): SwarmOptions {
  const random = new SeededRandom(seed ^ 0x5eed)
  const { roles, keys, partitioners, replication, tuning, ...direct } = overrides
  const nodes = direct.nodes ?? randomPick(random, [3, 3, 3, 4, 5, 5, 7])
  const zones = randomPick(random, [1, 2, 3, 3, nodes])
  const chosen = roles ?? pickSome(random, tableRoles, 0.55)
  // Of its own, so that older seeds keep their other options.
  const splits = new SeededRandom(seed ^ 0x5b117)
  const balancing = new SeededRandom(seed ^ 0xa071)
  const parts = new SeededRandom(seed ^ 0x9a275)
  const sessions = new SeededRandom(seed ^ 0x5e551)
  const merging = mergingOptions(seed, nodes, direct.mergingClients ?? (roles === undefined ? undefined : 0))
  const tables = chosen
    .filter(role => role !== 'hot')
    .map(role => swarmTable(random, role, nodes, { replication, keys, partitioners, splits }))
  if (roles === undefined ? randomChance(parts, 0.4) : roles.includes('hot')) {
    const among = partitioners?.filter(kind => kind !== 'range') ?? ['ring', 'ring', 'fixed', 'modulo']
    tables.push(hotTable(parts, nodes, { replication, keys, partitioners: among, splits }))
  }
  const options: SwarmOptions = {
    seed,
    nodes,
    zones: Math.min(zones, nodes),
    tables,
    faults: pickSome(random, faultKinds, 0.6),
    faultEveryMs: randomPick(random, [700, 1_500, 3_000, 6_000]),
    safetyMs: randomPick(random, [15_000, 25_000, 40_000]),
    clients: 2 + randomBelow(random, 4),
    operationsPerSecond: randomPick(random, [15, 30, 60]),
    registerClients: randomChance(random, 0.6) ? 2 : 0,
    sessionClients: randomChance(sessions, 0.5) ? 3 : 0,
    sessionTable: sessionTable(sessions, nodes),
    ...merging,
    ...agreedOptions(seed, nodes, direct.agreedClients ?? (roles === undefined ? undefined : 0)),
    operatorEveryMs: randomPick(random, [0, 800, 2_000, 4_000]),
    tuning: {
      ...defaultTuning,
      gossipIntervalMs: randomPick(random, [200, 400, 1_000]),
      sweepIntervalMs: randomPick(random, [500, 2_000, 6_000]),
      sweepRecheckMs: randomPick(random, [50, 300]),
      collectIntervalMs: randomPick(random, [700, 3_000, 10_000]),
      lateWriteMs: randomPick(random, [200, 1_000, 5_000]),
      scrubIntervalMs: randomPick(random, [4_000, 12_000]),
      tokensPerNode: randomPick(random, [1, 2, 4]),
      randomTokens: randomChance(random, 0.8),
      moveBytesPerSecond: randomPick(random, [2_000, 50_000, 10_000_000]),
      movePageBytes: randomPick(random, [100, 1_000, 262_144]),
      movesAtOnce: randomPick(random, [1, 4, 32]),
      splitIntervalMs: randomPick(splits, [50, 200, 1_000]),
      hotReadCacheMs: randomPick(splits, [0, 0, 500, 5_000]),
      autoIntervalMs: randomPick(balancing, [200, 1_000]),
      treeSliceRows: randomPick(splits, [1, 3, 2_000]),
      // A counter takes what is tried later than this for a new addition: clients try for as long, and pauses make it longer.
      ...(merging.mergingClients > 0 ? { lateWriteMs: MERGING_LATE_MS } : {}),
    },
    storeLimits: randomChance(random, 0.8)
      ? {
          memtableBytesMax: randomPick(random, [6_000, 30_000]),
          segmentBytesMax: randomPick(random, [5_000, 40_000]),
          checkpointBatchBytes: randomPick(random, [400, 8_000]),
        }
      : {},
  }
  return {
    ...options,
    ...direct,
    tuning: { ...options.tuning, ...tuning },
    zones: Math.min(direct.zones ?? options.zones, nodes),
  }
}

function pickSome<T>(random: SeededRandom, items: readonly T[], share: number): T[] {
  const chosen = items.filter(() => randomChance(random, share))
  return chosen.length > 0 ? chosen : [randomPick(random, items)]
}

const rules: Readonly<Record<TableRole, readonly string[]>> = {
  sets: ['siblings'],
  carts: ['siblings'],
  lww: ['lww'],
  union: ['merge:union'],
  deletes: ['siblings', 'siblings', 'lww'],
  monotonic: ['siblings', 'lww'],
  hot: ['siblings'],
}

interface TableChoices {
  readonly replication: SwarmOverrides['replication']
  readonly keys: number | undefined
  readonly partitioners: readonly Partitioner[] | undefined
  readonly splits: SeededRandom
}

/** Promises nothing without a session: one copy is an acknowledgement, one answer a read. */
function sessionTable(random: SeededRandom, nodes: number): SwarmOptions['sessionTable'] {
  return {
    key: 'k',
    partitioning: randomPick(random, [{ kind: 'ring' }, { kind: 'fixed', partitions: 4 }] as const),
    replication: { n: Math.min(3, nodes), r: 1, w: 1, sloppy: randomChance(random, 0.4) },
    conflict: { kind: randomPick(random, ['lww', 'siblings']) },
  }
}

/** More than clients try, with the longest pause of a node in between. */
const MERGING_LATE_MS = 8_000

/** Of their own, so that older seeds keep their other options. */
function mergingOptions(
  seed: number,
  nodes: number,
  asked: number | undefined,
): Pick<SwarmOptions, 'mergingClients' | 'mergingTable'> {
  const random = new SeededRandom(seed ^ 0x3e46e)
  const drawn = randomChance(random, 0.3) ? 3 : 0
  return { mergingClients: asked ?? drawn, mergingTable: mergingTable(random, nodes) }
}

/** Of their own, so that older seeds keep their other options. */
function agreedOptions(
  seed: number,
  nodes: number,
  asked: number | undefined,
): Pick<SwarmOptions, 'agreedClients' | 'agreedTable'> {
  const random = new SeededRandom(seed ^ 0xa93ed)
  const drawn = randomChance(random, 0.3) ? 3 : 0
  return {
    agreedClients: asked ?? drawn,
    agreedTable: {
      key: 'k',
      partitioning: randomPick(random, [
        { kind: 'ring' },
        { kind: 'fixed', partitions: 2 },
        { kind: 'range' },
      ] as const),
      replication: { kind: 'consensus', n: Math.min(nodes, randomPick(random, [3, 3, 5])) },
    },
  }
}

function mergingTable(random: SeededRandom, nodes: number): SwarmOptions['sessionTable'] {
  const n = Math.min(nodes, randomPick(random, [3, 3, 2, 5]))
  const quorum = Math.floor(n / 2) + 1
  const [r, w] = randomChance(random, 0.7) ? [quorum, quorum] : [1, 1]
  return {
    key: 'k',
    partitioning: randomPick(random, [
      { kind: 'ring' },
      { kind: 'fixed', partitions: 4 },
      { kind: 'modulo', buckets: 3 },
    ] as const),
    replication: { n, r, w, sloppy: randomChance(random, 0.3) },
    conflict: crdt(mergingRows),
  }
}

/** A few keys whose writes are split. */
function hotTable(random: SeededRandom, nodes: number, choices: TableChoices): SwarmTable {
  const keys = choices.keys ?? randomPick(random, [1, 3])
  const blocking = randomChance(random, 0.3)
  const table = swarmTable(random, 'hot', nodes, { ...choices, keys })
  const { replication } = table.specification
  const sloppy = table.sloppy && !blocking
  return {
    ...table,
    sloppy,
    specification: {
      ...table.specification,
      replication: { ...replication, sloppy, ...(blocking ? { readRepair: 'blocking' } : {}) },
      hotKeys: { writeParts: randomPick(random, [2, 3, 8]) },
    },
  }
}

function swarmTable(
  random: SeededRandom,
  role: TableRole,
  nodes: number,
  { replication, keys, partitioners, splits }: TableChoices,
): SwarmTable {
  const n = replication?.n ?? Math.min(nodes, randomPick(random, [3, 3, 3, 2, 5]))
  const quorum = Math.floor(n / 2) + 1
  const blocking = role === 'monotonic'
  const sloppy = !blocking && randomChance(random, 0.4)
  const [r, w] =
    blocking || randomChance(random, 0.6)
      ? [quorum, quorum]
      : [1 + randomBelow(random, n), 1 + randomBelow(random, n)]
  const kind = randomPick(random, rules[role])
  const settings = { n, r, w, sloppy, readRepair: blocking ? 'blocking' : 'async', ...replication } as const
  return {
    name: role,
    role,
    keys: keys ?? randomPick(random, [2, 6, 20]),
    n,
    sloppy: settings.sloppy,
    rule: kind,
    specification: {
      name: role,
      key: 'k',
      partitioning: partitioningOf(random, splits, partitioners),
      replication: settings,
      conflict: { kind },
    },
  }
}

type Partitioner = 'ring' | 'fixed' | 'modulo' | 'range'

function partitioningOf(
  random: SeededRandom,
  splits: SeededRandom,
  among: readonly Partitioner[] = ['ring', 'ring', 'fixed', 'modulo', 'range'],
): NonNullable<TableSpecification['partitioning']> {
  switch (randomPick(random, among)) {
    case 'fixed':
      return { kind: 'fixed', partitions: randomPick(random, [1, 4, 70]) }
    case 'modulo':
      return { kind: 'modulo', buckets: randomPick(random, [3, 8]) }
    case 'range':
      return {
        kind: 'range',
        splitPoints: randomPick(random, [[], ['k3'], ['k1', 'k12', 'k5']]),
        ...(randomChance(splits, 0.5)
          ? {
              auto: true,
              splitBytes: randomPick(splits, [1_024, 2_048, 4_096]),
              splitOperationsPerSecond: randomPick(splits, [2, 10, 2_000]),
            }
          : { auto: false }),
      }
    default:
      return { kind: 'ring' }
  }
}

/** The options in one line, printed before a run. */
export function describeOptions(options: SwarmOptions): string {
  const tables = options.tables.map(({ name, specification }) => {
    const { n, r, w, sloppy } = specification.replication!
    return `${name}(${specification.conflict!.kind} by ${specification.partitioning!.kind}${specification.partitioning!.auto === true ? ' auto' : ''} ${n}/${r}/${w}${sloppy === true ? ' sloppy' : ''}${specification.hotKeys === undefined ? '' : ` in ${specification.hotKeys.writeParts} parts`})`
  })
  return `seed ${options.seed}: ${options.nodes} nodes in ${options.zones} zones; ${tables.join(' ')}${options.operatorEveryMs > 0 ? `; an operator every ${options.operatorEveryMs} ms` : ''}; ${options.sessionClients > 0 ? `${options.sessionClients} in sessions (${options.sessionTable.conflict!.kind}${options.sessionTable.replication.sloppy === true ? ' sloppy' : ''}); ` : ''}${options.mergingClients > 0 ? `${options.mergingClients} merging (${mergingText(options)}); ` : ''}${options.agreedClients > 0 ? `${options.agreedClients} agreeing; ` : ''}faults every ${options.faultEveryMs} ms: ${options.faults.join(', ')}`
}

function mergingText({ mergingTable: { replication } }: SwarmOptions): string {
  const { n, r, w, sloppy } = replication
  return `${n}/${r}/${w}${sloppy === true ? ' sloppy' : ''}`
}
