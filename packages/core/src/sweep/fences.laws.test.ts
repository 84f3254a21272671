/** Fences of ranges that were cut and joined: for a key the highest of all ranges around it. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ByteString, Stamp } from '../base/ids.ts'
import type { TableWrite } from '../ports/table.ts'
import type { Store } from '../store/store-face.ts'
import { Fences } from './fences.ts'

/** As much of a store as fences use. */
function memory(): { store: Store; records: Map<string, Uint8Array> } {
  const records = new Map<string, Uint8Array>()
  const store = {
    scan: () => [...records],
    positionOf: () => 0,
    commit: (batch: readonly TableWrite[]) => {
      for (const { key, value } of batch) records.set(key, value!)
      return 1
    },
  }
  return { store: store as unknown as Store, records }
}

const key = (n: number): ByteString => `f${String(n).padStart(3, '0')}` as ByteString

it('are the highest of all ranges around a key, also as read again from the store', () => {
  const acts = fc.array(
    fc.record({
      from: fc.nat(40),
      length: fc.integer({ min: 1, max: 30 }),
      cut: fc.integer({ min: 1, max: 100 }),
      kind: fc.constantFrom('raise' as const, 'watermark' as const),
    }),
    { maxLength: 25 },
  )
  fc.assert(
    fc.property(acts, list => {
      const { store, records } = memory()
      const fences = new Fences(store)
      const model = Array.from({ length: 80 }, () => ({ fence: 0, watermark: 0 }))
      for (const { from, length, cut, kind } of list) {
        const range = { from: key(from), to: key(from + length) }
        if (kind === 'raise') fences.raise(range, cut as Stamp)
        else store.commit([fences.watermark(range, cut as Stamp)])
        for (let at = from; at < from + length; at++) {
          model[at]!.fence = Math.max(model[at]!.fence, cut)
          if (kind === 'watermark') model[at]!.watermark = Math.max(model[at]!.watermark, cut)
        }
      }
      expect(records.size).toBeLessThanOrEqual(list.length)
      for (const view of [fences, new Fences(store)]) {
        for (const [at, expected] of model.entries()) {
          const { fence, watermark } = view.at(key(at))
          // A range remembers the highest of its own: what it knows of the fence holds for its watermark's record too.
          expect({ fence, watermark }).toEqual(expected)
        }
      }
    }),
  )
})

it('of ten thousand ranges are raised in little time each', () => {
  const { store } = memory()
  const fences = new Fences(store)
  for (let n = 0; n < 10_000; n++) {
    const at = String((n * 7919) % 10_000).padStart(5, '0')
    fences.raise({ from: `f${at}` as ByteString, to: `f${at}x` as ByteString }, (n + 1) as Stamp)
  }
  expect(fences.at('f00000a' as ByteString).fence).toBe(1)
  expect(fences.at('f00000y' as ByteString).fence).toBe(0)
})
