/** Seeded bugs of tables with leaders: each breaks one rule of `core/src/leader/SPEC.md`. */

import type { Mutant } from './mutant.ts'

/** What is lost shows as lost, as a read that is no beginning of the final list, or as one that misses something. */
const lost = [
  'no-lost-append',
  'state-machine-safety',
  'log-prefix',
  'linearizable-read',
  'real-time-order',
  'one-leader',
]
const apart = ['one-way cut', 'partial cut', 'pause', 'process kill', 'message delay'] as const
const crashes = ['process kill', 'power cut of many', 'crash losing unsynced bytes', 'message delay'] as const

const majority = {
  nodes: 3,
  n: 3,
  ack: 'majority',
  partitions: 1,
  operationsPerSecond: 60,
  faultEveryMs: 500,
  handOverEveryMs: 0,
  operatorEveryMs: 0,
} as const

/** A log that keeps its entries: retries are found in it. */
const quick = { leaseMs: 300, leaderBeatMs: 50, logEntriesKept: 10_000 } as const

export const ledMutants: readonly Mutant[] = [
  {
    // It asks neither its lease before it replies, nor do followers refuse what it sends.
    name: 'deposed-leader-acknowledges',
    patches: [
      {
        file: 'led/leading.js',
        find: 'if (!this.hasLease || this.#isSealed)\n            return;',
        replace: '',
      },
      { file: 'led/seat.js', find: 'if (epoch < newest)', replace: 'if (epoch < 0)' },
      { file: 'leader/replica.js', find: 'if (epoch < log.fence)', replace: 'if (epoch < 0)' },
      {
        file: 'leader/partition-log.js',
        find: 'append(epoch, before, entries, also = []) {\n        if (epoch < this.#fence)',
        replace: 'append(epoch, before, entries, also = []) {\n        if (epoch < 0)',
      },
    ],
    expects: [...lost, 'append-once', 'crash'],
    seeds: 30,
    scenario: 'led',
    overrides: { ...majority, faults: apart, tuning: { leaseMs: 300, leaderBeatMs: 50 } },
  },
  {
    name: 'read-without-lease',
    patches: [
      {
        file: 'led/leading.js',
        find: 'return !this.#ended && this.#options.node.clock.monotonicMs() < this.#leaseUntilMs;',
        replace: 'return !this.#ended;',
      },
    ],
    expects: ['linearizable-read'],
    seeds: 1,
    scenario: 'told',
    history: 'woken-leader',
  },
  {
    // A replica that begins anew believes only what it knows to be committed (Kafka before KIP-101).
    name: 'cut-at-commit-point',
    patches: [
      {
        file: 'leader/replica.js',
        find: 'this.#committed = this.#progress.carriedOut;\n    }',
        replace:
          'this.#committed = this.#progress.carriedOut; if (!this.isLoading) this.log.cut(Math.max(this.log.first - 1, this.carriedOut), () => []);\n    }',
      },
    ],
    expects: lost,
    seeds: 30,
    scenario: 'led',
    overrides: { ...majority, faults: crashes, tuning: quick },
  },
  {
    name: 'in-sync-set-shrunk-without-register',
    patches: [
      {
        file: 'led/in-sync-keeper.js',
        find: 'leading.askInSync([...new Set([...before, ...wanted])]);',
        replace: 'leading.follow(partition, wanted);',
      },
    ],
    expects: lost,
    seeds: 30,
    scenario: 'led',
    overrides: {
      ...majority,
      ack: 'in-sync',
      minInSync: 1,
      faults: apart,
      tuning: { ...quick, inSyncLagMs: 400 },
    },
  },
  {
    name: 'election-with-one-answer-too-few',
    patches: [
      {
        file: 'leadership/election.js',
        find: 'const missing = Math.max(votesNeeded(rule) - promised.length, readersNeeded(rule) - whole.length);',
        replace:
          'const missing = Math.max(votesNeeded(rule) - promised.length - 1, readersNeeded(rule) - whole.length - 1, 1 - whole.length);',
      },
    ],
    expects: lost,
    seeds: 30,
    scenario: 'led',
    overrides: { ...majority, faults: apart, tuning: quick },
  },
  {
    name: 'position-compared-without-epoch',
    patches: [
      {
        file: 'leadership/epoch-history.js',
        find: 'return a.epoch - b.epoch || a.position - b.position;',
        replace: 'return a.position - b.position;',
      },
    ],
    expects: lost,
    seeds: 100,
    scenario: 'led',
    overrides: {
      ...majority,
      clients: 12,
      operationsPerSecond: 40,
      faultEveryMs: 300,
      faults: apart,
      tuning: quick,
    },
  },
  {
    name: 'commit-of-an-older-epoch',
    patches: [
      {
        file: 'leadership/acknowledgement.js',
        find: 'return reached >= epochFrom ? Math.max(committed, reached) : committed;',
        replace: 'return Math.max(committed, reached);',
      },
    ],
    expects: ['state-machine-safety'],
    seeds: 1,
    scenario: 'told',
    history: 'older-epoch',
  },
  {
    name: 'session-ignored-by-a-follower',
    patches: [
      {
        file: 'led/led-tables.js',
        find: 'if (isRecent && session?.isShownBy(held.seat.replica) !== false) {',
        replace: 'if (isRecent) {',
      },
    ],
    expects: ['session-guarantees'],
    seeds: 10,
    scenario: 'led',
    overrides: { ...majority, faults: ['message delay', 'message loss'] },
  },
  {
    name: 'snapshot-misses-its-last-row',
    patches: [
      {
        file: 'led/filler.js',
        find: 'replica.load(reply.rows);',
        replace: 'replica.load(reply.more ? reply.rows : reply.rows.slice(0, -1));',
      },
    ],
    expects: [...lost, 'liveness', 'crash', 'outcomes'],
    seeds: 10,
    scenario: 'led',
    overrides: {
      ...majority,
      keys: 10,
      faults: ['pause', 'partial cut', 'process kill'],
      tuning: { ...quick, logEntriesKept: 3 },
    },
  },
  {
    name: 'ids-without-epoch',
    patches: [
      { file: 'led/calls.js', find: 'generatedId(epoch, nextId())', replace: 'generatedId(1, nextId())' },
    ],
    expects: ['generated-ids'],
    seeds: 5,
    scenario: 'led',
    overrides: { ...majority, handOverEveryMs: 700, faults: apart, tuning: quick },
  },
  {
    name: 'feed-passes-over-a-change',
    patches: [
      {
        file: 'led/change-feed.js',
        find: 'const last = found.at(-1);',
        replace: 'if (found.length > 2)\n            found.splice(1, 1);\n        const last = found.at(-1);',
      },
    ],
    expects: ['feed-complete'],
    seeds: 5,
    scenario: 'led',
    overrides: { ...majority, log: 'logical', faults: ['message delay'], tuning: quick },
  },
  {
    // A full store keeps what is committed from the rows of the leader, and followers show it already.
    name: 'answers-from-rows-that-lack-what-is-committed',
    patches: [
      {
        file: 'led/leading.js',
        find: 'this.isEstablished && this.#options.replica.carriedOut >= this.replication.committed;',
        replace: 'this.isEstablished && this.#options.replica.carriedOut >= this.#epochFrom;',
      },
    ],
    expects: ['session-guarantees', 'linearizable-read'],
    seeds: 40,
    scenario: 'led',
    overrides: {
      ...majority,
      keys: 1,
      operationsPerSecond: 100,
      faultEveryMs: 300,
      faults: ['disk full', 'message delay'],
      tuning: quick,
    },
  },
]
