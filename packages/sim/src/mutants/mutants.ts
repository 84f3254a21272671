/**
 * Seeded bugs: what the simulator must catch, or a green run is no evidence.
 *
 * Each is a patch of compiled code, applied while it is loaded in a process of its own, so that production
 * code carries no switches. `find` must match exactly once: a mutant that no longer fits is an error, not a
 * survivor. `overrides` make the bug likely; the unmutated code must pass the same seeds.
 */

import { agreedMutants } from './agreed-mutants.ts'
import { hotKeyMutants } from './hot-key-mutants.ts'
import { ledMutants } from './led-mutants.ts'
import { mergingMutants } from './merging-mutants.ts'
import { movementMutants } from './movement-mutants.ts'
import type { Mutant } from './mutant.ts'
import { sessionMutants } from './session-mutants.ts'

export type { Mutant, Patch } from './mutant.ts'

const hardCrashes = ['power cut of many', 'crash losing unsynced bytes', 'slow disk', 'torn write'] as const
const lost = [
  'no-lost-write',
  'no-silent-drop',
  'receipts',
  'monotonic-reads',
  'registers',
  'liveness',
  'crash',
]

export const mutants: readonly Mutant[] = [
  {
    name: 'ack-before-durable',
    patches: [
      {
        file: 'store/log-store.js',
        find: 'if (position <= this.#durable)\n            run();',
        replace: 'if (position > 0)\n            run();',
      },
    ],
    expects: ['storage'],
    seeds: 40,
    scenario: 'storage',
  },
  {
    name: 'ack-before-durable-in-a-cluster',
    patches: [
      {
        file: 'store/log-store.js',
        find: 'if (position <= this.#durable)\n            run();',
        replace: 'if (position > 0)\n            run();',
      },
    ],
    expects: lost,
    seeds: 40,
    scenario: 'swarm',
    overrides: { faults: hardCrashes, faultEveryMs: 700, operationsPerSecond: 60, roles: ['sets'] },
  },
  {
    name: 'log-cut-at-bad-record-in-middle',
    patches: [
      {
        file: 'store/segment-judge.js',
        find: "if (follower !== undefined) {\n        return { kind: 'damaged', at, why: `a bad record",
        replace:
          "if (follower !== undefined) {\n        return { kind: 'torn', validEnd: at, why: `a bad record",
      },
    ],
    expects: ['storage'],
    seeds: 80,
    scenario: 'storage',
  },
  {
    name: 'segment-removed-before-checkpoint-durable',
    patches: [
      {
        file: 'store/log-store.js',
        find: 'await this.#writer.begun(segment);',
        replace: 'await this.#writer.begun(segment); await this.#dropBefore(segment);',
      },
    ],
    expects: ['storage'],
    seeds: 80,
    scenario: 'storage',
  },
  {
    name: 'quorum-w-minus-1',
    patches: [
      {
        file: 'leaderless/write-flow.js',
        find: "needed: Math.min(answersNeeded(level, Math.max(members.length, this.#needed), w, 'w'), members.length),",
        replace:
          "needed: Math.max(1, Math.min(answersNeeded(level, Math.max(members.length, this.#needed), w, 'w'), members.length) - 1),",
      },
    ],
    expects: ['receipts', 'no-lost-write'],
    seeds: 10,
    scenario: 'swarm',
  },
  {
    name: 'dot-reused-after-disk-loss',
    patches: [
      {
        file: 'node/node.js',
        find: 'random: world.random,',
        replace:
          'random: { uint32: (() => { let at = 0; return () => config.id.charCodeAt(at++ % config.id.length) })() },',
      },
    ],
    expects: lost,
    seeds: 40,
    scenario: 'swarm',
    overrides: {
      faults: ['store wiped', 'process kill'],
      faultEveryMs: 1_500,
      operationsPerSecond: 60,
      registerClients: 2,
    },
  },
  {
    name: 'clock-bound-not-reserved',
    patches: [
      {
        file: 'causality/clock-reservation.js',
        find: 'this.floor = (stored === undefined || stored === DAMAGED ? 0 : stringToU64(bytesToString(stored)));',
        replace: 'this.floor = 0;',
      },
    ],
    expects: [...lost, 'no-resurrection'],
    seeds: 300,
    from: 24,
    scenario: 'swarm',
    overrides: {
      faults: ['power cut of many', 'crash losing unsynced bytes', 'slow disk', 'torn write', 'clock jump'],
      faultEveryMs: 300,
      operationsPerSecond: 100,
      roles: ['sets'],
      nodes: 3,
      partitioners: ['ring'],
      replication: { n: 3, r: 1, w: 1, sloppy: false },
      keys: 4,
      tuning: { sweepIntervalMs: 15_000 },
    },
  },
  {
    name: 'reply-before-read-durable',
    patches: [
      {
        file: 'leaderless/replica-handlers.js',
        find: 'if (position === 0)\n                    respond.ok({ cell, asOf, collected });',
        replace: 'if (position >= 0)\n                    respond.ok({ cell, asOf, collected });',
      },
      {
        file: 'leaderless/read-flow.js',
        find: 'store.whenDurable(rows.positionOf(key), () => {',
        replace: 'store.whenDurable(0, () => {',
      },
    ],
    expects: ['monotonic-reads', 'no-lost-write', 'receipts'],
    seeds: 150,
    from: 53,
    scenario: 'swarm',
    overrides: {
      faults: ['power cut of many', 'slow disk', 'crash losing unsynced bytes'],
      faultEveryMs: 300,
      operationsPerSecond: 150,
      clients: 6,
      roles: ['monotonic'],
      keys: 4,
      nodes: 3,
      replication: { n: 3, r: 2, w: 2 },
      tuning: { sweepIntervalMs: 15_000 },
    },
  },
  {
    name: 'context-ignored',
    patches: [
      {
        file: 'cells/siblings.js',
        find: 'base.values.filter(value => !replaces(value) && !superseded.includes(value.operation))',
        replace: '[]',
      },
    ],
    expects: ['no-lost-write', 'receipts'],
    seeds: 10,
    scenario: 'swarm',
    overrides: { roles: ['sets', 'carts'] },
  },
  {
    name: 'superseded-operations-forgotten',
    patches: [
      { file: 'cells/siblings.js', find: 'values, superseded };', replace: 'values, superseded: [] };' },
    ],
    expects: ['no-resurrection'],
    seeds: 100,
    scenario: 'swarm',
    overrides: {
      faults: ['message loss', 'one-way cut', 'partial cut', 'message delay', 'pause'],
      faultEveryMs: 500,
      operationsPerSecond: 60,
      roles: ['deletes'],
      replication: { n: 3, r: 1, w: 1, sloppy: false },
    },
  },
  {
    name: 'sibling-dropped-at-merge',
    patches: [
      {
        file: 'cells/cell.js',
        find: 'else if (isUnseen(right, a))',
        replace: 'else if (isUnseen(right, a) && values.length === 0)',
      },
    ],
    expects: ['no-lost-write', 'receipts', 'liveness'],
    seeds: 20,
    scenario: 'swarm',
    overrides: { roles: ['sets', 'carts'] },
  },
  {
    name: 'hint-dropped-on-restart',
    patches: [
      {
        file: 'leaderless/hint-store.js',
        find: 'this.#add(targetOf(key), 1, value === DAMAGED ? 0 : value.length);',
        replace: 'if (value === DAMAGED) this.#add(targetOf(key), 1, 0);',
      },
    ],
    expects: ['no-lost-write', 'no-silent-drop', 'receipts'],
    seeds: 60,
    scenario: 'swarm',
    overrides: {
      faults: ['partial cut', 'one-way cut', 'process kill', 'power cut of many'],
      faultEveryMs: 700,
      operationsPerSecond: 60,
      nodes: 5,
      roles: ['sets'],
      replication: { n: 3, r: 1, w: 1, sloppy: true },
    },
  },
  {
    name: 'fallback-ack-counted-as-strict',
    patches: [
      {
        file: 'leaderless/write-flow.js',
        find: 'this.#sloppy = replication.sloppy && !options.request.strict;',
        replace: 'this.#sloppy = replication.sloppy;',
      },
    ],
    expects: ['receipts'],
    seeds: 40,
    scenario: 'swarm',
    overrides: {
      faults: ['partial cut', 'process kill', 'crash losing unsynced bytes'],
      faultEveryMs: 700,
      nodes: 5,
      roles: ['sets'],
      replication: { n: 3, r: 2, w: 2, sloppy: true },
    },
  },
  {
    name: 'tombstone-collected-one-replica-early',
    patches: [
      {
        file: 'sweep/collector.js',
        find: 'vote.count === reports.length',
        replace: 'vote.count >= reports.length - 1',
      },
    ],
    expects: ['no-resurrection', 'no-lost-write'],
    seeds: 60,
    from: 14,
    scenario: 'swarm',
    overrides: {
      faults: ['message loss', 'one-way cut', 'message delay', 'disk full'],
      faultEveryMs: 700,
      operationsPerSecond: 60,
      nodes: 3,
      roles: ['deletes'],
      replication: { n: 3, r: 2, w: 2, sloppy: false },
      tuning: { sweepIntervalMs: 20_000, collectIntervalMs: 300, lateWriteMs: 0 },
    },
  },
  {
    name: 'paxos-promise-not-persisted',
    patches: [
      {
        file: 'register/acceptor.js',
        find: 'register: { promised: message.ballot, accepted, value },',
        replace: '',
      },
    ],
    expects: ['registers'],
    seeds: 40,
    scenario: 'swarm',
    overrides: {
      registerClients: 6,
      faults: ['message delay', 'process kill', 'message loss'],
      faultEveryMs: 700,
      roles: ['sets'],
      operationsPerSecond: 5,
    },
  },
  {
    name: 'tree-not-updated-after-repair',
    patches: [
      {
        file: 'leaderless/row-store.js',
        find: 'else\n            this.#trees.applied(table, key, before',
        replace: 'else if (before === undefined)\n            this.#trees.applied(table, key, before',
      },
    ],
    expects: ['liveness'],
    seeds: 10,
    scenario: 'swarm',
    overrides: { roles: ['carts'], tuning: { scrubIntervalMs: 3_600_000 } },
  },
  {
    name: 'interval-extended-without-memory',
    patches: [{ file: 'causality/context.js', find: 'end >= memoryFrom ||', replace: 'end >= 0 ||' }],
    expects: ['no-lost-write', 'no-silent-drop', 'receipts', 'monotonic-reads'],
    seeds: 200,
    scenario: 'swarm',
    overrides: {
      faults: ['power cut of many', 'crash losing unsynced bytes', 'slow disk'],
      faultEveryMs: 300,
      operationsPerSecond: 150,
      keys: 4,
      replication: { n: 3, r: 2, w: 1, sloppy: false },
      roles: ['sets'],
      nodes: 3,
      tuning: { sweepIntervalMs: 15_000 },
    },
  },
  {
    name: 'range-page-past-its-horizon',
    patches: [
      {
        file: 'leaderless/range-flow.js',
        find: 'const more = keys.length > limit || horizon !== undefined;',
        replace: 'const more = keys.length > limit;',
      },
    ],
    expects: ['receipts', 'monotonic-reads', 'no-resurrection'],
    seeds: 40,
    scenario: 'swarm',
    overrides: { roles: ['sets', 'deletes'], replication: { n: 3, r: 2, w: 2, sloppy: false } },
  },
  {
    name: 'fence-ignored',
    patches: [{ file: 'sweep/fences.js', find: 'if (asOf <= bound)', replace: 'if (asOf < 0)' }],
    expects: ['no-resurrection'],
    seeds: 120,
    scenario: 'swarm',
    overrides: {
      faults: ['message delay', 'message reordering', 'pause', 'message duplication'],
      faultEveryMs: 500,
      operationsPerSecond: 100,
      nodes: 3,
      roles: ['deletes'],
      replication: { n: 3, r: 2, w: 2, sloppy: false },
      tuning: { sweepIntervalMs: 400, sweepRecheckMs: 20, collectIntervalMs: 100, lateWriteMs: 0 },
    },
  },
  {
    name: 'rebuild-reads-early',
    patches: [
      {
        file: 'node/rebuild.js',
        find: 'isReady(view, partition) {',
        replace: 'isReady(view, partition) { return true;',
      },
    ],
    expects: lost,
    seeds: 40,
    scenario: 'swarm',
    overrides: {
      faults: ['store wiped'],
      faultEveryMs: 2_000,
      operationsPerSecond: 100,
      roles: ['sets'],
      nodes: 3,
      replication: { n: 3, r: 2, w: 2, sloppy: false },
    },
  },
  {
    name: 'ledger-entry-not-written',
    patches: [
      {
        file: 'leaderless/row-store.js',
        find: '        if (discarded.length > 0) {',
        replace: '        if (discarded.length < 0) {',
      },
    ],
    expects: ['no-silent-drop', 'receipts'],
    seeds: 10,
    scenario: 'swarm',
    overrides: { roles: ['lww'] },
  },
  ...movementMutants,
  ...hotKeyMutants,
  ...sessionMutants,
  ...mergingMutants,
  ...agreedMutants,
  ...ledMutants,
]

export function findMutant(name: string): Mutant {
  const found = mutants.find(mutant => mutant.name === name)
  if (found === undefined) throw new Error(`there is no mutant "${name}"; --list-mutants names them`)
  return found
}
