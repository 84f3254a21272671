/** Seeded bugs of rows that merge by themselves: each breaks what `core/src/crdt/SPEC.md` says. */

import type { Mutant } from './mutant.ts'

const overrides = {
  roles: ['sets'],
  operationsPerSecond: 15,
  registerClients: 0,
  sessionClients: 0,
  mergingClients: 3,
  faults: ['message delay', 'message loss', 'process kill'],
} as const

export const mergingMutants: readonly Mutant[] = [
  {
    name: 'counter-counts-dots',
    patches: [
      {
        file: 'crdt/field-rule.js',
        find: 'if (counted.has(operation))',
        replace: 'if (counted.has(undefined))',
      },
    ],
    expects: ['conservation'],
    seeds: 20,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'removal-without-context',
    patches: [
      {
        file: 'crdt/field-rule.js',
        find: 'return writeBeside(base, { ...write, value: undefined }, dot, memoryFrom);',
        replace:
          'return writeBeside(base, { ...write, value: undefined, seen: undefined }, dot, memoryFrom);',
      },
    ],
    expects: ['or-set'],
    seeds: 20,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'sum-beside-its-parts',
    patches: [
      {
        file: 'crdt/field-rule.js',
        find: 'parts.has(one) ? [] : [one]',
        replace: '[one]',
      },
    ],
    expects: ['conservation'],
    seeds: 30,
    scenario: 'swarm',
    overrides: {
      ...overrides,
      faults: ['message delay'],
      tuning: { collectIntervalMs: 300, lateWriteMs: 0 },
    },
  },
  {
    name: 'parts-over-their-sum',
    patches: [
      {
        file: 'crdt/field-rule.js',
        find: 'return atomsIn(b) > atomsIn(a) ? b : a;',
        replace: 'return atomsIn(b) < atomsIn(a) ? b : a;',
      },
    ],
    expects: ['conservation'],
    seeds: 30,
    scenario: 'swarm',
    overrides: { ...overrides, tuning: { collectIntervalMs: 300, sweepIntervalMs: 20_000 } },
  },
  {
    name: 'addition-in-the-place-of-others',
    patches: [
      {
        file: 'crdt/field-rule.js',
        find: 'const values = [...base.values, valueWritten(write, dot)].sort(compareDots);',
        replace: 'const values = [valueWritten(write, dot)];',
      },
    ],
    expects: ['conservation', 'or-set'],
    seeds: 5,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'delta-claims-what-it-lacks',
    patches: [
      { file: 'cells/delta.js', find: 'isJoined ? before + 1 : stamp, stamp', replace: '1, stamp' },
      { file: 'cells/delta.js', find: 'return from !== to &&', replace: 'return from === undefined &&' },
    ],
    expects: ['conservation', 'or-set'],
    seeds: 20,
    scenario: 'swarm',
    overrides,
  },
]
