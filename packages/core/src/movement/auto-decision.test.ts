/** Balancing by itself: when it may plan. Every rule is a reason not to. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AutoBalancing } from '../catalog/cluster-changes.ts'
import { type AutoLook, decideAuto, isPastBound, LOOKS_MIN } from './auto-decision.ts'

const HOUR_MS = 3_600_000
const policy = { by: 'bytes', above: 1.25, below: 1.1, everyMs: HOUR_MS, bytesMax: 1e9 } as const
const armed: AutoBalancing = { isOn: true, policy, phase: 'armed', lastMs: 0, lastPlan: '' }
const members = ['n1', 'n2', 'n3'].map(id => ({ id, state: 'active', answers: true }))
const look: AutoLook = {
  nowMs: 10 * HOUR_MS,
  imbalance: 1.3,
  looks: LOOKS_MIN,
  members,
  staged: 0,
  taskRuns: false,
}

describe('a plan is made', () => {
  it('past the upper bound, when it was seen often enough', () => {
    expect(decideAuto(armed, look).kind).toBe('plan')
    expect(decideAuto(armed, { ...look, looks: LOOKS_MIN - 1 }).kind).toBe('rest')
    expect(decideAuto(armed, { ...look, imbalance: 1.25 }).kind).toBe('rest')
  })

  it('past the lower bound already when the last one was as large as it might be', () => {
    const going = { ...armed, phase: 'going' } as const
    expect(decideAuto(going, { ...look, imbalance: 1.15 }).kind).toBe('plan')
    expect(decideAuto(going, { ...look, imbalance: 1.1 }).kind).toBe('arm')
  })
})

describe('no plan is made', () => {
  it.each([
    ['it is off', { ...armed, isOn: false }, {}],
    [
      'a member does not answer',
      armed,
      { members: [...members, { id: 'n4', state: 'active', answers: false }] },
    ],
    ['a member is leaving', armed, { members: [...members, { id: 'n4', state: 'leaving', answers: true }] }],
    ['a node waits to join', armed, { members: [...members, { id: 'n4', state: 'staged', answers: true }] }],
    ['an operator has staged something', armed, { staged: 1 }],
    ['a task runs', armed, { taskRuns: true }],
    ['the balance is not known', armed, { imbalance: undefined }],
    ['the last one was just now', { ...armed, lastMs: look.nowMs - HOUR_MS + 1 }, {}],
    ['the clock is behind that of the last one', { ...armed, lastMs: look.nowMs + HOUR_MS }, {}],
    [
      'one was made and members were not even since',
      { ...armed, phase: 'resting' as const },
      { imbalance: 9 },
    ],
  ])('when %s', (_, auto, more) => {
    expect(decideAuto(auto, { ...look, ...more }).kind).toBe('rest')
  })
})

/** Looks one after another, as the flow takes them; a plan brings the phase that it leaves. */
function plansOf(looks: readonly Omit<AutoLook, 'looks' | 'nowMs'>[], everyMs = 60_000, stepMs = 10_000) {
  let auto: AutoBalancing = { ...armed, policy: { ...policy, everyMs } }
  let count = 0
  const plans: number[] = []
  looks.forEach((each, at) => {
    const now = { ...each, nowMs: HOUR_MS + at * stepMs }
    count = isPastBound(auto, now) ? count + 1 : 0
    const decision = decideAuto(auto, { ...now, looks: count })
    if (decision.kind === 'rest') return
    count = 0
    if (decision.kind === 'arm') auto = { ...auto, phase: 'armed' }
    else {
      plans.push(now.nowMs)
      auto = { ...auto, phase: 'resting', lastMs: now.nowMs }
    }
  })
  return plans
}

const seen = (imbalance: number) => ({ imbalance, members, staged: 0, taskRuns: false })

describe('over time', () => {
  it('load that flaps about the upper bound never triggers twice', () => {
    const flapping = Array.from({ length: 1_000 }, (_, at) => seen(at % 8 < 4 ? 1.3 : 1.2))
    expect(plansOf(flapping)).toHaveLength(1)
  })

  it('load that comes and goes faster than it is looked at often enough never triggers', () => {
    const flapping = Array.from({ length: 1_000 }, (_, at) => seen(at % LOOKS_MIN === 0 ? 1 : 5))
    expect(plansOf(flapping)).toEqual([])
  })

  it('a dead member never triggers, however uneven it leaves the others', () => {
    const dead = members.map(member => ({ ...member, answers: member.id !== 'n2' }))
    expect(plansOf(Array.from({ length: 1_000 }, () => ({ ...seen(9), members: dead })))).toEqual([])
  })

  it('never more than one plan in so long, nor two without the lower bound between them', () => {
    const looks = fc.array(fc.constantFrom(1, 1.05, 1.15, 1.2, 1.3, 2), { maxLength: 300 })
    fc.assert(
      fc.property(looks, values => {
        const plans = plansOf(values.map(seen))
        plans.slice(1).forEach((at, index) => {
          expect(at - plans[index]!).toBeGreaterThanOrEqual(60_000)
          const between = values.slice((plans[index]! - HOUR_MS) / 10_000, (at - HOUR_MS) / 10_000)
          expect(Math.min(...between)).toBeLessThanOrEqual(policy.below)
        })
      }),
    )
  })
})
