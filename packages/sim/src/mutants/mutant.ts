/** A seeded bug: a patch of compiled code, and the run that must notice it. See `mutants.ts`. */

import type { SwarmOverrides } from '../scenarios/swarm-options.ts'

export interface Patch {
  /** Below `packages/core/dist/`. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Mutant {
  readonly name: string
  readonly patches: readonly Patch[]
  /** Checkers of which one must raise its hand. */
  readonly expects: readonly string[]
  /** Seeds within which it must be caught. */
  readonly seeds: number
  /** `swarm`: the cluster; `storage`: one store on simulated hardware. */
  readonly scenario: 'swarm' | 'storage'
  readonly overrides?: SwarmOverrides
}
