/** Balancing by itself, as people read it. */

import type { AutoDocument } from '@quorate/server'
import { bytes, duration } from './words.ts'

const PHASES: Readonly<Record<AutoDocument['phase'], string>> = {
  armed: 'it waits for the upper bound',
  going: 'it goes on until the lower bound',
  resting: 'it rests until the lower bound was reached',
}

/** One line; undefined when it was never switched on, or is off. */
export function autoText(auto: AutoDocument | null): string | undefined {
  if (auto?.isOn !== true) return undefined
  const { by, above, below, everyMs, bytesMax } = auto.policy
  const last =
    auto.lastMs === 0 ? '' : `; last plan ${auto.lastPlan} at ${new Date(auto.lastMs).toISOString()}`
  const says = auto.says === '' ? '' : `: ${auto.says}`
  return `the cluster balances itself by ${by}, above ${above} and until below ${below} times the mean, at most every ${duration(everyMs)} and ${bytes(bytesMax)} a plan; ${PHASES[auto.phase]}${says}${last}; quorate cluster auto off`
}
