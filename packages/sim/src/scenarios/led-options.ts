/** One seed gives every option of a run over tables with leaders. */

import {
  ACKNOWLEDGEMENTS,
  type Acknowledgement,
  defaultTuning,
  LOG_KINDS,
  type LogKind,
  type NodeTuning,
  randomBelow,
  randomChance,
  randomPick,
  SeededRandom,
  type StoreLimits,
} from '@quorate/core'
import { type FaultKind, faultKinds } from '../faults/fault-kinds.ts'

export interface LedOptions {
  readonly seed: number
  readonly nodes: number
  readonly zones: number
  readonly n: number
  readonly ack: Acknowledgement
  readonly minInSync: number
  readonly log: LogKind
  readonly partitions: number
  readonly keys: number
  readonly clients: number
  readonly operationsPerSecond: number
  readonly faults: readonly FaultKind[]
  readonly faultEveryMs: number
  readonly safetyMs: number
  /** Mean time between planned changes of leader; 0: none. */
  readonly handOverEveryMs: number
  /** How often an operator looks for partitions without a leader, and has one elected uncleanly; 0: never. */
  readonly uncleanEveryMs: number
  /** Mean time between the doings of an operator who moves partitions; 0: there is none. */
  readonly operatorEveryMs: number
  readonly tuning: NodeTuning
  readonly storeLimits: Partial<StoreLimits>
}

export type LedOverrides = Partial<Omit<LedOptions, 'seed' | 'tuning'>> & {
  readonly tuning?: Partial<NodeTuning>
}

/** What destroys the one copy that an asynchronous table promises is no failure of it. */
const DESTROYING: readonly FaultKind[] = ['store wiped', 'bit flip in the log', 'bit flip in the table']

export function ledOptions(seed: number, overrides: LedOverrides = {}): LedOptions {
  const random = new SeededRandom(seed ^ 0x1ead)
  const nodes = overrides.nodes ?? randomPick(random, [3, 3, 4, 5])
  const n = Math.min(nodes, overrides.n ?? randomPick(random, [3, 3, 3, 2, 5]))
  const ack = overrides.ack ?? randomPick(random, ACKNOWLEDGEMENTS)
  const minInSync =
    overrides.minInSync ?? (ack === 'in-sync' ? Math.min(n, 1 + randomBelow(random, 2) + (n > 2 ? 1 : 0)) : 1)
  const faults = faultKinds.filter(() => randomChance(random, 0.6))
  const { tuning, ...direct } = overrides
  const isUnclean = overrides.uncleanEveryMs !== 0 && randomChance(new SeededRandom(seed ^ 0xbad), 0.33)
  const copies = ack === 'none' || (ack === 'in-sync' && minInSync < 2) ? 1 : 2
  const options: LedOptions = {
    seed,
    nodes,
    zones: nodes,
    n,
    ack,
    minInSync,
    log: randomPick(random, LOG_KINDS),
    partitions: randomPick(random, [1, 2, 6]),
    keys: randomPick(random, [1, 3, 10]),
    clients: 2 + randomBelow(random, 4),
    operationsPerSecond: randomPick(random, [15, 40, 100]),
    faults: copies > 1 ? faults : faults.filter(kind => !DESTROYING.includes(kind)),
    faultEveryMs: randomPick(random, [700, 1_500, 3_000, 6_000]),
    safetyMs: randomPick(random, [15_000, 25_000, 40_000]),
    handOverEveryMs: randomPick(random, [0, 700, 3_000]),
    uncleanEveryMs: isUnclean ? 2_000 : 0,
    operatorEveryMs: isUnclean ? 0 : randomPick(new SeededRandom(seed ^ 0x0b3), [0, 0, 1_000, 3_000]),
    tuning: {
      ...defaultTuning,
      gossipIntervalMs: randomPick(random, [200, 400, 1_000]),
      sweepIntervalMs: 2_000,
      // Twice what clients try.
      lateWriteMs: 8_000,
      scrubIntervalMs: 4_000,
      leaseMs: randomPick(random, [300, 600, 1_000]),
      leaderBeatMs: randomPick(random, [50, 100, 200]),
      inSyncLagMs: randomPick(random, [400, 1_000, 3_000]),
      logEntriesKept: randomPick(random, [3, 20, 10_000]),
      logKeptMs: randomPick(new SeededRandom(seed ^ 0xa9e), [500, 5_000, 600_000]),
      // What is kept no longer cannot go to the ledger: that is for those who elect cleanly.
      logEntriesMax: isUnclean ? 1_000_000 : randomPick(random, [10, 60, 1_000_000]),
    },
    storeLimits: randomChance(random, 0.7)
      ? {
          memtableBytesMax: randomPick(random, [6_000, 30_000]),
          segmentBytesMax: randomPick(random, [5_000, 40_000]),
          checkpointBatchBytes: randomPick(random, [400, 8_000]),
        }
      : {},
  }
  return { ...options, ...direct, tuning: { ...options.tuning, ...tuning } }
}

export function describeLed(options: LedOptions): string {
  const { seed, nodes, n, ack, minInSync, log, partitions, keys, handOverEveryMs, faultEveryMs, faults } =
    options
  const inSync = ack === 'in-sync' ? ` ${minInSync}` : ''
  const unclean = options.uncleanEveryMs > 0 ? '; unclean elections' : ''
  const moves = options.operatorEveryMs > 0 ? `; an operator every ${options.operatorEveryMs} ms` : ''
  const hands = handOverEveryMs > 0 ? `; hand-overs every ${handOverEveryMs} ms` : ''
  return `led seed ${seed}: ${nodes} nodes; ${partitions} partitions on ${n}, ack ${ack}${inSync}, ${log} log, ${keys} keys${hands}${unclean}${moves}; faults every ${faultEveryMs} ms: ${faults.join(', ')}`
}
