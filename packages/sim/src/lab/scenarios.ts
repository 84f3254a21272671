/**
 * The scenarios that there are, by name.
 *
 * To come, each with what it waits for: `answer-before-question` (sessions), `github-2012`, `github-2018`,
 * `split-brain`, `statement-divergence` and `unclean-election` (tables with a leader per partition).
 */

import type { Scenario } from './scenario.ts'
import { crossRegionSyncTaxScenario } from './scenarios/cross-region-sync-tax.ts'
import { monotonicReadsScenario } from './scenarios/monotonic-reads.ts'
import { readYourWritesScenario } from './scenarios/read-your-writes.ts'

export const scenarios: readonly Scenario[] = [
  readYourWritesScenario,
  monotonicReadsScenario,
  crossRegionSyncTaxScenario,
]
