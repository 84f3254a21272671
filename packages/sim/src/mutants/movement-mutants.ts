/** Seeded bugs of movement: each breaks one numbered invariant of `core/src/movement/SPEC.md`. */

import type { Mutant } from './mutant.ts'

const lost = ['no-lost-write', 'no-silent-drop', 'receipts', 'monotonic-reads', 'liveness']
const rough = ['message loss', 'one-way cut', 'partial cut', 'message delay', 'pause'] as const
const strict = { n: 3, r: 2, w: 2, sloppy: false } as const

export const movementMutants: readonly Mutant[] = [
  {
    name: 'union-counted-instead-of-both-sets',
    patches: [
      {
        file: 'leaderless/write-flow.js',
        find: 'this.#partition.writeSets.map(members =>',
        replace:
          '[this.#partition.writeSets.length > 1 ? this.#partition.holders : this.#partition.writeSets[0]].map(members =>',
      },
    ],
    expects: lost,
    seeds: 80,
    scenario: 'swarm',
    overrides: {
      faults: rough,
      faultEveryMs: 500,
      operationsPerSecond: 100,
      operatorEveryMs: 400,
      nodes: 5,
      roles: ['sets'],
      replication: strict,
      tuning: { sweepIntervalMs: 20_000 },
    },
  },
  {
    // Nobody looks at the session: a stream goes on after its move was taken back, or begun anew.
    name: 'late-stream-accepted',
    patches: [
      {
        file: 'movement/receiver.js',
        find: 'if (this.#stopped || this.#sessions.get(recordKey(record.table, record.partition)) !== record)\n            return undefined;\n        return this.#open(record.table, record.partition, record.session);',
        replace:
          'const view = this.#node.catalog.find(record.table); const partition = view?.map.find(record.partition); return this.#stopped || partition === undefined ? undefined : [view, partition];',
      },
      {
        file: 'movement/receiver.js',
        find: '!this.#options.isRunning(open[1].move.task)',
        replace: 'false',
      },
      {
        file: 'movement/source.js',
        find: 'if (partition.move?.session === session && session > 0)',
        replace: 'if (session > 0)',
      },
    ],
    expects: lost,
    seeds: 120,
    from: 14,
    scenario: 'swarm',
    overrides: {
      faults: ['message delay', 'pause'],
      faultEveryMs: 500,
      operationsPerSecond: 60,
      operatorEveryMs: 150,
      keys: 40,
      roles: ['sets', 'deletes'],
      tuning: { moveBytesPerSecond: 2_000, movePageBytes: 100 },
    },
  },
  {
    name: 'stale-plan-applied',
    patches: [
      {
        file: 'node/cluster-control.js',
        find: 'if (known.task !== undefined)',
        replace: 'if (known.task === null)',
      },
      { file: 'node/cluster-control.js', find: 'if (plan.id !== id) {', replace: "if (id === '') {" },
      {
        file: 'node/plan-input.js',
        find: 'return plan.moves === 0 &&',
        replace: 'return false && plan.moves === 0 &&',
      },
    ],
    expects: ['crash', ...lost],
    seeds: 20,
    scenario: 'swarm',
    overrides: { operatorEveryMs: 500, roles: ['sets'] },
  },
  {
    name: 'split-loses-boundary-key',
    patches: [
      {
        file: 'partitioning/partition-map.js',
        find: 'if (starts[middle] <= key)',
        replace: 'if (starts[middle] < key)',
      },
    ],
    expects: ['crash', ...lost],
    seeds: 40,
    scenario: 'swarm',
    overrides: { operatorEveryMs: 500, roles: ['sets', 'carts'], partitioners: ['range'], nodes: 5 },
  },
  {
    name: 'tombstone-collected-while-moving',
    patches: [
      {
        file: 'sweep/collector.js',
        find: 'if (partition.move !== undefined)\n            return 0;',
        replace: '',
      },
      {
        file: 'sweep/collector.js',
        find: 'if (partition.move === undefined)',
        replace: 'if (partition !== undefined)',
      },
      { file: 'movement/receiver.js', find: "fences.check(key, 'sweep', page.asOf);", replace: '' },
    ],
    expects: ['no-resurrection', ...lost],
    seeds: 120,
    from: 66,
    scenario: 'swarm',
    overrides: {
      faults: ['message delay'],
      faultEveryMs: 300,
      operationsPerSecond: 200,
      operatorEveryMs: 300,
      nodes: 5,
      roles: ['deletes'],
      replication: strict,
      tuning: { collectIntervalMs: 50, lateWriteMs: 0, sweepIntervalMs: 20_000, moveBytesPerSecond: 1_000 },
    },
  },
  {
    name: 'hint-forgotten-after-move',
    patches: [
      {
        file: 'leaderless/hint-replayer.js',
        find: 'return homes.includes(target) ? [target] : homes;',
        replace: 'return homes.includes(target) ? [target] : [];',
      },
    ],
    expects: lost,
    seeds: 120,
    from: 58,
    scenario: 'swarm',
    overrides: {
      faults: ['partial cut', 'one-way cut', 'process kill', 'pause'],
      faultEveryMs: 400,
      operationsPerSecond: 100,
      operatorEveryMs: 400,
      nodes: 5,
      roles: ['sets'],
      replication: { n: 3, r: 1, w: 1, sloppy: true },
      tuning: { sweepIntervalMs: 20_000 },
    },
  },
  {
    name: 'read-new-before-verify',
    patches: [
      {
        file: 'partitioning/partition-map.js',
        find: "case 'verify':\n            return { replicas: old,",
        replace: "case 'verify':\n            return { replicas: move.to,",
      },
    ],
    expects: lost,
    seeds: 40,
    from: 13,
    scenario: 'swarm',
    overrides: {
      operationsPerSecond: 100,
      operatorEveryMs: 400,
      roles: ['sets'],
      replication: strict,
      tuning: { moveBytesPerSecond: 2_000 },
    },
  },
]
