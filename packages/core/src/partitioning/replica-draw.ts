/**
 * From "this class of partitions has so many copies on each node" to "this partition is on these nodes".
 *
 * Problem: any way of dealing out the copies costs the same, but dealing in order puts the same nodes
 * together again and again, and a dead node's load then falls on few. Mechanism: partition by partition, a
 * draw weighted by the copies that are left, seeded by the class, within the bounds that keep the rest
 * placeable: with m partitions left, a node with m copies left must be taken, and a zone with k copies left
 * gives between k − most·(m−1) and k − fewest·(m−1). What these bounds allow is exactly what can be
 * completed (a transport problem with whole bounds), so the draw never gets stuck.
 */

import { assert } from '../base/assert.ts'
import { randomBelow, SeededRandom } from '../base/prng.ts'
import type { Field } from './assignment.ts'

/** Fills `chosen[partition]` with node indices for the partitions of one class. */
export function drawClass(
  field: Field,
  partitions: readonly number[],
  counts: readonly number[],
  n: number,
  seed: number,
  chosen: number[][],
): void {
  const random = new SeededRandom(seed)
  const left = [...counts]
  let remaining = partitions.length
  for (const partition of partitions) {
    const perZone = zoneCounts(field, left, remaining, n, random)
    const taken: number[] = []
    perZone.forEach((count, z) => {
      drawZone(left, field.zoneStart[z]!, field.zoneStart[z + 1]!, remaining, count, random, taken)
    })
    for (const index of taken) left[index]!--
    chosen[partition] = taken
    remaining--
  }
  assert(
    left.every(count => count === 0),
    'all copies of a class are dealt out',
    left,
  )
}

function zoneCounts(
  field: Field,
  left: readonly number[],
  remaining: number,
  n: number,
  random: SeededRandom,
): number[] {
  const fewest: number[] = []
  const spare: number[] = []
  const copies: number[] = []
  field.zones.forEach((zone, z) => {
    let total = 0
    let forced = 0
    let present = 0
    for (let index = field.zoneStart[z]!; index < field.zoneStart[z + 1]!; index++) {
      const count = left[index]!
      total += count
      if (count === remaining) forced++
      if (count > 0) present++
    }
    const least = Math.max(zone.fewest, total - zone.most * (remaining - 1), forced)
    fewest.push(least)
    spare.push(Math.min(zone.most, total - zone.fewest * (remaining - 1), present) - least)
    copies.push(total)
  })
  let open = n - fewest.reduce((sum, count) => sum + count, 0)
  assert(open >= 0, 'a partition has room for what it must hold', { open })
  while (open > 0) {
    const z = drawWeighted(random, 0, spare.length, at => (spare[at]! > 0 ? copies[at]! : 0))
    fewest[z]!++
    spare[z]!--
    open--
  }
  return fewest
}

function drawZone(
  left: readonly number[],
  from: number,
  to: number,
  remaining: number,
  count: number,
  random: SeededRandom,
  taken: number[],
): void {
  const start = taken.length
  for (let index = from; index < to; index++) if (left[index] === remaining) taken.push(index)
  while (taken.length - start < count) {
    taken.push(drawWeighted(random, from, to, at => (taken.includes(at, start) ? 0 : left[at]!)))
  }
}

/** An index in [from, to), with a chance in proportion to its whole weight. */
function drawWeighted(
  random: SeededRandom,
  from: number,
  to: number,
  weight: (at: number) => number,
): number {
  let sum = 0
  for (let at = from; at < to; at++) sum += weight(at)
  assert(sum > 0, 'something is left to draw', { from, to })
  let point = randomBelow(random, sum)
  for (let at = from; at < to; at++) {
    point -= weight(at)
    if (point < 0) return at
  }
  assert(false, 'a point below the sum lies in one of the parts', { from, to })
}
