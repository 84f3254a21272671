/** A seeded bug: a patch of compiled code, and the run that must notice it. See `mutants.ts`. */

import type { HistoryName } from '../scenarios/histories.ts'
import type { LedOverrides } from '../scenarios/led-options.ts'
import type { SwarmOverrides } from '../scenarios/swarm-options.ts'

export interface Patch {
  /** Below `packages/core/dist/`. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

interface Common {
  readonly name: string
  readonly patches: readonly Patch[]
  /** Checkers of which one must raise its hand. */
  readonly expects: readonly string[]
  /** The last seed up to which it must be caught. */
  readonly seeds: number
  /** The first one that is tried; those before are known to find nothing, and take their time. Default: 1. */
  readonly from?: number
}

/**
 * `swarm`: the cluster; `led`: a table with leaders; `storage`: one store on simulated hardware; `told`: a
 * history that chance hardly finds.
 */
export type Mutant = Common &
  (
    | { readonly scenario: 'swarm'; readonly overrides?: SwarmOverrides }
    | { readonly scenario: 'led'; readonly overrides: LedOverrides }
    | { readonly scenario: 'storage' }
    | { readonly scenario: 'told'; readonly history: HistoryName }
  )
