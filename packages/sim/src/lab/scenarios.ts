/**
 * The scenarios that there are, by name.
 *
 * To come: `github-2012`, `github-2018`, `split-brain` and `unclean-election`, of tables with a leader per partition.
 */

import type { Scenario } from './scenario.ts'
import { answerBeforeQuestionScenario } from './scenarios/answer-before-question.ts'
import { crossRegionSyncTaxScenario } from './scenarios/cross-region-sync-tax.ts'
import { monotonicReadsScenario } from './scenarios/monotonic-reads.ts'
import { readYourWritesScenario } from './scenarios/read-your-writes.ts'
import { statementDivergenceScenario } from './scenarios/statement-divergence.ts'

export const scenarios: readonly Scenario[] = [
  readYourWritesScenario,
  monotonicReadsScenario,
  crossRegionSyncTaxScenario,
  answerBeforeQuestionScenario,
  statementDivergenceScenario,
]
