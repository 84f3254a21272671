/** Seeded bugs of rows in parts: each breaks what `core/src/leaderless/SPEC.md` says of split writes. */

import type { Mutant } from './mutant.ts'

const overrides = { roles: ['hot'], operationsPerSecond: 60 } as const

export const hotKeyMutants: readonly Mutant[] = [
  {
    name: 'part-left-out-of-fan-in',
    patches: [
      {
        file: 'leaderless/split-read.js',
        find: 'Array.from({ length: count }, (_, part) => part)',
        replace: 'Array.from({ length: count - 1 }, (_, part) => part)',
      },
    ],
    expects: ['no-lost-write', 'receipts', 'monotonic-reads'],
    seeds: 10,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'delete-of-one-part-only',
    patches: [
      {
        file: 'leaderless/split-write.js',
        find: '{ first: [first, ...removals], after: [] }',
        replace: '{ first: [first], after: [] }',
      },
    ],
    expects: ['no-resurrection'],
    seeds: 10,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'one-context-for-all-parts',
    patches: [
      {
        file: 'leaderless/split-write.js',
        find: 'encodePartsToken(seen.filter(one => one.part === part), row)',
        replace: 'joinContextTokens(seen.map(one => encodePartsToken([{ ...one, part }], row)))',
      },
    ],
    expects: ['no-lost-write', 'receipts', 'monotonic-reads'],
    seeds: 20,
    scenario: 'swarm',
    overrides,
  },
]
