/**
 * Arcs of the token ring and who holds them: what the hash partitioners compute with. The data path never
 * sees it; it asks the `PartitionMap`.
 *
 * Invariants: `partitions[0].start === 0`; arc i ends where i+1 starts, the last at 2³²; replicas are
 * distinct nodes; `preference` starts with the replicas and continues with every other member once.
 */

import { assert } from '../base/assert.ts'
import type { NodeId, TableId, Token } from '../base/ids.ts'

export const TOKENS = 0x1_0000_0000

export interface Arc {
  /** Place in the map: stable within one map version. */
  readonly index: number
  /** First token, inclusive. */
  readonly start: Token
  /** End, exclusive; 2³² for the last. */
  readonly end: number
  /** The N home replicas. */
  readonly replicas: readonly NodeId[]
  /** Replicas, then fallbacks in the order of the walk. */
  readonly preference: readonly NodeId[]
}

export interface ArcMap {
  readonly table: TableId
  readonly version: number
  readonly partitions: readonly Arc[]
  locate(token: Token): Arc
}

export function makeArcMap(
  table: TableId,
  version: number,
  arcs: readonly {
    readonly start: number
    readonly replicas: readonly NodeId[]
    readonly preference: readonly NodeId[]
  }[],
): ArcMap {
  assert(arcs.length > 0 && arcs[0]!.start === 0, 'a map starts at token 0')
  const starts = new Uint32Array(arcs.length)
  const partitions = arcs.map((arc, index): Arc => {
    starts[index] = arc.start
    assert(index === 0 || arc.start > arcs[index - 1]!.start, 'starts ascend', { index })
    assert(new Set(arc.replicas).size === arc.replicas.length, 'replicas are distinct', arc.replicas)
    const end = index + 1 < arcs.length ? arcs[index + 1]!.start : TOKENS
    return { index, start: arc.start as Token, end, replicas: arc.replicas, preference: arc.preference }
  })
  return {
    table,
    version,
    partitions,
    locate(token: Token): Arc {
      let low = 0
      let high = starts.length - 1
      while (low < high) {
        const middle = (low + high + 1) >>> 1
        if (starts[middle]! <= token) low = middle
        else high = middle - 1
      }
      return partitions[low]!
    },
  }
}
