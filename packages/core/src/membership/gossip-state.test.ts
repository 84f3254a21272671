import { describe, expect, it } from 'vitest'
import type { NodeId } from '../base/ids.ts'
import { randomBelow, randomPick, SeededRandom } from '../base/prng.ts'
import { GossipState } from './gossip-state.ts'

const ids = ['a', 'b', 'c', 'd'] as NodeId[]
const [a, b] = ids as [NodeId, NodeId, NodeId, NodeId]
const make = (id: NodeId, generation = 1): GossipState => {
  const state = new GossipState(id, generation)
  state.setMembers(ids)
  return state
}
/** One direction of the exchange. */
const pull = (to: GossipState, from: GossipState, bytesMax = 10_000, nowMs = 0) => {
  const delta = from.deltaFor(to.digest(), bytesMax)
  return { delta, news: to.apply(delta, nowMs) }
}

describe('gossip state', () => {
  it('sends only what is missing, once', () => {
    const [one, two] = [make(a), make(b)]
    one.set('x', 1)
    one.set('y', 'two')
    expect(pull(two, one).news.changes).toHaveLength(2)
    one.set('x', 3)
    const { delta } = pull(two, one)
    expect(delta[0]!.entries).toEqual([{ key: 'x', value: 3, version: 3 }])
    expect(pull(two, one).delta).toEqual([])
    expect(two.get(a, 'x')).toBe(3)
  })

  it('cuts a delta oldest version first and goes on without a gap', () => {
    const [one, two] = [make(a), make(b)]
    for (let i = 0; i < 10; i++) one.set(`k${i}`, i)
    const first = pull(two, one, 130).delta[0]!
    expect(first.entries.map(entry => entry.version)).toEqual(first.entries.map((_, i) => i + 1))
    expect(first.to).toBe(first.entries.length)
    for (let round = 0; round < 10; round++) pull(two, one, 130)
    expect(two.get(a, 'k9')).toBe(9)
  })

  it('tells a peer below the collection watermark to start over', () => {
    const [one, two] = [make(a), make(b)]
    one.set('gone', 1)
    one.set('kept', 1)
    pull(two, one)
    one.delete('gone', 0)
    one.collect(100, 50)
    one.set('new', 1)
    const { delta } = pull(two, one)
    expect(delta[0]!.reset).toBe(true)
    expect(two.get(a, 'gone')).toBeUndefined()
    expect(two.get(a, 'kept')).toBe(1)
  })

  it('a delta that does not follow on is refused', () => {
    const [one, two] = [make(a), make(b)]
    one.set('x', 1)
    one.set('y', 1)
    const late = one.deltaFor([{ node: a, generation: 1, heartbeat: 0, version: 1, collected: 0 }], 1000)
    expect(two.apply(late, 0).changes).toEqual([{ node: a, key: 'y', value: undefined }].slice(1))
    expect(two.get(a, 'y')).toBeUndefined()
  })

  it('an old generation is not believed', () => {
    const two = make(b)
    const [old, young] = [make(a, 1), make(a, 2)]
    old.set('x', 'old')
    young.set('x', 'young')
    const delayed = old.deltaFor(two.digest(), 1000)
    pull(two, young)
    two.apply(delayed, 0)
    expect(two.get(a, 'x')).toBe('young')
    pull(two, old)
    expect(two.get(a, 'x')).toBe('young')
  })

  it('random exchanges with small messages and early collection: copies never hold a deleted key at the end', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new SeededRandom(seed)
      const states = ids.map(id => make(id))
      const owner = states[0]!
      const model = new Map<string, number>()
      let nowMs = 0
      for (let step = 0; step < 150; step++) {
        nowMs += 10
        const key = `k${randomBelow(random, 5)}`
        const roll = randomBelow(random, 10)
        if (roll < 2) {
          model.set(key, step)
          owner.set(key, step)
        } else if (roll < 3) {
          model.delete(key)
          owner.delete(key, nowMs)
        } else {
          const [to, from] = [randomPick(random, states), randomPick(random, states)]
          if (to !== from) pull(to, from, 60 + randomBelow(random, 200), nowMs)
        }
        randomPick(random, states).collect(nowMs, randomBelow(random, 400))
      }
      // The owner's word settles everyone, whatever detours their copies took.
      for (let round = 0; round < 20; round++)
        for (const state of states.slice(1)) pull(state, owner, 150, nowMs)
      for (const state of states) {
        for (let k = 0; k < 5; k++) expect(state.get(a, `k${k}`), `seed ${seed}`).toBe(model.get(`k${k}`))
      }
    }
  })
})
