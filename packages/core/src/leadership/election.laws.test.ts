/** Logs, leaders and elections as a random walk: what was committed is in the log of every later leader. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NodeId } from '../base/ids.ts'
import {
  ACKNOWLEDGEMENTS,
  type Acknowledgement,
  type AckRule,
  committedTo,
  copiesPromised,
  whyImpossible,
} from './acknowledgement.ts'
import { type Election, elect, lossOf } from './election.ts'
import {
  appended,
  divergence,
  emptyLog,
  endOf,
  epochAt,
  hasPoint,
  type LogPoint,
  type LogShape,
  truncated,
} from './epoch-history.ts'

type Step =
  | { readonly kind: 'append' }
  | { readonly kind: 'replicate'; readonly to: number; readonly count: number }
  | { readonly kind: 'elect'; readonly voters: readonly number[] }
  | { readonly kind: 'shrink' | 'grow'; readonly node: number }

const stepOf = (n: number): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Step>({ kind: 'append' }) },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('replicate' as const), to: fc.nat(n - 1), count: fc.nat(4) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('elect' as const), voters: fc.uniqueArray(fc.nat(n - 1)) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('shrink' as const, 'grow' as const),
        node: fc.nat(n - 1),
      }),
    },
  )

/** Rules of one walk; mutated in the tests that show what each of them is for. */
interface Rules {
  readonly ownEpochOnly: boolean
  readonly answersLess: number
}

class Walk {
  readonly #rule: AckRule
  readonly #rules: Rules
  readonly #ids: readonly NodeId[]
  readonly #logs: LogShape[]
  readonly #fences: number[]
  #epoch = 1
  #leader = 0
  #epochFrom = 1
  #committed = 0
  #inSync: NodeId[]
  readonly #acknowledged: LogPoint[] = []

  constructor(rule: AckRule, rules: Rules) {
    this.#rule = rule
    this.#rules = rules
    this.#ids = Array.from({ length: rule.n }, (_, i) => `n${i}` as NodeId)
    this.#logs = this.#ids.map(() => emptyLog)
    this.#fences = this.#ids.map(() => 1)
    this.#inSync = [...this.#ids]
    this.#append()
  }

  step(step: Step): void {
    if (step.kind === 'append') this.#append()
    else if (step.kind === 'replicate') this.#replicate(step.to, step.count)
    else if (step.kind === 'elect') this.#elect(step.voters)
    else this.#change(step.kind, step.node)
    this.#advance()
  }

  get lost(): LogPoint[] {
    return this.#acknowledged.filter(point => !hasPoint(this.#logs[this.#leader]!, point))
  }

  #append(): void {
    this.#logs[this.#leader] = appended(this.#logs[this.#leader]!, this.#epoch)
  }

  /** As a follower takes entries: cut at the divergence, then so many more. A fenced one takes nothing. */
  #replicate(to: number, count: number): void {
    if (to === this.#leader || this.#fences[to]! > this.#epoch) return
    this.#fences[to] = this.#epoch
    const own = this.#logs[this.#leader]!
    const shared = divergence(own, this.#logs[to]!).position
    let log = truncated(this.#logs[to]!, shared)
    for (let at = shared + 1; at <= Math.min(own.last, shared + count); at++)
      log = appended(log, epochAt(own, at))
    this.#logs[to] = log
  }

  #advance(): void {
    const own = this.#logs[this.#leader]!
    const matched = new Map(
      this.#ids.map((id, at) => {
        // What a follower has told under this epoch; a fenced one tells nothing.
        const known = this.#fences[at] === this.#epoch || at === this.#leader
        return [id, known ? divergence(own, this.#logs[at]!).position : 0] as const
      }),
    )
    if (this.#fences[this.#leader]! > this.#epoch) return
    const before = this.#committed
    this.#committed = committedTo(this.#rule, {
      matched,
      inSync: this.#inSync,
      epochFrom: this.#rules.ownEpochOnly ? this.#epochFrom : 1,
      committed: before,
    })
    expect(this.#committed).toBeGreaterThanOrEqual(before)
    for (let at = before + 1; at <= this.#committed; at++)
      this.#acknowledged.push({ epoch: epochAt(own, at), position: at })
  }

  #elect(voters: readonly number[]): void {
    const epoch = this.#epoch + 1
    for (const at of voters) this.#fences[at] = epoch
    const { answersLess } = this.#rules
    const rule = answersLess === 0 ? this.#rule : lessStrict(this.#rule)
    const found: Election = elect({
      rule,
      replicas: this.#ids,
      inSync: this.#inSync,
      votes: voters.map(at => ({ node: this.#ids[at]!, end: endOf(this.#logs[at]!) })),
      preferred: this.#ids,
    })
    // Whoever was fenced for nothing stays so: the next epoch is greater.
    this.#epoch = epoch
    if (found.kind === 'short') {
      this.#epochFrom = Number.POSITIVE_INFINITY
      return
    }
    this.#leader = this.#ids.indexOf(found.leader)
    this.#fences[this.#leader] = epoch
    this.#epochFrom = this.#logs[this.#leader]!.last + 1
    this.#committed = 0
    this.#append()
  }

  /** The register has the new set before the leader counts by it; who comes in has everything. */
  #change(kind: 'shrink' | 'grow', node: number): void {
    const id = this.#ids[node]!
    if (this.#rule.ack !== 'in-sync' || node === this.#leader) return
    if (kind === 'shrink') {
      if (this.#inSync.length > this.#rule.minInSync)
        this.#inSync = this.#inSync.filter(other => other !== id)
      return
    }
    const hasAll =
      divergence(this.#logs[this.#leader]!, this.#logs[node]!).position === this.#logs[this.#leader]!.last
    if (hasAll && !this.#inSync.includes(id)) this.#inSync = [...this.#inSync, id]
  }
}

/** Needs one answer less than it should. */
const lessStrict = (rule: AckRule): AckRule => ({ ...rule, n: Math.max(1, rule.n - 2) })

const walks = fc.integer({ min: 2, max: 5 }).chain(n =>
  fc.record({
    n: fc.constant(n),
    minInSync: fc.integer({ min: 1, max: n }),
    steps: fc.array(stepOf(n), { minLength: 1, maxLength: 60 }),
  }),
)

function loses(ack: Acknowledgement, rules: Rules, runs: number): boolean {
  const result = fc.check(
    fc.property(walks, ({ n, minInSync, steps }) => {
      const walk = new Walk({ ack, n, minInSync }, rules)
      for (const step of steps) {
        walk.step(step)
        if (walk.lost.length > 0) return false
      }
      return true
    }),
    { numRuns: runs, seed: 7 },
  )
  return result.failed
}

const right: Rules = { ownEpochOnly: true, answersLess: 0 }

describe('elections', () => {
  it.each(ACKNOWLEDGEMENTS)('keep all that was committed under "%s"', ack => {
    expect(loses(ack, right, 1_500)).toBe(false)
  })

  // Under "all" and "in-sync" one answer is enough: there is no number below it.
  it.each(['majority', 'one', 'none'] as const)('with one answer too few lose some under "%s"', ack => {
    expect(loses(ack, { ...right, answersLess: 1 }, 8_000)).toBe(true)
  })

  it('lose an entry of an older epoch that was counted by its copies', () => {
    const everyone = [1, 2, 3, 4].map(to => ({ kind: 'replicate' as const, to, count: 1 }))
    const steps: Step[] = [
      ...everyone,
      { kind: 'elect', voters: [0, 1, 2] },
      { kind: 'replicate', to: 1, count: 1 },
      { kind: 'elect', voters: [2, 3, 4] },
      { kind: 'elect', voters: [0, 1, 3] },
      // The entry of the second epoch is on three of five now, and the third epoch's can still win.
      { kind: 'replicate', to: 3, count: 1 },
      { kind: 'elect', voters: [2, 3, 4] },
    ]
    const lostOf = (rules: Rules): number => {
      const walk = new Walk({ ack: 'majority', n: 5, minInSync: 1 }, rules)
      for (const step of steps) walk.step(step)
      return walk.lost.length
    }
    expect(lostOf({ ...right, ownEpochOnly: false })).toBe(1)
    expect(lostOf(right)).toBe(0)
  })

  it('say who is missing, and what an unclean one gives up', () => {
    const [a, b, c] = ['a', 'b', 'c'] as NodeId[]
    const question = {
      rule: { ack: 'none' as const, n: 3, minInSync: 1 },
      replicas: [a!, b!, c!],
      inSync: [a!, b!, c!],
      votes: [
        { node: b!, end: { epoch: 1, position: 9 } },
        { node: c!, end: { epoch: 2, position: 4 } },
      ],
      preferred: [a!, b!, c!],
    }
    expect(elect(question)).toEqual({ kind: 'short', missing: 1, from: [a], best: question.votes[1] })
    expect(lossOf(question, [{ epoch: 2, position: 7 }])).toEqual({
      after: { epoch: 2, position: 4 },
      upTo: { epoch: 2, position: 7 },
      onlyOn: [a],
    })
    const whole = { ...question, rule: { ack: 'majority' as const, n: 3, minInSync: 1 } }
    expect(elect(whole)).toEqual({ kind: 'clean', leader: c, end: { epoch: 2, position: 4 } })
    const equal = { ...whole, votes: [b!, c!].map(node => ({ node, end: { epoch: 1, position: 1 } })) }
    expect(elect({ ...equal, preferred: [c!, b!] })).toMatchObject({ leader: c })
    expect(elect({ ...equal, preferred: [] })).toMatchObject({ leader: b })
  })
})

describe('acknowledgements', () => {
  it.each([
    ['all', 3, 1, 3],
    ['majority', 3, 1, 2],
    ['majority', 4, 1, 3],
    ['one', 3, 1, 2],
    ['none', 3, 1, 1],
    ['in-sync', 3, 2, 2],
  ] as const)('%s of %i', (ack, n, minInSync, copies) => {
    expect(copiesPromised({ ack, n, minInSync })).toBe(copies)
  })

  it('that N cannot give are refused by name', () => {
    expect(whyImpossible({ ack: 'one', n: 1, minInSync: 1 })).toMatch(/has none/)
    expect(whyImpossible({ ack: 'in-sync', n: 3, minInSync: 4 })).toMatch(/only n=3/)
    expect(whyImpossible({ ack: 'in-sync', n: 3, minInSync: 0 })).toMatch(/at least 1/)
    expect(whyImpossible({ ack: 'majority', n: 1, minInSync: 1 })).toBeUndefined()
  })

  it('stand still while the in-sync set is too small', () => {
    const [a, b] = ['a', 'b'] as NodeId[]
    const progress = {
      matched: new Map([
        [a!, 5],
        [b!, 5],
      ]),
      inSync: [a!],
      epochFrom: 1,
      committed: 3,
    }
    expect(committedTo({ ack: 'in-sync', n: 3, minInSync: 2 }, progress)).toBe(3)
    expect(committedTo({ ack: 'in-sync', n: 3, minInSync: 2 }, { ...progress, inSync: [a!, b!] })).toBe(5)
    expect(committedTo({ ack: 'all', n: 3, minInSync: 1 }, progress)).toBe(3)
  })
})
