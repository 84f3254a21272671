import { expect, it } from 'vitest'
import { randomBelow, SeededRandom } from '../base/prng.ts'
import { CallTable } from './call-table.ts'

it('holds what a map would, with ids that are never used twice', () => {
  const random = new SeededRandom(11)
  const table = new CallTable<{ readonly id: number }>(2 ** 31 - 500)
  const oracle = new Map<number, { readonly id: number }>()
  let lastId = 0
  for (let step = 0; step < 20_000; step++) {
    // Fills up and empties in turns, so that it grows and old calls stand in the way of new ones.
    if (randomBelow(random, 100) < (step % 4_000 < 2_000 ? 60 : 40)) {
      const call = { id: table.takeId() }
      expect(call.id).toBeGreaterThan(lastId)
      lastId = call.id
      table.add(call)
      oracle.set(call.id, call)
    } else if (oracle.size > 0) {
      const id = [...oracle.keys()][randomBelow(random, Math.min(oracle.size, 50))]!
      expect(table.get(id)).toBe(oracle.get(id))
      table.delete(id)
      oracle.delete(id)
      expect(table.get(id)).toBeUndefined()
    }
    expect(table.size).toBe(oracle.size)
  }
  expect(table.all()).toEqual([...oracle.values()])
  table.clear()
  expect(table.size).toBe(0)
  expect(table.all()).toEqual([])
})
