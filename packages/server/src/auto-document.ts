/** Balancing by itself, as JSON: what an operator allows, what it did, and what whoever drives says of it now. */

import type { AutoBalancing, Node } from '@quorate/core'

export interface AutoDocument extends AutoBalancing {
  /** '' when it is off, or nothing was heard yet. */
  readonly says: string
}

/** Null: it was never switched on. */
export function autoDocument({ control, coordination }: Node): AutoDocument | null {
  const { auto } = control.changes
  if (auto === undefined) return null
  const driver = control.driver()
  const says = driver === undefined ? '' : coordination.membership.get(driver, 'auto')
  return { ...auto, says: auto.isOn ? String(says ?? '') : '' }
}
