/**
 * May the cluster balance itself now? Pure.
 *
 * Problem: automatic rebalancing is what turns a slow node into an outage: a member that seems dead is taken
 * for one whose data must move, and moving makes the next one slow. And load that comes and goes makes
 * partitions go to and fro. Mechanism: only when an operator has switched it on, only for members that are
 * uneven and never for one that does not answer; between two bounds (a Schmitt trigger): past the upper one a
 * plan is made, and another only after the lower one was reached; only when it was seen at several looks in
 * a row; and at most one plan in so long, counted from the register, so that no restart forgets.
 * Invariants: no plan unless every member is active, answers, and no operator has anything under way.
 * References: Dynamo (2007), §4.8.1: explicit membership; Amazon's "static stability".
 */

import type { AutoBalancing } from '../catalog/cluster-changes.ts'

/** Looks in a row that must find members uneven. */
export const LOOKS_MIN = 3

export interface AutoLook {
  /** The cluster's time. */
  readonly nowMs: number
  /** Greatest over mean; undefined: not known. */
  readonly imbalance: number | undefined
  /** Looks in a row, this one included, that found it past the bound. */
  readonly looks: number
  readonly members: readonly { readonly id: string; readonly state: string; readonly answers: boolean }[]
  /** Of operators: staged, or on its way. */
  readonly staged: number
  readonly taskRuns: boolean
}

export type AutoDecision =
  | { readonly kind: 'rest'; readonly why: string }
  /** Members are even: the next imbalance counts. */
  | { readonly kind: 'arm' }
  | { readonly kind: 'plan' }

/** Is this look one of those that count? */
export function isPastBound({ phase, policy }: AutoBalancing, look: Omit<AutoLook, 'looks'>): boolean {
  if (look.imbalance === undefined || phase === 'resting' || notNow(look) !== undefined) return false
  return look.imbalance > (phase === 'armed' ? policy.above : policy.below)
}

/** Whatever the balance is: why nothing is planned. */
function notNow({ members, staged, taskRuns }: Omit<AutoLook, 'looks'>): string | undefined {
  const silent = members.filter(({ answers }) => !answers).map(({ id }) => id)
  if (silent.length > 0) return `nothing is planned while ${silent.join(', ')} cannot be asked`
  const other = members.find(({ state }) => state !== 'active')
  if (other !== undefined) return `${other.id} is ${other.state}: that is for an operator to plan`
  if (staged > 0) return 'operators have staged something: that comes first'
  return taskRuns ? 'a task runs' : undefined
}

export function decideAuto(auto: AutoBalancing, look: AutoLook): AutoDecision {
  const rest = (why: string): AutoDecision => ({ kind: 'rest', why })
  const { policy, phase, lastMs } = auto
  if (!auto.isOn) return rest('it is off')
  const hindered = notNow(look)
  if (hindered !== undefined) return rest(hindered)
  const { imbalance, nowMs } = look
  if (imbalance === undefined) return rest('the balance is not known')
  const now = imbalance.toFixed(2)
  if (phase !== 'armed' && imbalance <= policy.below) return { kind: 'arm' }
  if (phase === 'resting')
    return rest(`the greatest is ${now} times the mean; nothing is planned before it was ${policy.below}`)
  if (phase === 'armed' && imbalance <= policy.above)
    return rest(`the greatest is ${now} times the mean; a plan is made above ${policy.above}`)
  if (look.looks < LOOKS_MIN)
    return rest(`the greatest is ${now} times the mean, at ${look.looks} of ${LOOKS_MIN} looks in a row`)
  const waitMs = lastMs === 0 ? 0 : lastMs + policy.everyMs - nowMs
  if (waitMs > 0)
    return rest(`the last plan was too short ago: the next in ${Math.ceil(waitMs / 60_000)} min`)
  return { kind: 'plan' }
}
