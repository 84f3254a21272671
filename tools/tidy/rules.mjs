// What tidy enforces. Each ban names its replacement.

/** A package may import only packages to its left. */
export const packageOrder = ['core', 'client', 'sim', 'server', 'dynamodb', 'cli', 'console']

/** Rooms of core, ground floor first: a room may import only rooms before it … */
export const roomOrder = [
  'base',
  'ports',
  'store',
  'causality',
  'quorum',
  'leadership',
  'cells',
  'updates',
  'crdt',
  'partitioning',
  'hotkeys',
  'catalog',
  'membership',
  'register',
  'wire',
  'sessions',
  'sweep',
  'leader',
  'leaderless',
  'led',
  'consensus',
  'movement',
  'node',
]

/** … except these pairs, each with its reason. */
export const roomExceptions = {
  'base → ports': 'the seeded generator implements the Random port (types only)',
  'causality → ports': 'the clock reservation runs on a timer',
  'cells → wire': 'cell bytes are written with the byte reader and writer, which know nothing of messages',
  'register → wire': 'the same',
  'sweep → wire': 'sweeps are messages',
  'sweep → leaderless': 'sweeps work through the same row store as reads and writes (NodeContext)',
  'leaderless → sweep': 'every change of a row tells the trees and asks the fences',
}

/** Packages whose code must be pure, and the parts that are their doors to a platform. */
export const pureSources = [
  { root: 'packages/core/src', doors: [] },
  {
    root: 'packages/client/src',
    doors: [
      'packages/client/src/node-transport/',
      'packages/client/src/connect.ts',
      'packages/client/src/index.ts',
    ],
  },
  {
    root: 'packages/sim/src',
    doors: ['packages/sim/src/bin.ts', 'packages/sim/src/node-runner/', 'packages/sim/src/mutants/runner'],
  },
]

export const bans = [
  { pattern: /\bfrom '(node:[^']+)'/, instead: 'a port (packages/core/src/ports)' },
  { pattern: /\bDate\.now\(|\bnew Date\(\)/, instead: 'Clock.wallMs' },
  { pattern: /\bperformance\.now\(/, instead: 'Clock.monotonicMs' },
  { pattern: /\bMath\.random\(/, instead: 'Random' },
  { pattern: /\bcrypto\b\.|\bgetRandomValues\b/, instead: 'Random' },
  { pattern: /\bset(Timeout|Interval|Immediate)\(/, instead: 'Clock.setTimer or Clock.defer' },
  { pattern: /\bqueueMicrotask\(/, instead: 'Clock.defer' },
  { pattern: /\bprocess\.\w/, instead: 'a port or an argument' },
  { pattern: /(?<![#.])\bfetch\(/, instead: 'Transport' },
  { pattern: /\b(window|localStorage|globalThis)\./, instead: 'an argument' },
]

/** In every source file. */
export const everywhere = [
  { pattern: /\b(TODO|FIXME|XXX|HACK)\b/, instead: 'an issue, or the thing itself' },
  { pattern: /:\s*any\s*(?:[;,)=\]|&>{]|$)|\bas any\b|<any>/, instead: 'unknown, and a check' },
  {
    pattern: /catch\s*(\([^)]*\))?\s*\{\s*\}/,
    instead: 'a typed error, or a comment that says why nothing is to be done',
  },
  { pattern: /^\s*(export )?enum /, instead: 'a union of strings' },
]

/** Ratchets: a file or function may be no longer than this, or than what tools/tidy/ratchet.json allows it. */
export const fileLinesMax = 500
export const functionLinesMax = 70
