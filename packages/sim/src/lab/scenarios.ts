/** The scenarios that there are, by name. */

import type { Scenario } from './scenario.ts'
import { answerBeforeQuestionScenario } from './scenarios/answer-before-question.ts'
import { cartOrSetScenario } from './scenarios/cart-or-set.ts'
import { cartUnionScenario } from './scenarios/cart-union.ts'
import { clockSkewScenario } from './scenarios/clock-skew.ts'
import { crossRegionSyncTaxScenario } from './scenarios/cross-region-sync-tax.ts'
import { github2012Scenario } from './scenarios/github-2012.ts'
import { github2018Scenario } from './scenarios/github-2018.ts'
import { lwwLostUpdateScenario } from './scenarios/lww-lost-update.ts'
import { monotonicReadsScenario } from './scenarios/monotonic-reads.ts'
import { readYourWritesScenario } from './scenarios/read-your-writes.ts'
import { siblingExplosionScenario } from './scenarios/sibling-explosion.ts'
import { splitBrainScenario } from './scenarios/split-brain.ts'
import { statementDivergenceScenario } from './scenarios/statement-divergence.ts'
import { uncleanElectionScenario } from './scenarios/unclean-election.ts'
import { zombieTombstoneScenario } from './scenarios/zombie-tombstone.ts'

export const scenarios: readonly Scenario[] = [
  readYourWritesScenario,
  monotonicReadsScenario,
  crossRegionSyncTaxScenario,
  answerBeforeQuestionScenario,
  statementDivergenceScenario,
  github2012Scenario,
  github2018Scenario,
  splitBrainScenario,
  uncleanElectionScenario,
  lwwLostUpdateScenario,
  clockSkewScenario,
  cartUnionScenario,
  cartOrSetScenario,
  siblingExplosionScenario,
  zombieTombstoneScenario,
]
