/** Seeded bugs of sessions: each breaks what `core/src/sessions/SPEC.md` says. */

import type { Mutant } from './mutant.ts'

const overrides = {
  roles: ['sets'],
  operationsPerSecond: 15,
  sessionClients: 3,
  faults: ['message delay', 'message loss', 'process kill'],
} as const

export const sessionMutants: readonly Mutant[] = [
  {
    name: 'session-ignored-on-read',
    patches: [
      {
        file: 'leaderless/read-demand.js',
        find: 'if (demand.context.length === 0)',
        replace: 'if (demand.context.length >= 0)',
      },
    ],
    expects: ['session-guarantees'],
    seeds: 10,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'dependencies-dropped',
    patches: [
      {
        file: 'leaderless/session-call.js',
        find: 'if (causes !== undefined)',
        replace: 'if (causes === null)',
      },
    ],
    expects: ['causal-order'],
    seeds: 20,
    scenario: 'swarm',
    overrides,
  },
  {
    name: 'settled-without-a-quorum',
    patches: [
      {
        file: 'leaderless/session-call.js',
        find: 'await Promise.all(open.slice(at, at + AT_ONCE).map(row => settleRow(this.#node, this.#read, row)));',
        replace: '',
      },
      {
        file: 'leaderless/session-call.js',
        find: 'if (!isSettled(this.#state, view.descriptor.id))\n            return asked;',
        replace: 'return asked;',
      },
      { file: 'base/limits.js', find: 'causesMax: 32', replace: 'causesMax: 2' },
    ],
    expects: ['session-guarantees', 'causal-order'],
    seeds: 20,
    scenario: 'swarm',
    overrides,
  },
]
