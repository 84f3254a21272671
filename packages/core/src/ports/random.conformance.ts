/** What every `Random` does. Statistical bounds are wide: a fair source fails one run in billions. */

import { assert } from '../base/assert.ts'
import { type ConformanceCase, same } from './conformance-case.ts'
import type { Random } from './random.ts'

const DRAWS = 20_000

export const randomConformance: readonly ConformanceCase<Random>[] = [
  {
    name: 'gives integers in 0 … 2³²−1',
    async run(make) {
      const random = await make()
      for (let i = 0; i < DRAWS; i++) {
        const value = random.uint32()
        assert(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff, 'out of range', value)
      }
    },
  },
  {
    name: 'every bit is one half of the time',
    async run(make) {
      const random = await make()
      const ones = new Array<number>(32).fill(0)
      for (let i = 0; i < DRAWS; i++) {
        const value = random.uint32()
        for (let bit = 0; bit < 32; bit++) ones[bit]! += (value >>> bit) & 1
      }
      ones.forEach((count, bit) => {
        assert(Math.abs(count - DRAWS / 2) < DRAWS * 0.03, 'a bit is not even', { bit, count })
      })
    },
  },
  {
    name: 'does not repeat itself: neighbours are independent and values are spread',
    async run(make) {
      const random = await make()
      const seen = new Set<number>()
      let rising = 0
      let last = random.uint32()
      for (let i = 0; i < DRAWS; i++) {
        const value = random.uint32()
        if (value > last) rising++
        seen.add(value)
        last = value
      }
      assert(seen.size > DRAWS - 20, 'values repeat', seen.size)
      assert(Math.abs(rising - DRAWS / 2) < DRAWS * 0.03, 'neighbours depend on each other', rising)
    },
  },
  {
    name: 'two sources differ',
    async run(make) {
      const [one, two] = [await make(), await make()]
      let equal = 0
      for (let i = 0; i < 64; i++) if (one.uint32() === two.uint32()) equal++
      same(equal < 4, true, 'two sources give different numbers')
    },
  },
]
