import { describe, expect, it } from 'vitest'
import { randomBelow, SeededRandom } from '../base/prng.ts'
import { majorityOf, QuorumTally, type ReplicaSet } from './quorum-tally.ts'

/** The dumb version: try every completion of the unanswered members. */
function oracle(sets: readonly ReplicaSet[], answers: ReadonlyMap<string, boolean>): string {
  const holds = (acked: ReadonlySet<string>) =>
    sets.every(set => [...new Set(set.members)].filter(member => acked.has(member)).length >= set.needed)
  const acked = new Set([...answers].filter(([, ok]) => ok).map(([member]) => member))
  if (holds(acked)) return 'reached'
  const open = [...new Set(sets.flatMap(set => set.members))].filter(member => !answers.has(member))
  for (let mask = 0; mask < 1 << open.length; mask++) {
    if (holds(new Set([...acked, ...open.filter((_, i) => mask & (1 << i))]))) return 'pending'
  }
  return 'impossible'
}

describe('quorum tally', () => {
  it('counts distinct members only', () => {
    const tally = new QuorumTally<string>([{ members: ['a', 'b', 'c'], needed: 2 }])
    expect(tally.ack('a')).toBe(true)
    expect(tally.ack('a')).toBe(false)
    expect(tally.ack('stranger')).toBe(false)
    expect(tally.state()).toBe('pending')
    tally.ack('b')
    expect(tally.state()).toBe('reached')
  })

  it('needs every set, and one member counts in all of its sets', () => {
    const tally = new QuorumTally([
      { members: ['a', 'b', 'c'], needed: 2 },
      { members: ['c', 'd', 'e'], needed: 2 },
    ])
    tally.ack('a')
    tally.ack('c')
    tally.fail('d')
    expect(tally.describe()).toBe('pending: [a✓ b· c✓] 2/2 & [c✓ d✗ e·] 1/2')
    tally.fail('e')
    expect(tally.state()).toBe('impossible')
  })

  it('lets a late acknowledgement override a failure, never the reverse', () => {
    const tally = new QuorumTally([{ members: ['a'], needed: 1 }])
    tally.fail('a')
    expect(tally.state()).toBe('impossible')
    tally.ack('a')
    tally.fail('a')
    expect(tally.state()).toBe('reached')
  })

  it('is impossible from the start when more is needed than there is, and reached when nothing is', () => {
    expect(new QuorumTally([{ members: ['a'], needed: 2 }]).state()).toBe('impossible')
    expect(new QuorumTally([{ members: [], needed: 0 }]).state()).toBe('reached')
  })

  it('any two majorities meet', () => {
    for (let count = 1; count < 12; count++) expect(2 * majorityOf(count)).toBeGreaterThan(count)
  })

  it('agrees with the oracle on random sets and answers', () => {
    const random = new SeededRandom(7)
    for (let round = 0; round < 2000; round++) {
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      const sets = Array.from({ length: 1 + randomBelow(random, 3) }, () => {
        const members = names.filter(() => randomBelow(random, 2) === 0)
        return { members, needed: randomBelow(random, members.length + 2) }
      })
      const tally = new QuorumTally(sets)
      const answers = new Map<string, boolean>()
      for (let step = 0; step < 8; step++) {
        const name = names[randomBelow(random, names.length)]!
        if (sets.some(set => set.members.includes(name))) {
          const ok = randomBelow(random, 2) === 0
          if (ok) answers.set(name, true)
          else if (!answers.has(name)) answers.set(name, false)
          if (ok) tally.ack(name)
          else tally.fail(name)
        }
        expect(tally.state(), tally.describe()).toBe(oracle(sets, answers))
      }
    }
  })
})
