import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NodeId } from '../base/ids.ts'
import type { AckRule } from './acknowledgement.ts'
import {
  elected,
  electedUncleanly,
  firstLeadership,
  generatedId,
  handedOver,
  type Leadership,
  withInSync,
} from './leadership.ts'

const [a, b, c] = ['a', 'b', 'c'] as [NodeId, NodeId, NodeId]
const rule: AckRule = { ack: 'majority', n: 3, minInSync: 1 }
const first = firstLeadership([a, b, c], a)
const end = { epoch: 1, position: 4 }

describe('leadership', () => {
  it('goes to whom the votes of this epoch make leader, once', () => {
    const challenge = {
      rule,
      seenEpoch: 1,
      votes: [
        { node: b, end },
        { node: c, end: { epoch: 1, position: 5 } },
      ],
      preferred: [a, b, c],
    }
    const next = elected(first, challenge) as Leadership
    expect(next).toMatchObject({ leader: c, epoch: 2, evidence: { kind: 'elected', votes: challenge.votes } })
    // The same votes again, as after a lost answer of the register: they are of an epoch that is over.
    expect(elected(next, challenge)).toMatch(/asked in epoch 1, and epoch 2 has begun/)
    expect(elected(first, { ...challenge, votes: [] })).toMatch(/2 more of a, b, c must answer/)
  })

  it('is handed over by its leader to one in sync, and by nobody else', () => {
    expect(handedOver(first, { node: a, epoch: 1, end }, b)).toMatchObject({ leader: b, epoch: 2 })
    expect(handedOver(first, { node: b, epoch: 1, end }, c)).toMatch(/a leads epoch 1 now/)
    const alone = withInSync(first, { node: a, epoch: 1 }, [a]) as Leadership
    expect(handedOver(alone, { node: a, epoch: 1, end }, b)).toMatch(/b is not in sync/)
  })

  it('is taken uncleanly by a plan, which leaves nobody else in sync', () => {
    const challenge = { rule, seenEpoch: 1, votes: [{ node: b, end }], preferred: [] }
    const loss = { after: end, upTo: { epoch: 1, position: 9 }, onlyOn: [a, c] }
    expect(electedUncleanly(first, challenge, b, 'p-1', loss)).toMatchObject({
      leader: b,
      epoch: 2,
      inSync: [b],
      evidence: { kind: 'unclean', plan: 'p-1', loss },
    })
    expect(electedUncleanly(first, challenge, c, 'p-1', loss)).toMatch(/c has not answered/)
    const later = { ...first, epoch: 2 }
    expect(electedUncleanly(later, challenge, b, 'p-1', loss)).toMatch(/p-1 is stale/)
  })

  it('keeps a set of replicas with the leader in it, changed by the leader of the epoch alone', () => {
    expect(withInSync(first, { node: a, epoch: 1 }, [c, a])).toMatchObject({ inSync: [a, c], epoch: 1 })
    expect(withInSync(first, { node: a, epoch: 1 }, [b])).toMatch(/in sync with itself/)
    expect(withInSync(first, { node: a, epoch: 1 }, [a, 'x' as NodeId])).toMatch(/x is no replica/)
    expect(withInSync({ ...first, leader: b, epoch: 2 }, { node: a, epoch: 1 }, [a])).toMatch(
      /b leads epoch 2/,
    )
  })
})

it('ids of different epochs never meet, and grow with their epoch', () => {
  const ids = fc.tuple(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 0, max: 2 ** 40 - 1 }))
  fc.assert(
    fc.property(ids, ids, ([e1, s1], [e2, s2]) => {
      const [x, y] = [generatedId(e1, s1), generatedId(e2, s2)]
      expect(x === y).toBe(e1 === e2 && s1 === s2)
      if (e1 < e2) expect(x < y).toBe(true)
    }),
  )
  expect(() => generatedId(1, 2 ** 40)).toThrow(/given out all/)
})
