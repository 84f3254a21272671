import { describe, expect, it } from 'vitest'
import type { NodeId, TableId } from '../base/ids.ts'
import type { Catalog, TableView } from '../catalog/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { PROOF_INTERVALS_MAX, ProofAges } from './proof-ages.ts'

const INTERVAL_MS = 1_000
const LIMIT_MS = INTERVAL_MS * PROOF_INTERVALS_MAX
const START_MS = 1_800_000_000_000

/** Table 7: three partitions; this node, n1, shares two of them with n2 and one with n3. */
function stand() {
  let nowMs = 0
  const clock = { wallMs: () => START_MS + nowMs, monotonicMs: () => nowMs } as Clock
  const view = {
    descriptor: { id: 7 as TableId, name: 'carts', replication: { kind: 'leaderless' } },
    map: {
      partitions: [
        { id: 0, replicas: ['n1', 'n2'] },
        { id: 1, replicas: ['n2', 'n1', 'n3'] },
        { id: 2, replicas: ['n2', 'n3'] },
      ],
    },
  } as unknown as TableView
  const views: TableView[] = []
  let changed = (): void => {}
  const catalog = {
    views: () => views,
    onChange: (listener: () => void) => {
      changed = listener
    },
  } as unknown as Catalog
  const proven = new Map<string, number>()
  const ages = new ProofAges(clock, 'n1' as NodeId, catalog, proven, INTERVAL_MS)
  return {
    ages,
    view,
    create: () => {
      views.push(view)
      changed()
    },
    /** Partition 0 loses its upper part to a new partition 3. */
    cut: () => {
      const partitions = [
        { id: 0, replicas: ['n1', 'n2'], from: 'a', to: 'm' },
        { id: 3, replicas: ['n1', 'n2'], from: 'm', to: 'z' },
      ]
      views[0] = { ...view, map: { partitions } } as unknown as TableView
      changed()
      return views[0]
    },
    prove: (range: string) => proven.set(`7/${range}`, START_MS + nowMs),
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

describe('proofs that replicas are equal', () => {
  it('a range that was never proven is overdue once the table has been known for longer than the limit', () => {
    const { ages, view, create, pass } = stand()
    pass(LIMIT_MS * 5)
    create()
    pass(LIMIT_MS)
    expect(ages.of(view)).toMatchObject({ pairs: 3, proven: 0, oldestMs: undefined, overdue: 0 })
    pass(1)
    expect(ages.of(view)).toMatchObject({ overdue: 3, overdueExamples: [{ provenMs: undefined }, {}, {}] })
  })

  it('a proof that was good once is overdue when it is older than the limit, and is named', () => {
    const { ages, view, create, prove, pass } = stand()
    create()
    for (const range of ['0/n2', '1/n2', '1/n3']) prove(range)
    pass(LIMIT_MS)
    expect(ages.of(view)).toMatchObject({ proven: 3, overdue: 0, oldestMs: START_MS })
    pass(1)
    prove('0/n2')
    prove('1/n2')
    expect(ages.of(view)).toEqual({
      pairs: 3,
      proven: 3,
      oldestMs: START_MS,
      overdue: 1,
      overdueExamples: [{ partition: 1, peer: 'n3', provenMs: START_MS }],
    })
  })

  it('a partition that was cut is two new ones: they have time, and older proofs are not theirs', () => {
    const { create, cut, ages, prove, pass } = stand()
    create()
    prove('0/n2')
    pass(LIMIT_MS * 3)
    const view = cut()
    expect(ages.of(view)).toMatchObject({ pairs: 2, proven: 0, overdue: 0 })
    pass(LIMIT_MS)
    prove('3/n2')
    pass(1)
    expect(ages.of(view)).toMatchObject({ proven: 1, overdue: 1, overdueExamples: [{ partition: 0 }] })
  })
})
