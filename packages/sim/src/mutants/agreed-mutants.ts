/** Seeded bugs of rows that are agreed on: each breaks what `core/src/consensus/SPEC.md` says. */

import type { Mutant } from './mutant.ts'

const overrides = {
  roles: ['sets'],
  operationsPerSecond: 15,
  registerClients: 0,
  sessionClients: 0,
  agreedClients: 4,
  nodes: 3,
  operatorEveryMs: 0,
  faults: ['message delay', 'message loss', 'message reordering', 'one-way cut'],
} as const

export const agreedMutants: readonly Mutant[] = [
  {
    name: 'promise-forgotten',
    patches: [
      {
        file: 'consensus/row-acceptor.js',
        find: 'if (!isAgain && !isOlder(last, ballot))',
        replace: 'if (!isAgain && !isOlder(last, ballot) && ballot.stamp < 0)',
      },
      {
        file: 'consensus/row-acceptor.js',
        find: 'if (!isAccepted && (promised === undefined || compareDots(promised, ballot) !== 0))',
        replace: 'if (!isAccepted && ballot.stamp < 0)',
      },
    ],
    expects: ['agreed-rows'],
    seeds: 20,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'accepted-without-promise',
    patches: [
      {
        file: 'consensus/row-acceptor.js',
        find: 'if (!isAccepted && (promised === undefined || compareDots(promised, ballot) !== 0))',
        replace: 'if (!isAccepted && ballot.stamp < 0)',
      },
    ],
    expects: ['agreed-rows'],
    seeds: 40,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'quorum-of-one',
    patches: [
      {
        file: 'consensus/row-proposer.js',
        find: 'needed: majorityOf(partition.writeSets[at].length),',
        replace: 'needed: 1,',
      },
    ],
    expects: ['agreed-rows'],
    seeds: 20,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'retry-applied-twice',
    patches: [
      {
        file: 'consensus/row-change.js',
        find: 'cell.values[0]?.operation === operation || cell.superseded.includes(operation)',
        replace: 'cell.superseded.includes(undefined)',
      },
    ],
    expects: ['agreed-rows'],
    seeds: 20,
    from: 10,
    scenario: 'swarm',
    overrides,
  },
  {
    // The set of acceptors changes without a scan of what they have accepted.
    name: 'new-homes-asked-before-they-have-the-rows',
    patches: [
      {
        file: 'partitioning/partition-map.js',
        find: "case 'verify':\n            return { replicas: old,",
        replace: "case 'verify':\n            return { replicas: move.to,",
      },
      {
        file: 'consensus/row-proposer.js',
        find: 'const { holders, writeSets } = partition;',
        replace: 'const { replicas: holders } = partition; const writeSets = [holders];',
      },
    ],
    expects: ['agreed-rows'],
    seeds: 60,
    from: 13,
    scenario: 'swarm',
    overrides: {
      ...overrides,
      operationsPerSecond: 1,
      nodes: 5,
      operatorEveryMs: 400,
      faults: ['message delay', 'process kill'],
      tuning: { moveBytesPerSecond: 300, movePageBytes: 100, sweepIntervalMs: 20_000 },
    },
  },
]
