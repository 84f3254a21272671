/** All histories that are told, by name. */

import { olderEpoch } from './older-epoch.ts'
import type { History } from './told-history.ts'
import { wokenLeader } from './woken-leader.ts'

export const histories = {
  'older-epoch': olderEpoch,
  'woken-leader': wokenLeader,
} as const satisfies Record<string, History>

export type HistoryName = keyof typeof histories
