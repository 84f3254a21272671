/** What a scenario is: a question, the settings that answer it differently, and the checker that judges. */

import type { Level } from '@quorate/client/pure'
import type { TableSpecification } from '@quorate/core'
import type { NodeName } from './cast.ts'
import type { Verdict } from './checkers.ts'
import type { Stage } from './stage.ts'
import type { LabEvent } from './timeline.ts'

export interface Setting {
  /** One word: `--setting LABEL`. */
  readonly label: string
  /** In words a newcomer reads. */
  readonly explained: string
  readonly expected: 'holds' | 'broken'
  /** Everything that a story may do differently; a new kind of setting is a field here. */
  readonly replication: TableSpecification['replication']
  readonly w?: Level
  readonly r?: Level
  /** Of tables with a leader: who may answer. */
  readonly read?: 'any' | 'leader'
  /** Each person works in a session. */
  readonly session?: boolean
  /** All requests of a person go to one node. */
  readonly sticky?: boolean
  /** An operator does not wait for those that do not answer, and has a leader elected at the price of what they have. */
  readonly operator?: boolean
  /** Conflict rule of the shopping carts. */
  readonly cart?: 'lww' | 'siblings' | 'merge:union' | 'crdt'
  /** Conflict rule of the posts, in a table without leaders; default lww. */
  readonly conflict?: 'lww' | 'siblings'
  /** Writers give the context of what they read. */
  readonly informed?: boolean
  /** Who gives out numbers: a row that is counted up, or the leader with `generatedId()`. */
  readonly numbers?: 'counted' | 'generated'
}

export interface Scenario {
  readonly name: string
  readonly question: string
  /** What is set up, before anything happens. */
  readonly scene: readonly string[]
  /** Default: three. */
  readonly nodes?: readonly NodeName[]
  readonly settings: readonly Setting[]
  /** Acts, and writes down what happens. Fails only when something does that the scene does not allow for. */
  readonly act: (stage: Stage, setting: Setting) => Promise<void>
  readonly check: (history: readonly LabEvent[]) => Verdict
  /** Which setting of a table to choose, in one sentence. */
  readonly advice: string
}
